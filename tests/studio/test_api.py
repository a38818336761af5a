"""The API: the numbers and pictures of the command line, and clear refusals."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from studio.conftest import client_of

from ganvas.generator import load


def test_all_runs(studio: Any, runs: Path) -> None:
    found = studio.get("api/runs").json()
    assert (found["folder"], found["complete"]) == (str(runs), True)
    assert [run["id"] for run in found["runs"]] == ["tiny"]


def test_a_runs_log_and_metrics_are_those_of_its_files(studio: Any, runs: Path) -> None:
    from ganvas.rundir import RunFolder

    lines = RunFolder(runs / "tiny").read_log()
    found = studio.get("api/runs/tiny/log").json()
    assert found["columns"]["D/loss"] == [line["D/loss"] for line in lines]
    assert studio.get("api/runs/tiny/metrics").json() == {"metrics": []}


def test_sheets_and_files(studio: Any, runs: Path) -> None:
    sheets = studio.get("api/runs/tiny/sheets").json()["sheets"]
    answer = studio.get(f"api/runs/tiny/sheets/{sheets[0]['file']}")
    assert answer.content == (runs / "tiny/samples" / sheets[0]["file"]).read_bytes()
    assert answer.headers["content-type"] == "image/png"
    again = studio.get(
        f"api/runs/tiny/sheets/{sheets[0]['file']}",
        headers={"If-None-Match": answer.headers["etag"]},
    )
    assert again.status_code == 304
    config = studio.get("api/runs/tiny/files/config.toml")
    assert config.text == (runs / "tiny/config.toml").read_text()
    assert config.headers["content-disposition"] == "attachment"


def test_samples_are_those_of_the_command_line(
    studio: Any, runs: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    files = ("--grid", "a.png", "--npz", "a.npz", "--walk", "a.gif")
    assert cli("sample", runs / "tiny", "--num", 5, "--seed", 7, *files).code == 0
    for form, file in (("samples.png", "a.png"), ("walk.gif", "a.gif")):
        answer = studio.get(f"api/generators/tiny/{form}?num=5&seed=7")
        assert answer.content == Path(file).read_bytes()
    answer = studio.get("api/generators/tiny/samples.npz?num=5&seed=7")
    ours, theirs = np.load(io.BytesIO(answer.content)), np.load("a.npz")
    assert np.array_equal(ours["images"], theirs["images"])


def test_latents_of_a_seed_draw_its_samples(studio: Any, runs: Path) -> None:
    z = studio.get("api/generators/tiny/latents?num=3&seed=9").json()["z"]
    answer = studio.post("api/generators/tiny/draw", json={"z": z})
    n, c, h, w = map(int, answer.headers["x-shape"].split(","))
    drawn = np.frombuffer(answer.content, np.uint8).reshape(n, h, w, c).transpose(0, 3, 1, 2)
    expected = load(runs / "tiny").sample(3, 9)
    assert np.abs(drawn.astype(int) - expected).max() <= 1
    assert expected.std() > 1


def test_a_checkpoints_generator_is_the_saved_one_of_that_step(studio: Any) -> None:
    which = [one["which"] for one in studio.get("api/runs/tiny").json()["generators"]]
    newest, same, other = (
        np.frombuffer(
            studio.get(f"api/generators/tiny/samples.bin?num=4&which={one}").content, np.uint8
        )
        for one in ("newest", which[-1], which[-2])
    )
    assert which[-1].startswith("step-") and which[-2].startswith("step-")
    # weights at another place in memory may be summed in another order
    assert np.abs(newest.astype(int) - same).max() <= 1
    assert np.abs(newest.astype(int) - other).max() > 1


def test_raw_and_averaged_weights_of_a_checkpoint(train_tiny: Any, tmp_path: Path) -> None:
    quick = {"optim.generator.learning_rate": 0.02}
    train_tiny(tmp_path / "a", **quick, **{"ema.half_life": 10_000})
    client = client_of(tmp_path)
    which = client.get("api/runs/a").json()["generators"][-1]["which"]
    at = f"api/generators/a?which={which}"
    assert client.get(at).json()["averaged"]
    saved, averaged, raw = (
        np.frombuffer(client.get(f"api/generators/a/samples.bin?num=4&{one}").content, np.uint8)
        for one in ("which=newest", f"which={which}", f"which={which}&raw=1")
    )
    assert np.abs(saved.astype(int) - averaged).max() <= 1
    assert np.abs(saved.astype(int) - raw).max() > 1


def test_a_way_through_points_begins_at_the_first(studio: Any) -> None:
    z = studio.get("api/generators/tiny/latents?num=2").json()["z"]
    answer = studio.post("api/generators/tiny/way.gif", json={"z": z, "frames": 6})
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.n_frames) == ("GIF", 6)


def test_nearest_training_images(studio: Any, runs: Path) -> None:
    z = studio.get("api/generators/tiny/latents?num=1").json()["z"]
    answer = studio.post("api/generators/tiny/nearest", json={"z": z})
    assert answer.status_code == 200, answer.text
    distances = [float(one) for one in answer.headers["x-distances"].split(",")]
    assert distances == sorted(distances) and len(distances) == 8
    n, c, h, w = map(int, answer.headers["x-shape"].split(","))
    near = np.frombuffer(answer.content, np.uint8).reshape(n, h, w, c) / 255
    image = load(runs / "tiny").sample(1)[0].transpose(1, 2, 0) / 255
    assert distances[0] == pytest.approx(np.sqrt(((near[0] - image) ** 2).mean()), abs=2e-3)


def test_comparison_is_that_of_the_verb(studio: Any, runs: Path) -> None:
    import ganvas

    found = studio.get("api/compare?run=tiny").json()
    assert found["headline"] == ganvas.compare(runs / "tiny").headline
    assert found["ids"] == {str(runs / "tiny"): "tiny"}


def test_a_saved_generator_by_itself(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "tiny/generator", tmp_path / "given/mine")
    alone = client_of(tmp_path)
    found = alone.get("api/generators").json()["generators"]
    assert [(one["id"], one["kind"]) for one in found][-1] == ("given~mine", "saved")
    assert alone.get("api/generators/given~mine/samples.png?num=2").status_code == 200


def test_classes_and_truncation(labelled_generator: Path, tmp_path: Path) -> None:
    shutil.copytree(labelled_generator, tmp_path / "a")
    client, generator = client_of(tmp_path), load(tmp_path / "a")

    def drawn(answer: Any) -> Any:
        assert answer.status_code == 200, answer.text
        n, c, h, w = map(int, answer.headers["x-shape"].split(","))
        return np.frombuffer(answer.content, np.uint8).reshape(n, h, w, c).transpose(0, 3, 1, 2)

    at = "api/generators/a"
    assert client.get(at).json()["classes"] == list(generator.classes)
    for given in ("T-shirt/top", "Dress", "dress", "3"):
        found = drawn(client.get(f"{at}/samples.bin", params={"num": 3, "class": given}))
        assert np.array_equal(found, generator.sample(3, labels=given))
    found = drawn(client.get(f"{at}/samples.bin?num=3&truncation=0.5"))
    assert np.array_equal(found, generator.sample(3, truncation=0.5))
    latents = client.get(f"{at}/latents?num=3").json()
    assert latents["classes"] == generator.labelled(3).labels.tolist()
    found = drawn(client.post(f"{at}/draw", json=latents))
    assert np.abs(found.astype(int) - generator.sample(3)).max() <= 1
    archive = np.load(io.BytesIO(client.get(f"{at}/samples.npz?num=3").content))
    assert archive["labels"].tolist() == latents["classes"]
    assert client.get(f"{at}/samples.png?class=Hat").status_code == 400
    assert client.post(f"{at}/draw", json=latents | {"classes": [9, 9, 9]}).status_code == 400


def test_a_pretrained_generator(studio: Any) -> None:
    found = studio.get("api/generators").json()["generators"]
    name = next(one for one in found if one["kind"] == "pretrained")["name"]
    answer = studio.get(f"api/generators/pretrained.{name}/samples.bin?num=2&seed=3")
    drawn = np.frombuffer(answer.content, np.uint8)
    assert np.array_equal(drawn, load(name).sample(2, 3).transpose(0, 2, 3, 1).ravel())
    assert studio.get("api/generators/pretrained.none").status_code == 404


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("generators/tiny/samples.png?num=0", "num: found 0; allowed"),
        ("generators/tiny/samples.png?num=257", "1 to 256"),
        ("generators/tiny/samples.png?num=many", "whole number"),
        ("generators/tiny/samples.png?seed=-1", "seed"),
        ("generators/tiny/samples.png?class=1", "takes none"),
        ("generators/tiny/samples.png?truncation=2", "a number from 0 to 1"),
        ("generators/tiny?which=../best", "which: found"),
        ("runs/tiny/log?offset=x", "offset"),
        ("compare", "found 0 runs"),
    ],
)
def test_wrong_values_get_one_line(studio: Any, path: str, says: str) -> None:
    answer = studio.get(f"api/{path}")
    assert answer.status_code == 400
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"z": 1}', '{"z": [[1]]}', '{"z": [["a","b","c","d"]]}',
             '{"z": [[NaN, 0, 0, 0]]}', '{"z": [[1e9, 0, 0, 0]]}', '{"z": ' + "[" * 5000]
)  # fmt: skip
def test_wrong_latents_get_one_line(studio: Any, body: str) -> None:
    answer = studio.post("api/generators/tiny/draw", content=body)
    assert answer.status_code == 400 and "allowed" in answer.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "runs/none", "runs/..", "runs/%2e%2e", "runs/tiny/sheets/..%2fconfig.toml",
        "runs/tiny/sheets/config.toml", "runs/tiny/files/../config.toml", "runs/tiny/files/.lock",
        "runs/tiny/files/%2e%2e/%2e%2e/etc/passwd", "runs/tiny/files//etc/passwd", "nothing",
        "generators/none", "runs/tiny/sheets/.png", "runs/tiny/sheets/a%00.png",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(studio: Any, path: str) -> None:
    assert studio.get(f"api/{path}").status_code == 404


def test_links_that_lead_out_are_not_followed(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "tiny", tmp_path / "runs/a")
    (tmp_path / "secret.png").write_bytes(b"secret")
    for name in ("samples/epoch-0099.png", "notes.txt"):
        (tmp_path / "runs/a" / name).symlink_to(tmp_path / "secret.png")
    client = client_of(tmp_path / "runs")
    assert client.get("api/runs/a/sheets/epoch-0099.png").status_code == 404
    assert client.get("api/runs/a/files/notes.txt").status_code == 404
    detail = client.get("api/runs/a").json()
    assert "notes.txt" not in {one["file"] for one in detail["files"]}
    assert "epoch-0099.png" not in {one["file"] for one in detail["sheets"]}


def test_a_damaged_generator_says_so(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "tiny", tmp_path / "a")
    (tmp_path / "a/generator/model.safetensors").write_bytes(b"\x80\x04nonsense")
    answer = client_of(tmp_path).get("api/generators/a/samples.png")
    assert answer.status_code == 400 and "damaged" in answer.json()["error"]


def test_numbers_that_are_not_finite_are_null(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    row = {"metric": "fd2k", "values": {"distance": float("nan")}, "step": 1}
    make_run("a", log=[{"step": 1, "D/loss": float("inf")}], metrics=[row])
    client = client_of(tmp_path)
    assert client.get("api/runs/a/metrics").json()["metrics"][0]["values"] == {"distance": None}
    assert client.get("api/runs/a/log").json()["columns"]["D/loss"] == [None]


def test_runs_are_never_asked_for_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, ganvas.studio.serving; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'ganvas.training.loop')))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_description_of_the_api_names_every_address(runs: Path) -> None:
    import json
    from importlib import resources

    from ganvas.studio.api import Api
    from ganvas.studio.library import Library
    from ganvas.studio.live import Hub

    text = (resources.files("ganvas.studio") / "static/openapi.json").read_text()
    described = {
        (path, method.upper()) for path, of in json.loads(text)["paths"].items() for method in of
    }
    routes = {
        (route.path.replace("{file:path}", "{file}"), method)
        for route in Api(Hub(Library(runs))).routes()
        for method in (route.methods or ()) - {"HEAD"}
    }
    assert described == routes
