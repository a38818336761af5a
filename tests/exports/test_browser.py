"""The web page in Chromium: it draws what the generator draws, and its controls work."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ganvas import pretrained
from ganvas.exports.page import build
from ganvas.exports.source import open_source
from ganvas.generator import load

pytestmark = pytest.mark.browser

Page = Any
"""A page of playwright's."""


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """opened(what): the page of a generator, opened from disk; any complaint of it is an error."""
    complaints: list[str] = []
    contexts = []

    def open_page(what: Path, **options: Any) -> Page:
        file = tmp_path / "page.html"
        file.write_bytes(build(open_source(what)).content)
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(file.as_uri())
        until(page, "Boolean(window.ganvas)")
        assert complaints.pop(0) == file.as_uri()
        return page

    yield open_page
    for context in contexts:
        context.close()
    mine = ("blob:", "Canvas2D: Multiple readback")  # pictures saved, and the tests' own looks
    assert [text for text in complaints if not text.startswith(mine)] == []


def pixels_of(page: Page, selector: str) -> NDArray[np.uint8]:
    """RGBA of the canvases of a selector, (N, H, W, 4)."""
    found = page.evaluate(
        """selector => [...document.querySelectorAll(selector)].map((canvas) => [canvas.height,
        canvas.width, ...canvas.getContext('2d').getImageData(0, 0, canvas.width,
        canvas.height).data])""",
        selector,
    )
    return np.array([np.array(one[2:], np.uint8).reshape(one[0], one[1], 4) for one in found])


def settled(page: Page) -> None:
    """When all is drawn that was asked for."""
    page.wait_for_timeout(50)
    until(page, "ganvas.idle()")


def until(page: Page, condition: str) -> None:
    """By looking again and again: the page's own policy forbids what playwright waits with."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


def hand_over(page: Page, what: Path, num: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What page and generator draw of the same latents, both (num, C, H, W)."""
    source = open_source(what)
    latents = source.latents(num)
    labels = [] if latents.labels is None else latents.labels.tolist()
    found = page.evaluate(
        "([z, labels]) => [...ganvas.draw(z, labels)]", [latents.z.flatten().tolist(), labels]
    )
    channels, height, width = source.generator.shape
    pixels = np.array(found, np.uint8).reshape(num, height, width, channels)
    return np.moveaxis(pixels, 3, 1), source.generator(latents.z, latents.labels)


# Images


def test_it_draws_what_the_generator_draws(
    recipe: str, untrained: Callable[[str], Path], opened: Callable[..., Page]
) -> None:
    found, expected = hand_over(opened(untrained(recipe)), untrained(recipe), 16)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert expected.std() > 1, "a blank image would prove nothing"


@pytest.mark.parametrize("name", pretrained.names())
def test_it_draws_what_a_pretrained_one_draws(name: str, opened: Callable[..., Page]) -> None:
    found, expected = hand_over(opened(pretrained.home(name)), pretrained.home(name), 16)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert expected.std() > 20


@pytest.mark.parametrize("num", [1, 3, 4, 5])
def test_one_image_is_the_same_among_others(
    num: int, untrained: Callable[[str], Path], opened: Callable[..., Page]
) -> None:
    found, expected = hand_over(opened(untrained("mnist-classes")), untrained("mnist-classes"), num)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_canvases_show_the_pixels(
    untrained: Callable[[str], Path], opened: Callable[..., Page]
) -> None:
    page = opened(untrained("genzoo-cifar10"))
    settled(page)
    shown = pixels_of(page, "#one")[0]
    drawn = page.evaluate(
        """() => [...ganvas.draw([...Array(ganvas.net.dims).keys()].map((i) => i / 50 - 1))]"""
    )
    assert shown.shape == (32, 32, 4) and (shown[..., 3] == 255).all()
    assert len({tuple(row) for row in shown[..., :3].reshape(-1, 3)}) > 10, "it has colours"
    assert len(drawn) == 32 * 32 * 3


# Controls


def test_a_seed_gives_the_same_samples(tiny_run: Path, opened: Callable[..., Page]) -> None:
    page = opened(tiny_run)
    settled(page)
    first = pixels_of(page, "#grid canvas")
    assert first.shape == (25, 8, 8, 4)
    page.fill("#seed", "7")
    page.press("#seed", "Tab")
    settled(page)
    seventh = pixels_of(page, "#grid canvas")
    assert not np.array_equal(first, seventh)
    page.select_option("#count", "9")
    settled(page)
    assert np.array_equal(pixels_of(page, "#grid canvas"), seventh[:9])
    page.fill("#seed", "0")
    page.press("#seed", "Tab")
    settled(page)
    assert np.array_equal(pixels_of(page, "#grid canvas"), first[:9])


