"""The studio in Chromium: every page, with a run that trains beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganvas.generator import load
from ganvas.rundir import RunFolder
from ganvas.studio.reading import sheets

pytestmark = pytest.mark.browser

Page = Any
"""A page of playwright's."""
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_run: Path,
    train_tiny: Any,
    labelled_generator: Path,
) -> Path:
    """Runs `tiny`, `other` and one whose name is markup, and a saved generator with classes."""
    runs = tmp_path_factory.mktemp("studio-browser")
    shutil.copytree(labelled_generator, runs / "labelled")
    shutil.copytree(tiny_run, runs / "tiny")
    train_tiny(runs / "other", seed=5)
    evil = runs / EVIL
    shutil.copytree(tiny_run, evil)
    config = (evil / "config.toml").read_text()
    (evil / "config.toml").write_text(re.sub(r'recipe = ".*"', f'recipe = "{EVIL}"', config))
    (evil / "status.json").write_text(f'{{"state": "failed", "reason": "{EVIL}", "step": 1}}')
    (evil / "watchdog.jsonl").write_text(f'{{"step": 2, "fault": "worse", "message": "{EVIL}"}}\n')
    rows = [
        {"metric": "fd2k", "values": {"distance": 9 - i}, "step": sheet["step"], "images": i}
        | {"floor": {"distance": 1.5}}
        for i, sheet in enumerate(sheets(RunFolder(runs / "tiny")))
    ]
    (runs / "tiny/metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return runs


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "ganvas", "studio", str(folder), "--no-browser"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(3)]
    yield lines[1].strip()
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Callable[..., Page]]:
    """opened("#/run/tiny"): a page of the studio; any complaint of the browser is an error."""
    complaints: list[str] = []
    contexts = []

    def open_page(place: str = "", at: str = address, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("dialog", lambda dialog: complaints.append("a dialog"))
        page.goto(at + place)
        page.wait_for_selector("h1")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in complaints if "Multiple readback" not in text] == []


def pixels_of(page: Page, selector: str) -> Any:
    """RGBA of the canvases of a selector, (N, H, W, 4)."""
    found = page.evaluate(
        """selector => [...document.querySelectorAll(selector)].map((canvas) => [canvas.height,
        canvas.width, ...canvas.getContext('2d').getImageData(0, 0, canvas.width,
        canvas.height).data])""",
        selector,
    )
    return np.array([np.array(one[2:], np.uint8).reshape(one[0], one[1], 4) for one in found])


