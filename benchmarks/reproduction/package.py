"""Put the generators of finished runs into the package, as small as their distance allows."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproduction.folder import NUM, Folder, Line
from reproduction.keep import size
from reproduction.measure import METRICS, REFEREES

PREFIX = "generator-"
FORMS = ("int8", "float16")
"""What is tried, the smaller one first."""
LICENCE = "mit"
"""That of the package."""


@dataclass(frozen=True)
class Distance:
    """A Fréchet distance with its interval."""

    metric: str
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, row: Line) -> Distance:
        low, high = row["intervals"]["distance"]
        return cls(row["metric"], row["values"]["distance"], low, high)

    def holds(self, other: Distance) -> bool:
        """Whether another one is so near that the interval of this one has it."""
        return self.low <= other.value <= self.high

    def __str__(self) -> str:
        return f"{self.value:.4g}"


def package(folder: Folder, into: Path, limit: int) -> str:
    """Write `into`/generator-RECIPE from a finished run's last generator; returns a line on it.

    Weights are of 8 bits if the Fréchet distance stays within its 95 % interval by that, and
    halves otherwise. The card has what was measured of the packed generator. `limit` is what all
    generators may take, in bytes.
    """
    planned = folder.planned
    if not folder.is_finished:
        return f"{planned.name}: not finished, left out"
    if planned.epochs or planned.seed:
        return f"{planned.name}: left out, seed 0 at the recipe's own length is taken"
    measured = folder.measured(folder.images)
    if lacking := [name for name in METRICS if name not in measured]:
        return f"{planned.name}: left out, {', '.join(lacking)} not measured; run evaluate first"
    before, tried = Distance.of(measured["fd"]), []
    target = into / f"{PREFIX}{planned.recipe}"
    if known := known_of(folder, target):
        write_packed(folder.path / "generator", target, known.pop("form"), facts(folder) | known)
        return f"{planned.name}: as it was, {known['weights']}"
    with tempfile.TemporaryDirectory() as temporary:
        for form in FORMS:
            packed = Path(temporary) / form
            write_packed(folder.path / "generator", packed, form, facts(folder))
            after = Distance.of(evaluated(packed, folder, ["fd"])[0])
            tried.append(f"{form} {after}")
            if before.holds(after):
                break
        else:
            moved = ", ".join(tried)
            return f"{planned.name}: left out, {before.metric} {before} moves to {moved}"
        told = words(form, before, after)
        rows = evaluated(packed, folder, METRICS)
        write_packed(
            folder.path / "generator", packed, form, facts(folder) | {"weights": told, "rows": rows}
        )
        others = sum(size(path) for path in into.glob(f"{PREFIX}*") if path != target)
        if others + size(packed) > limit:
            return (
                f"{planned.name}: left out, its {size(packed) / 1e6:.1f} MB and the "
                f"{others / 1e6:.1f} MB that are there are over {limit / 1e6:.1f} MB"
            )
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(packed, target)
    return f"{planned.name}: {size(target) / 1e6:.1f} MB, {told}"


def known_of(folder: Folder, target: Path) -> dict[str, Any]:
    """Form, words and rows of a packed generator that has these weights; empty if there is none."""
    for form in FORMS:
        if has_weights(target, folder.path / "generator", form):
            text = (target / "config.json").read_text(encoding="utf-8")
            training = json.loads(text)["training"]
            return {"form": form} | {key: training[key] for key in ("weights", "rows")}
    return {}


def has_weights(target: Path, source: Path, form: str) -> bool:
    """Whether there is a packed generator in `target`, of this form and of the source's weights."""
    from safetensors import safe_open

    from ganvas import compact
    from ganvas.generator import load

    if not (target / "model.safetensors").is_file():
        return False
    with safe_open(target / "model.safetensors", "pt") as file:
        there = {name: file.get_tensor(name) for name in file.keys()}
        same_form = file.metadata()[compact.FORM] == form
    packed = compact.pack(load(source).net, form)
    same_names = packed.keys() == there.keys()
    return same_form and same_names and all(packed[name].equal(there[name]) for name in packed)


def words(form: str, before: Distance, after: Distance) -> str:
    from ganvas.compact import WORDS

    return (
        f"{WORDS[form]}: {before.metric} {before} with 32 bits "
        f"({before.low:.4g} to {before.high:.4g}), {after} with these"
    )


def write_packed(source: Path, folder: Path, form: str, known: dict[str, Any]) -> None:
    """A saved generator again with packed weights, what is known of its training, and a card."""
    from safetensors.torch import save_file

    from ganvas import compact
    from ganvas.generator import card_of, load

    generator = load(source)
    settings = json.loads((source / "config.json").read_text(encoding="utf-8"))
    settings["training"] = settings.get("training", {}) | known
    folder.mkdir(parents=True, exist_ok=True)
    if not has_weights(folder, source, form):  # two files of the same weights may differ in order
        save_file(
            compact.pack(generator.net, form),
            folder / "model.safetensors",
            {"images_seen": str(generator.images_seen), compact.FORM: form},
        )
    text = json.dumps(settings, indent=1, ensure_ascii=False) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    card = card_of(load(folder), folder)
    (folder / "README.md").write_text(card.text(card.recipe), encoding="utf-8")


def facts(folder: Folder) -> dict[str, Any]:
    """What the run says of its training, of today's cards, and what its sheets show."""
    from ganvas import card, config

    run = config.load(folder.path / "config.toml", to_train=False)
    return card.provenance(run, folder.path / "generator") | {
        "licence": LICENCE,
        "notes": notes(folder),
    }


def notes(folder: Folder) -> list[str]:
    """Legible tiles of the last sheet, by eye and by the referee, and of 1,000 images."""
    counted, seen = folder.note("legible.json"), folder.note("by-eye.json")
    found = []
    last = str(max(folder.shown_sheets(), default=0))
    if by_eye := seen.get(last):
        tiles = counted.get("sheets", {}).get(last, {}).get("tiles", "the")
        found.append(
            f"By eye {by_eye['legible']} of {tiles} tiles of its sheet at the end can be read "
            f"(published: {folder.planned.published['tiles']}): {by_eye['words']}."
        )
    if drawn := counted.get("drawn"):
        share = 100 * drawn["legible"] / drawn["tiles"]
        found.append(
            f"The referee, {counted['referee']}, is over 90 % sure of {share:.1f} % of "
            f"{drawn['tiles']:,} images; a classifier is often sure of nonsense too."
        )
    return found


def evaluated(generator: Path, folder: Folder, metrics: list[str] | tuple[str, ...]) -> list[Line]:
    """Rows of a generator, as the run's own were measured."""
    import ganvas

    data = REFEREES.get(folder.config["data"]["name"])
    rows = ganvas.evaluate(generator, data=data, metrics=list(metrics), num=NUM)
    return [row.as_json() | {"picture": ""} for row in rows]