def test_new_seeds_are_new(tiny_run: Path, opened: Callable[..., Page]) -> None:
    page = opened(tiny_run)
    seeds = set()
    for _ in range(4):
        page.click("#fresh")
        seeds.add(page.input_value("#seed"))
    assert len(seeds) == 4


def test_latents_are_spread_as_the_generator_was_taught(
    untrained: Callable[[str], Path], tiny_run: Path, opened: Callable[..., Page]
) -> None:
    """By the sliders of many seeds: their values are the latent's first twelve."""
    values = """() => [...document.querySelectorAll('#sliders input')].map(s => Number(s.value))"""
    for what, low, high, spread in (
        (tiny_run, -1, 1, 3**-0.5),
        (untrained("quickstart"), -3, 3, 1),
    ):
        page, found = opened(what), []
        for _ in range(80):
            page.click("#fresh")
            found += page.evaluate(values)
        assert low <= min(found) < 0.8 * low and 0.8 * high < max(found) <= high
        assert abs(np.mean(found)) < 0.2 and abs(np.std(found) - spread) < 0.12


def test_clicked_samples_become_the_ends(tiny_run: Path, opened: Callable[..., Page]) -> None:
    page = opened(tiny_run)
    settled(page)
    samples = pixels_of(page, "#grid canvas")
    for i in (7, 12):
        page.click(f"#grid button:nth-child({i + 1})")
    settled(page)
    strip = pixels_of(page, "#strip canvas")
    assert np.array_equal(strip[0], samples[7]) and np.array_equal(strip[-1], samples[12])
    assert len({one.tobytes() for one in strip}) == 9
    assert np.array_equal(pixels_of(page, "#one")[0], samples[12])
    page.fill("#share", "0")
    settled(page)
    assert np.array_equal(pixels_of(page, "#one")[0], samples[7])
    page.fill("#share", "0.5")
    settled(page)
    assert np.array_equal(pixels_of(page, "#one")[0], strip[4])


def test_the_way_between_is_that_of_python(
    untrained: Callable[[str], Path], opened: Callable[..., Page]
) -> None:
    """Along the sphere for normal latents: by the sliders half way between two samples."""
    import torch

    what = untrained("quickstart")
    page = opened(what)
    values = """() => [...document.querySelectorAll('#sliders output')].map(o => Number(o.value))"""
    ends = []
    for i in (1, 2):
        page.click(f"#grid button:nth-child({i})")
        ends.append(page.evaluate(values))
    page.fill("#share", "0.5")
    half = page.evaluate(values)
    between = load(what).latent.between(*(torch.tensor(end) for end in ends), 0.5)
    straight = (np.array(ends[0]) + ends[1]) / 2
    # twelve values of 32 give the angle only nearly, so: on the same ray, and longer than half way
    assert np.corrcoef(half, between.numpy())[0, 1] > 0.999
    assert 1.1 < np.linalg.norm(half) / np.linalg.norm(straight) < 1.8


def test_a_slider_moves_one_value(tiny_run: Path, opened: Callable[..., Page]) -> None:
    page = opened(tiny_run)
    settled(page)
    before = pixels_of(page, "#one")
    assert page.locator("#sliders input").count() == 4, "as many as there are latent values"
    page.locator("#sliders input").nth(2).fill("0.77")
    settled(page)
    assert not np.array_equal(pixels_of(page, "#one"), before)
    assert page.locator("#sliders output").nth(2).inner_text() == "0.77"
    page.click("#reset")
    settled(page)
    assert np.array_equal(pixels_of(page, "#one"), before)


@pytest.mark.parametrize("button", ["#walk", "#play"])
def test_motion_starts_and_stops(button: str, tiny_run: Path, opened: Callable[..., Page]) -> None:
    page = opened(tiny_run)
    page.click(button)
    seen = set()
    for _ in range(6):
        page.wait_for_timeout(200)
        seen.add(pixels_of(page, "#one").tobytes())
    assert len(seen) > 3
    assert page.locator(button).get_attribute("aria-pressed") == "true"
    assert page.locator(button).inner_text() == "Pause"
    page.click(button)
    settled(page)
    still = pixels_of(page, "#one")
    settled(page)
    assert np.array_equal(pixels_of(page, "#one"), still)
    assert page.locator(button).get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize(
    ("button", "name", "tiles"),
    [
        ("#save-grid", "tiny-seed-0.png", (5, 5)),
        ("#save-one", "tiny-image.png", (1, 1)),
        ("#save-strip", "tiny-from-a-to-b-seed-0.png", (1, 9)),
    ],
)
def test_pictures_are_saved(
    button: str, name: str, tiles: tuple[int, int], tiny_run: Path, opened: Callable[..., Page]
) -> None:
    page = opened(tiny_run)
    settled(page)
    with page.expect_download() as waited:
        page.click(button)
    assert waited.value.suggested_filename == name
    with Image.open(io.BytesIO(Path(waited.value.path()).read_bytes())) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    rows, columns = tiles
    scale = round(640 / (columns * 8))
    gap = 2 * scale if rows * columns > 1 else 0
    assert pixels.shape == (rows * (8 * scale + gap) + gap, columns * (8 * scale + gap) + gap, 3)
    selector = {"#save-grid": "#grid canvas", "#save-one": "#one", "#save-strip": "#strip canvas"}
    shown = pixels_of(page, selector[button])[-1, ..., :3]
    start = (rows - 1) * (8 * scale + gap) + gap, (columns - 1) * (8 * scale + gap) + gap
    last = pixels[start[0] :, start[1] :][: 8 * scale : scale, : 8 * scale : scale]
    assert np.array_equal(last, shown)


