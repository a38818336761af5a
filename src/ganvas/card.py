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
from ganvas.pretrained import hub
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
DATA_LICENCES: Final = {
    "mnist": "CC BY-SA 3.0",
    "fashion-mnist": "MIT",
    "mnist-classes": "CC BY-SA 3.0, that of MNIST",
    "emnist-letters": "none stated; NIST Special Database 19 is in the public domain",
    "cifar10": "none stated; its authors ask to be cited",
    "digits": "CC BY 4.0",
    "alphabet": "drawn from typefaces under the Bitstream Vera, SIL Open Font and BaKoMa licences",
}
"""What the data sets with a name are published under."""

_NO_PART: Final = ("recipe", "seed", "output.", "evaluate.")
"""Settings that a card has elsewhere, or that leave the generator as it is."""


def provenance(run: Run, folder: Path) -> dict[str, Any]:
    """What config.json says of the training of a run's generator that is saved in `folder`."""
    tables, environment = config.to_tables(run), _environment(RunFolder(folder.parent))
    known = environment.get("data", {})
    data = {key: known[key] for key in ("images", "sha256") if key in known}
    return {
        "seed": run.seed,
        "length": _length(run),
        "changed": _changed(run.recipe, tables),
        "data": {"name": tables["data"]["name"]} | data,
        "machine": _machine(environment),
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


def _environment(folder: RunFolder) -> dict[str, Any]:
    """Where and on what a run was trained, where there is a run."""
    if not (folder.config.is_file() and folder.environment.is_file()):
        return {}
    return folder.read_environment()


def _machine(environment: Mapping[str, Any]) -> str:
    """'AMD EPYC (AVX512), 1 thread, device cpu, float32, PyTorch 2.13.0'; empty if unknown."""
    if not environment.get("processor"):
        return ""
    kind, threads = environment.get("cpu_capability"), environment.get("threads")
    parts = [
        environment["processor"] + (f" ({kind})" if kind else ""),
        f"{threads} thread{'' if threads == 1 else 's'}" if threads else "",
        f"device {environment.get('device', LACKING)}",
        str(environment.get("precision", "")),
        f"PyTorch {environment.get('versions', {}).get('torch', LACKING)}",
    ]
    return ", ".join(filter(None, parts))


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
    classes: tuple[str, ...]
    """Names of the classes that can be asked for."""
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
    data_licence: str
    """What the training images are published under."""
    machine: str
    weights: str
    """How the weights are packed, and what that did to the distance; empty if they are not."""
    notes: tuple[str, ...]
    """What was seen of its images, in sentences."""
    rows: tuple[dict[str, Any], ...]
    """The newest row of each metric of each protocol that was measured of this generator."""

    # What it says

    @property
    def summary(self) -> str:
        channels, height, width = self.shape
        colours = {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels, f"{channels}-channel")
        data = f", trained on `{self.data}`" if self.data else ""
        asked = f", with {len(self.classes)} classes to choose from" if self.classes else ""
        return (
            f"Draws {colours} images of {height}x{width} pixels: "
            f"the generator of a GAN{data} by the recipe `{self.recipe}`{asked}."
        )

    @property
    def facts(self) -> dict[str, str]:
        """Its table, row by row."""
        changed = ", ".join(f"{key} = {value}" for key, value in self.changed.items())
        images = "" if self.data_images is None else f"{self.data_images:,} images"
        digest = self.data_sha256 and f"SHA-256 of the pixels {self.data_sha256}"
        classes = f"{len(self.classes)}: {', '.join(self.classes)}"
        shown = f"{self.images_seen:,} real images shown" if self.images_seen else ""
        origin = {"origin": self.origin} if self.origin else {}
        return origin | {
            "recipe": ": ".join(filter(None, (self.recipe, self.about))),
            "net": f"{self.model}, {self.parameters:,} parameters",
            "latent": f"{self.dims} values, {self.latent}",
            **({"classes": classes} if self.classes else {}),
            "data": ", ".join(filter(None, (self.data, images, digest))) or LACKING,
            "licence of the data": self.data_licence or LACKING,
            "length": ", ".join(filter(None, (self.length, shown))) or LACKING,
            "seed": LACKING if self.seed is None else str(self.seed),
            "settings changed": changed or "none",
            **({"machine": self.machine} if self.machine else {}),
            **({"weights": self.weights} if self.weights else {}),
            "licence": self.licence or LACKING,
        }

    @property
    def limits(self) -> tuple[str, ...]:
        """What it cannot do: what was seen of this one, and what holds for all."""
        return (*self.notes, *LIMITS)

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
            "## Limits\n\n" + "".join(f"- {line}\n" for line in self.limits),
        ]
        if lacks := self.lacks():
            parts.append("## What this card lacks\n\n" + "".join(f"- {x}\n" for x in lacks))
        return "\n".join(parts)

    def usage(self, where: str) -> str:
        channels, height, width = self.shape
        labels = f", labels=[{len(self.classes) - 1}] * 16" if self.classes else ""
        return (
            "import ganvas\n"
            f'generator = ganvas.load("{where}")\n'
            f"images = generator.sample(16, seed=0{labels})"
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
    tested = row.get("extractor_num_test")
    of = f" on {tested:,} images" if tested else ""
    features += f", accuracy {accuracy:.2%}{of})" if accuracy else ")"
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


def read(folder: Path, parameters: int, images_seen: int, classes: tuple[str, ...] = ()) -> Card:
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
            classes=classes,
            images_seen=images_seen,
            licence=training.get("licence", ""),
            origin=training.get("origin", "") or hub.origin(folder),
            seed=training.get("seed"),
            length=training.get("length", ""),
            changed=dict(training.get("changed", {})),
            data=data.get("name", ""),
            data_images=data.get("images"),
            data_sha256=data.get("sha256", ""),
            data_licence=DATA_LICENCES.get(data.get("name", ""), ""),
            machine=training.get("machine", ""),
            weights=training.get("weights", ""),
            notes=tuple(map(str, training.get("notes", ()))),
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
