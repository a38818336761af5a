"""A model card: what a saved generator is, where it comes from, what was measured of it.

The facts stand in the generator's config.json, its weights, and, of a generator in a run folder,
in the run's metrics.jsonl; README.md says them in words.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ganvas import config
from ganvas.config import Run
from ganvas.errors import UsageError
from ganvas.rundir import RunFolder

LACKING: Final = "not stated"
CONFIG: Final = "config.json"
LIMITS: Final = (
    "It draws what its training images show, and shares their gaps and biases.",
    "Images may resemble single training images: see memorisation.",
    "`fd` and `kd` are distances in the features named beside them. They are not FID or KID, and "
    "compare only with numbers of the same protocol.",
    "It was made for study. Nothing has been tested that a decision about people may rest on.",
)


_NO_PART: Final = ("recipe", "seed", "output.", "evaluate.")
"""Settings that a card has elsewhere, or that leave the generator as it is."""


def provenance(run: Run, folder: Path) -> dict[str, Any]:
    """What config.json says of the training of a run's generator that is saved in `folder`."""
    tables = config.to_tables(run)
    return {
        "seed": run.seed,
        "length": _length(run),
        "changed": _changed(run.recipe, tables),
        "data": {"name": tables["data"]["name"]} | _data_of(RunFolder(folder.parent)),
    }


def _length(run: Run) -> str:
    length = run.train.length
    return f"{length.amount:,g} {length.unit}"