# Classes


def drawn(page: Page, what: Path, z: Any, labels: list[int]) -> NDArray[np.uint8]:
    """What the generator draws of latents and classes, RGBA as on a canvas."""
    import torch

    images = load(what)(torch.tensor(z), torch.tensor(labels))[:, 0]
    opaque = np.full_like(images, 255)
    return np.stack([images, images, images, opaque], axis=-1)


def test_a_class_is_drawn_as_python_draws_it(
    labelled_generator: Path, opened: Callable[..., Page]
) -> None:
    page = opened(labelled_generator)
    values = "() => [...document.querySelectorAll('#sliders output')].map(o => Number(o.value))"
    names = page.locator("#class option").all_inner_texts()
    assert names == list(load(labelled_generator).classes)
    seen = []
    for i, slider in enumerate((0.5, -0.25, 1.5, 0.0)):  # all four values, as whole hundredths
        page.locator("#sliders input").nth(i).fill(str(slider))
    z = page.evaluate(values)
    for i, name in enumerate(names):
        page.select_option("#class", label=name)
        settled(page)
        seen.append(pixels_of(page, "#one")[0])
        assert page.evaluate(values) == z, "the latent stays"
        expected = drawn(page, labelled_generator, [z], [i])[0]
        assert np.abs(seen[-1].astype(int) - expected).max() <= 1, name
    assert len({one.tobytes() for one in seen}) == len(names), "the classes differ"


def test_all_samples_can_be_of_one_class(
    labelled_generator: Path, opened: Callable[..., Page]
) -> None:
    page = opened(labelled_generator)
    settled(page)
    mixed = pixels_of(page, "#grid canvas")
    page.select_option("#classes", label="Pullover")
    settled(page)
    assert page.locator("#class").input_value() == "2"
    pullovers = pixels_of(page, "#grid canvas")
    assert not np.array_equal(mixed, pullovers)
    page.select_option("#classes", label="all")
    settled(page)
    assert np.array_equal(pixels_of(page, "#grid canvas"), mixed)
    same = [np.array_equal(a, b) for a, b in zip(mixed, pullovers, strict=True)]
    assert 0 < sum(same) < 15, "those that were pullovers anyway stay: latents do not change"


def test_the_way_leads_from_class_to_class(
    labelled_generator: Path, opened: Callable[..., Page]
) -> None:
    page = opened(labelled_generator)
    settled(page)
    page.click("#grid button:nth-child(1)")
    first = page.locator("#class").input_value()
    for other in range(2, 26):
        page.click(f"#grid button:nth-child({other})")
        if page.locator("#class").input_value() != first:
            break
    settled(page)
    samples, strip = pixels_of(page, "#grid canvas"), pixels_of(page, "#strip canvas")
    ends = {samples[0].tobytes(), samples[other - 1].tobytes()}
    assert {strip[0].tobytes(), strip[-1].tobytes()} == ends
    assert len({one.tobytes() for one in strip}) == 9


def test_without_classes_there_is_no_picker(tiny_run: Path, opened: Callable[..., Page]) -> None:
    page = opened(tiny_run)
    assert page.locator("#class").count() == page.locator("#classes").count() == 0


# Looks


@pytest.mark.parametrize("width", [390, 768, 1440, 2000])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off(
    width: int, scheme: Any, tiny_run: Path, opened: Callable[..., Page]
) -> None:
    page = opened(tiny_run, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for selector in ("#grid", "#one", "#strip", ".sliders", ".card"):
        box = page.locator(selector).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] > 30
    ink, paper = page.evaluate(
        "() => ['color', 'backgroundColor'].map(key => getComputedStyle(document.body)[key])"
    )
    light = [sum(map(int, colour[4:-1].split(","))) for colour in (ink, paper)]
    assert (light[0] > light[1]) == (scheme == "dark")