def until(page: Page, condition: str, seconds: float = 60.0) -> None:
    """By looking again and again: the page's own policy forbids what playwright waits with."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


# All runs


def test_all_runs_are_listed_filtered_and_sorted(opened: Callable[..., Page]) -> None:
    page = opened()
    names = "[...document.querySelectorAll('.runs .name a')].map(a => a.textContent)"
    assert set(page.evaluate(names)) >= {"tiny", "other", EVIL}
    page.fill("input[type=search]", "oth seed")
    assert page.evaluate(names) == ["other"]
    page.fill("input[type=search]", "")
    page.click(".runs th.name button")
    shown = page.evaluate(names)
    assert shown == sorted(shown, key=str.casefold) or shown[0] == EVIL
    assert page.get_attribute(".runs th.name", "aria-sort") == "ascending"
    page.click(".runs th.name button")
    assert page.evaluate(names) == shown[::-1]
    row = page.locator("tr", has_text="tiny").first
    assert "fd2k" in row.locator(".last").inner_text()
    assert "real 1.5" in row.locator(".best").inner_text()


def test_what_runs_say_is_shown_as_text(opened: Callable[..., Page], folder: Path) -> None:
    page = opened()
    assert page.evaluate("document.querySelectorAll('img[onerror]').length") == 0
    assert EVIL in page.locator(".why").first.inner_text()
    page.locator("a", has_text=EVIL).first.click()
    page.wait_for_selector(".alarms li")
    assert EVIL in page.inner_text(".alarms li") and page.inner_text("h1") == EVIL


def test_a_run_is_followed_while_it_trains(opened: Callable[..., Page], folder: Path) -> None:
    page = opened()
    command = [sys.executable, "-m", "ganvas", "train", "--outdir", str(folder / "growing")]
    settings = ("--set", "output.sample=1 epoch", "--set", "train.length=40 epochs")
    process = subprocess.Popen(
        [*command, *settings, "--device", "cpu"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        rows = "[...document.querySelectorAll('.runs tr')]"
        row = f"{rows}.find((one) => one.textContent.includes('growing'))"
        until(page, f"{row}?.querySelector('.state-running')", 60)
        page.locator("a", has_text="growing").first.click()
        page.wait_for_selector(".scrubber input")
        most = "Number(document.querySelector('.scrubber input').max)"
        until(page, f"{most} >= 2", 60)
        before = page.evaluate(most)
        until(page, f"{most} > {before}", 60)
        slider = "Number(document.querySelector('.scrubber input').value)"
        assert page.evaluate(f"{slider} === {most}"), "who is at the end stays there"
        page.locator(".scrubber input").fill("0")
        until(page, f"{most} > {before + 1}", 60)
        assert page.evaluate(slider) == 0, "who looks at the past is left alone"
        process.terminate()
        process.wait(60)
        until(page, "document.querySelector('.line .state-stopped')", 20)
        (folder / "growing").rename(folder / "moved")
        until(page, "document.querySelector('p.problem')?.textContent.includes('gone')", 20)
    finally:
        process.kill()
        process.wait()
        for name in ("growing", "moved"):
            shutil.rmtree(folder / name, ignore_errors=True)


# One run


def test_one_slider_moves_sheets_curves_and_numbers(
    opened: Callable[..., Page], folder: Path
) -> None:
    page = opened("#/run/tiny")
    drawn = [path.name for path in RunFolder(folder / "tiny").samples()]
    slider = page.locator(".scrubber input")
    assert int(slider.get_attribute("max")) == len(drawn) - 1
    until(page, f"document.querySelector('.sheet').src.endsWith('{drawn[-1]}')")
    line = RunFolder(folder / "tiny").read_log()
    losses = "document.querySelector('.chart .key b').textContent"
    page.locator("input[aria-label=Smoothing]").fill("0")
    for index in (0, len(drawn) - 1):
        slider.fill(str(index))
        until(page, f"document.querySelector('.sheet').src.endsWith('{drawn[index]}')")
        place = page.inner_text(".place")
        assert "epoch" in place and place == slider.get_attribute("aria-valuetext")
        page.wait_for_timeout(100)
        step = round(line[-1]["step"] * (index + 1) / len(drawn))
        expected = next(one for one in reversed(line) if one["step"] <= step)["D/loss"]
        assert float(page.evaluate(losses)) == pytest.approx(expected, rel=1e-3)
    slider.focus()
    slider.press("ArrowLeft")
    until(page, f"document.querySelector('.sheet').src.endsWith('{drawn[-2]}')")
    assert page.locator(".numbers tbody tr").count() == 1
    page.locator("#main").focus()
    page.keyboard.press("Home")
    assert slider.input_value() == "0"
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "1"
    page.keyboard.press("End")
    assert slider.input_value() == slider.get_attribute("max")


def test_numbers_are_those_of_the_sliders_place(opened: Callable[..., Page]) -> None:
    page = opened("#/run/tiny")
    cell = ".numbers tbody td:nth-child(2)"
    page.locator(".scrubber input").fill("0")
    assert float(page.inner_text(cell)) == 9
    page.locator(".scrubber input").fill("1")
    assert float(page.inner_text(cell)) == 8


def test_it_plays_and_stops_at_the_end(opened: Callable[..., Page]) -> None:
    page = opened("#/run/tiny")
    page.select_option(".speed select", "30")
    page.click(".scrubber button[aria-label=Play]")
    until(page, "document.querySelector('.scrubber .round').getAttribute('aria-label') === 'Play'")
    assert page.evaluate("(s => s.value === s.max)(document.querySelector('.scrubber input'))")


def test_curves_zoom_hide_and_change_their_axis(opened: Callable[..., Page]) -> None:
    page = opened("#/run/tiny")
    until(page, "document.querySelectorAll('.uplot').length >= 4")
    for axis in ("epoch", "seconds", "step", "images"):
        page.select_option(".bar select", axis)
        until(page, "document.querySelectorAll('.uplot').length >= 4")
    page.locator("button", has_text="Log scale").click()
    key = page.locator(".chart .key").first
    key.click()
    assert page.locator(".chart .key").first.get_attribute("aria-pressed") == "false"


def test_fresh_latents_settings_and_files(opened: Callable[..., Page], folder: Path) -> None:
    page = opened("#/run/tiny")
    page.locator("button", has_text="Draw").click()
    until(page, "[...document.querySelectorAll('img.sheet')].some(i => i.src.startsWith('blob:'))")
    page.locator("summary", has_text="Settings").click()
    assert "train.batch_size" in page.inner_text(".rest")
    page.locator("summary", has_text="Files").click()
    with page.expect_download() as started:
        page.locator(".rest a", has_text="config.toml").click()
    expected = (folder / "tiny/config.toml").read_bytes()
    assert Path(started.value.path()).read_bytes() == expected


# Side by side


def test_runs_side_by_side(opened: Callable[..., Page]) -> None:
    page = opened()
    for name in ("Choose tiny", "Choose other"):
        page.get_by_label(name).check()
    page.locator(".tray a").click()
    page.wait_for_selector(".cards .sheet")
    assert page.locator(".cards").first.locator("figure").count() == 2
    page.locator(".scrubber input").fill("0")
    notes = page.locator(".cards figcaption .quiet").all_inner_texts()
    assert notes[0] == notes[1] and notes[0].startswith("at ")
    page.wait_for_selector(".headline", timeout=20000)
    assert "seed" in page.inner_text("section[aria-label='What differs']")
    page.locator("section[aria-label='The same seed'] button").click()
    until(
        page, "document.querySelectorAll(\"section[aria-label='The same seed'] img\").length === 2"
    )


# Playground


def test_the_playground_draws_what_the_generator_draws(
    opened: Callable[..., Page], folder: Path
) -> None:
    page = opened("#/play/tiny")
    until(page, "document.querySelectorAll('.tile canvas').length === 16")
    expected = load(folder / "tiny").sample(16, 0)
    assert np.array_equal(pixels_of(page, ".tile canvas")[..., 0], expected[:, 0])
    page.fill("input[type=number]", "7")
    page.press("input[type=number]", "Tab")
    seventh = load(folder / "tiny").sample(16, 7)
    end = time.monotonic() + 10
    while not np.array_equal(pixels_of(page, ".tile canvas")[..., 0], seventh[:, 0]):
        assert time.monotonic() < end
        page.wait_for_timeout(50)
    assert "--seed 7" in page.inner_text("section[aria-label='The same from a terminal']")


def test_sliders_walks_and_pinned_points(opened: Callable[..., Page]) -> None:
    page = opened("#/play/tiny")
    until(page, "document.querySelector('.one')?.width === 8")
    before = pixels_of(page, ".one")
    page.locator(".sliders input").first.fill("0.9")
    page.wait_for_timeout(300)
    assert not np.array_equal(pixels_of(page, ".one"), before)
    walk = page.locator("button", has_text="Random walk")
    walk.click()
    before = pixels_of(page, ".one")
    page.wait_for_timeout(500)
    assert not np.array_equal(pixels_of(page, ".one"), before)
    page.locator("button", has_text="Stop the walk").click()
    for tile in (2, 5):
        page.locator(".tile").nth(tile).click()
        page.wait_for_timeout(200)
        page.locator("button", has_text="Pin this point").click()
    until(page, "document.querySelectorAll('.strip.thin canvas').length === 9")
    tiles, strip = pixels_of(page, ".tile canvas"), pixels_of(page, ".strip.thin canvas")
    assert np.abs(strip[0].astype(int) - tiles[2]).max() <= 1
    assert np.abs(strip[8].astype(int) - tiles[5]).max() <= 1
    with page.expect_download() as started:
        page.locator("button", has_text="Save as GIF").click()
    assert Path(started.value.path()).read_bytes()[:3] == b"GIF"


def test_saved_samples_are_those_of_the_command_line(
    opened: Callable[..., Page], folder: Path, cli: Callable[..., Any]
) -> None:
    page = opened("#/play/tiny")
    until(page, "document.querySelectorAll('.tile canvas').length === 16")
    with page.expect_download() as started:
        page.locator("button", has_text=re.compile("^PNG$")).click()
    assert cli("sample", folder / "tiny", "--num", 16, "--grid", "a.png").code == 0
    assert Path(started.value.path()).read_bytes() == Path("a.png").read_bytes()


def test_a_class_is_picked_by_its_name(opened: Callable[..., Page], folder: Path) -> None:
    page = opened("#/play/labelled")
    until(page, "document.querySelectorAll('.tile canvas').length === 16")
    page.get_by_label("Class").select_option("Dress")
    expected = load(folder / "labelled").sample(16, 0, labels="Dress")[:, 0]
    end = time.monotonic() + 10
    while not np.array_equal(pixels_of(page, ".tile canvas")[..., 0], expected):
        assert time.monotonic() < end
        page.wait_for_timeout(50)
    assert "--class Dress" in page.inner_text("section[aria-label='The same from a terminal']")


def test_nearest_training_images(opened: Callable[..., Page]) -> None:
    page = opened("#/play/tiny")
    until(page, "document.querySelectorAll('.tile canvas').length === 16")
    page.locator("button", has_text="Nearest training images").click()
    until(page, "document.querySelectorAll('.neighbours canvas').length === 8")


# The whole


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 2000])
@pytest.mark.parametrize("place", ["", "#/run/tiny", "#/compare?run=tiny&run=other", "#/play/tiny"])
def test_nothing_sticks_out_and_every_control_has_a_name(
    opened: Callable[..., Page], place: str, width: int, theme: str
) -> None:
    page = opened(place, viewport={"width": width, "height": 900}, color_scheme=theme)
    page.wait_for_timeout(300)
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0
    nameless = """[...document.querySelectorAll('button, input, select, a')].filter((node) =>
        !(node.closest('[aria-hidden=true]') || node.getAttribute('aria-label') ||
          node.textContent.trim() || node.title ||
          node.labels?.[0]?.textContent.trim())).map((node) => node.outerHTML)"""
    assert page.evaluate(nameless) == []
    assert page.evaluate("[...document.images].filter(i => !i.hasAttribute('alt')).length") == 0


def test_a_run_that_is_not_there_says_so(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto(f"{address}#/run/none")
    page.wait_for_selector("[role=alert]")
    assert "there is no run 'none'" in page.inner_text("[role=alert]")
    page.close()


def test_the_address_without_its_token_shows_nothing(browser: Any, address: str) -> None:
    page = browser.new_page()
    answer = page.goto("/".join(address.split("/")[:3]))
    assert answer.status == 403 and "token" in page.inner_text("body")
    page.close()


def test_the_page_of_a_run_as_one_file(
    opened: Callable[..., Page], folder: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    target = tmp_path / "page.html"
    assert cli("studio", "--export", folder / "tiny", target).code == 0
    page = opened("", target.as_uri(), offline=True)
    assert page.inner_text("h1") == "tiny"
    sources = set()
    for index in range(2):
        page.locator(".scrubber input").fill(str(index))
        page.wait_for_timeout(200)
        sources.add(page.get_attribute(".sheet", "src"))
    assert len(sources) == 2 and all(one.startswith("data:image/png") for one in sources)
    assert page.locator(".uplot").count() >= 4
    assert page.locator("nav").count() == 0