def _changed(recipe: str, tables: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are not the recipe's: "loss.name" -> "least-squares"; no one's folders."""
    if recipe not in config.recipe_names():
        return {}
    _, usual = _recipe(recipe)
    found = {
        key: value
        for key, value in config.leaves(tables)
        if not key.startswith(_NO_PART) and usual.get(key) != value
    }
    return found | ({"data.path": Path(found["data.path"]).name} if "data.path" in found else {})


@functools.cache  # a generator is saved with each checkpoint, and reading TOML takes a while
def _recipe(name: str) -> tuple[str, dict[str, Any]]:
    """What a bundled recipe is, and its settings."""
    recipe = config.read_recipe(name)
    return recipe.about, dict(config.leaves(config.to_tables(config.build(recipe.tables))))


def _data_of(folder: RunFolder) -> dict[str, Any]:
    """Number and SHA-256 of the images that a run was trained on, where there is a run."""
    if not (folder.config.is_file() and folder.environment.is_file()):
        return {}
    data = folder.read_environment().get("data", {})
    return {key: data[key] for key in ("images", "sha256") if key in data}


@dataclass(frozen=True)
class Card:
    """What is known of a saved generator; None or empty where nothing is."""

    recipe: str
    about: str
    """The recipe in one line."""
    model: str
    parameters: int
    latent: str
    dims: int
    shape: tuple[int, int, int]
    """Channels, height, width."""
    images_seen: int
    """Real images shown in training."""
    licence: str
    """The generator's own, by its SPDX name."""
    origin: str
    """Where the weights were trained, if not by ganvas."""
    seed: int | None
    length: str
    changed: dict[str, Any]
    """The settings that are not the recipe's."""
    data: str
    data_images: int | None
    data_sha256: str
    rows: tuple[dict[str, Any], ...]
    """The newest row of each metric of each protocol that was measured of this generator."""

    # What it says

    @property
    def summary(self) -> str:
        channels, height, width = self.shape
        colours = {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels, f"{channels}-channel")
        data = f", trained on `{self.data}`" if self.data else ""
        return (
            f"Draws {colours} images of {height}x{width} pixels: "
            f"the generator of a GAN{data} by the recipe `{self.recipe}`."
        )

    @property
    def facts(self) -> dict[str, str]:
        """Its table, row by row."""
        changed = ", ".join(f"{key} = {value}" for key, value in self.changed.items())
        images = "" if self.data_images is None else f"{self.data_images:,} images"
        digest = self.data_sha256 and f"SHA-256 of the pixels {self.data_sha256}"
        shown = f"{self.images_seen:,} real images shown" if self.images_seen else ""
        origin = {"origin": self.origin} if self.origin else {}
        return origin | {
            "recipe": ": ".join(filter(None, (self.recipe, self.about))),
            "net": f"{self.model}, {self.parameters:,} parameters",
            "latent": f"{self.dims} values, {self.latent}",
            "data": ", ".join(filter(None, (self.data, images, digest))) or LACKING,
            "length": ", ".join(filter(None, (self.length, shown))) or LACKING,
            "seed": LACKING if self.seed is None else str(self.seed),
            "settings changed": changed or "none",
            "licence": self.licence or LACKING,
        }

    def lacks(self) -> list[str]:
        """What a reader would miss, each with what to do about it."""
        measured = {str(row["metric"]).rstrip("0123456789k") for row in self.rows}
        wanted = {
            "licence": (self.licence, "--license NAME on export"),
            "seed": (self.seed is not None, "save it from a run"),
            "SHA-256 of the data": (self.data_sha256, "save it from a run"),
            "number of training images": (self.data_images, "save it from a run"),
            "distance": (measured & {"fd", "fid"}, "ganvas evaluate RUN"),
            "memorisation": ("memorisation" in measured, "ganvas evaluate RUN"),
            "duplicates": ("duplicates" in measured, "ganvas evaluate RUN --metrics duplicates"),
        }
        return [f"{what}: {remedy}" for what, (there, remedy) in wanted.items() if not there]

    def text(self, where: str = "path/to/this/folder") -> str:
        """The card as Markdown; `where` stands for the generator in the lines of code."""
        facts = "".join(f"| {key} | {_cell(value)} |\n" for key, value in self.facts.items())
        parts = [
            f"# {self.recipe}\n\n{self.summary}\n",
            f"## Use\n\n```python\n{self.usage(where)}\n```\n",
            f"## Training\n\n| | |\n|---|---|\n{facts}",
            f"## Measured\n\n{self._measured()}",
            "## Limits\n\n" + "".join(f"- {line}\n" for line in LIMITS),
        ]
        if lacks := self.lacks():
            parts.append("## What this card lacks\n\n" + "".join(f"- {x}\n" for x in lacks))
        return "\n".join(parts)

    def usage(self, where: str) -> str:
        channels, height, width = self.shape
        return (
            "import ganvas\n"
            f'generator = ganvas.load("{where}")\n'
            "images = generator.sample(16, seed=0)"
            f"  # uint8, (16, {channels}, {height}, {width})"
        )

    def _measured(self) -> str:
        if not self.rows:
            return "Nothing yet.\n"
        head = (
            "| metric | value | 95 % interval | real images | protocol |\n|---|---|---|---|---|\n"
        )
        cells = [map(_cell, line) for row in self.rows for line in lines(row)]
        return head + "".join(f"| {' | '.join(line)} |\n" for line in cells)


def lines(row: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """A row of metrics as lines: name, value, interval, floor, protocol."""
    for i, (key, value) in enumerate(row["values"].items()):
        name = row["metric"] if len(row["values"]) == 1 else f"{row['metric']} {key}"
        low_high = row.get("intervals", {}).get(key, ())
        floor = row.get("floor", {}).get(key)
        yield (
            name,
            number(value),
            " to ".join(map(number, low_high)),
            "" if floor is None else number(floor),
            "as above" if i else protocol(row),
        )


def protocol(row: Mapping[str, Any]) -> str:
    """How a number was measured, in one line."""
    accuracy = row.get("extractor_accuracy")
    features = f"features {row.get('extractor', '')} ({str(row.get('extractor_sha256'))[:12]}"
    features += f", accuracy {accuracy:.2%})" if accuracy else ")"
    data = f"{public(row.get('data', ''))} {row.get('split', '')}"
    return (
        f"{row.get('num_fake', 0):,} fakes against {row.get('num_reference', 0):,} images of "
        f"{data} ({str(row.get('fingerprint'))[:12]}), "
        f"{features}, resize {row.get('resize', '')}, seed {row.get('seed', '')}"
    )


def public(data: str) -> str:
    """'folder /home/me/cats' as 'folder cats': a card is read by strangers."""
    name, _, path = data.partition(" ")
    return f"{name} {Path(path).name}" if path else name


def number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "none"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def read(folder: Path, parameters: int, images_seen: int) -> Card:
    """The card of the generator saved in `folder`; the two numbers are what its weights say.

    Raises:
        UsageError: its config.json is damaged.
    """
    path, run = folder / CONFIG, RunFolder(folder.parent)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        training = settings.get("training", {})
        if not training and run.config.is_file():  # saved before cards had these facts
            training = provenance(config.load(run.config), folder)
        data = training.get("data", {})
        recipe = str(settings["recipe"])
        latent = settings["latent"]
        channels, height, width = settings["shape"]
        rows = training.get("rows") or run.read_metrics()
        return Card(
            recipe=recipe,
            about=_recipe(recipe)[0] if recipe in config.recipe_names() else "",
            model=settings["model"]["name"],
            parameters=parameters,
            latent=latent["name"],
            dims=latent["dims"],
            shape=(channels, height, width),
            images_seen=images_seen,
            licence=training.get("licence", ""),
            origin=training.get("origin", ""),
            seed=training.get("seed"),
            length=training.get("length", ""),
            changed=dict(training.get("changed", {})),
            data=data.get("name", ""),
            data_images=data.get("images"),
            data_sha256=data.get("sha256", ""),
            rows=_newest(rows, images_seen),
        )
    except KeyError as error:
        raise UsageError(f"'{path}' is damaged: it lacks {error}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"'{path}' is damaged: {error}") from None


def _newest(rows: Iterable[Any], images_seen: int) -> tuple[dict[str, Any], ...]:
    """The rows of the generator of so many images, the newest of each metric and protocol."""
    newest: dict[tuple[object, ...], dict[str, Any]] = {}
    for row in rows:
        if row.get("images") == images_seen and row.get("metric") and dict(row.get("values", {})):
            newest[row["metric"], protocol(row)] = row
    return tuple(newest.values())
