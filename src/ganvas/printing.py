"""What the commands print: lines and tables, or JSON on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganvas import config
from ganvas.terminal import as_argument, note, say, say_json, screen_width, table

if TYPE_CHECKING:
    from ganvas.comparison.compare import Comparison
    from ganvas.comparison.table import Column
    from ganvas.config import Run
    from ganvas.data.catalogue import Fetched, Listing
    from ganvas.data.inspection import Inspection
    from ganvas.metrics.rows import Row
    from ganvas.pixels import Pixels
    from ganvas.training.loop import Trained
    from ganvas.verbs.export import Exported
    from ganvas.verbs.import_weights import Imported


# train


def settings(run: Run, remarks: Sequence[str], as_json: bool) -> None:
    """Every setting, as in config.toml; remarks beside them, on standard error."""
    for remark in remarks:
        note(remark)
    if as_json:
        say_json(config.to_tables(run))
    else:
        say(config.save(run).removesuffix("\n"))


def trained(result: Trained, as_json: bool) -> None:
    """Where a run is and how far it came, with its last and its best evaluation."""
    from ganvas.metrics.words import verdict  # here, because it imports torch

    if as_json:
        rows = {key: [row.as_json() for row in getattr(result, key)] for key in ("last", "best")}
        say_json(vars(result) | rows)
    elif not result.finished:
        say(
            f"stopped after {result.images:,} images, all saved; "
            f"go on with: ganvas train --resume {as_argument(result.folder)}"
        )
    else:
        say(f"trained on {result.images:,} images in {result.seconds:,.0f} s: {result.folder}")
        _evaluations(result)
        say("  samples/ training.gif losses.png reals.png log.jsonl generator/")
        say(f"  more images: ganvas sample {as_argument(result.folder)}")
        deciding = [row for row in result.last if row.metric == result.decides] or result.last
        if words := "".join(map(verdict, deciding[:1])):
            say(f"how good: {words}")


def _evaluations(result: Trained) -> None:
    """The last and the best evaluation of a run, and what evaluating took."""
    if not result.last:
        return

    def said(rows: Sequence[Row]) -> str:
        return ", ".join(
            f"{row.metric} " + " ".join(f"{key} {_text(row.values[key])}" for key in row.values)
            for row in rows
        )

    last, best = result.last, result.best
    at = "".join(f"step {row.step:,}, {row.images:,} images: " for row in best[:1])
    at += str(result.folder / "best")
    if best == last:
        say(f"  last and best: {said(last)}; {at}")
    else:
        say(f"  last: {said(last)}")
        if best:
            say(f"  best: {said(best)}; {at}")
    floors = ", ".join(
        f"{row.metric} " + " ".join(f"{key} {_text(row.floor[key])}" for key in row.floor)
        for row in last
        if row.floor
    )
    share = 100 * result.evaluation_seconds / max(result.seconds, 1e-9)
    say(
        f"  real images: {floors or 'not measured'}; evaluating took "
        f"{result.evaluation_seconds:,.1f} s, {share:.1f} % of the training time"
    )


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if abs(value) >= 100 else f"{round(value, 9):.4g}"


# sample, evaluate, compare


def sampled(images: Pixels, files: Mapping[str, Path | None], as_json: bool) -> None:
    """Where images were written."""
    written = {kind: str(path) for kind, path in files.items() if path}
    if as_json:
        say_json({"images": len(images), "shape": images.shape[1:], "files": written})
    else:
        say(f"wrote {', '.join(written.values())}")


def metrics(rows: list[Row], as_json: bool) -> None:
    """Measured values, a table for each thing measured."""
    if as_json:
        say_json([row.as_json() for row in rows])
        return
    measured = {row.what: [other for other in rows if other.what == row.what] for row in rows}
    for what, of_it in measured.items():
        _measured(what, of_it)


def _measured(what: str, rows: Sequence[Row]) -> None:
    """A table of values, and what they were measured with."""
    from ganvas.metrics.words import verdict  # here, because it imports torch
    from ganvas.registry import METRICS

    lines = []
    for row in rows:
        for key, value in row.values.items():
            low, high = row.intervals.get(key, (None, None))
            interval = f"{_text(low)} to {_text(high)}" if low is not None else ""
            lines.append(
                [
                    f"{row.metric} {key}",
                    _text(value),
                    interval,
                    _text(row.floor.get(key)),
                    row.extractor,
                ]
            )
    table(what or "metrics", ["metric", "value", "95 % interval", "real images", "features"], lines)
    for row in rows:
        if told := f"not measured: {row.reason}" if row.reason else row.remark:
            say(f"{row.metric}: {told}")
    for row in {row.num_fake: row for row in rows}.values():
        known = ", which it was trained on" if row.recipe and row.split.startswith("train") else ""
        say(
            f"{row.num_fake:,} fakes against {row.num_reference:,} images of {row.data} "
            f"({row.split}, {row.fingerprint[:12]}){known}, seed {row.seed}"
        )
    for name, row in {row.extractor: row for row in rows}.items():
        accuracy = row.extractor_accuracy
        of = f" on {row.extractor_num_test:,} images" if row.extractor_num_test else ""
        parts = [f"{accuracy:.2%} accurate{of}" if accuracy is not None else "", row.note]
        parts += [f"resize: {row.resize}", f"SHA-256 {row.extractor_sha256[:12]}"]
        say(f"features {name}: {', '.join(part for part in parts if part)}")
    for row in rows:
        for name, settings in row.settings.items():
            rules = METRICS.get(name).rules if name in METRICS else ()
            if rules:
                say(f"{row.metric}: {', '.join(f'{rule} {settings[rule]}' for rule in rules)}")
    for row in rows:
        if row.picture:
            say(f"wrote {row.picture}")
    if words := next(filter(None, map(verdict, rows)), ""):
        say(f"how good: {words}")


def comparison(found: Comparison, html: Path | None, as_json: bool) -> None:
    """Mean and spread of each group, with its runs below, in as many tables as the width takes."""
    if as_json:
        say_json(found.as_json() | {"html": html and str(html)})
        return
    training = [column for column in found.columns if not column.is_metric]
    measured = [column for column in found.columns if column.is_metric]
    for title, columns in (("training", training), ("metrics", measured)):
        lines = _comparison_lines(found, columns, with_state=title == "training")
        head = ["group", *(["state"] if title == "training" else [])]
        head += [
            column.label.replace(" ", "\n" if title == "metrics" else " ") for column in columns
        ]
        if len(head) > 1:
            _in_parts(title, head, lines)
    for contrast in found.larger_than_chance:
        say(f"larger than chance: {contrast}")
    for remark in found.remarks:
        say(f"- {remark}")
    say(found.headline)
    say(f"wrote {html}")


def _comparison_lines(
    found: Comparison, columns: list[Column], *, with_state: bool
) -> list[list[str]]:
    lines = []
    for i, group in enumerate(found.groups):
        finished = sum(run.finished for run in group.runs)
        state = f"{finished} of {len(group.runs)} finished"
        if len(group.runs) == 1:
            state = group.runs[0].state
        texts = [column.text(i, len(group.counted)) for column in columns]
        lines.append([group.name, *([state] if with_state else []), *texts])
        for run in group.runs if len(group.runs) > 1 else ():
            values = [column.text_of_run(i, run.path) for column in columns]
            lines.append([f"  {run.name}", *([run.state] if with_state else []), *values])
    if not with_state:
        lines.append(["real images", *(column.floor_text for column in columns)])
    return lines


def _in_parts(title: str, head: list[str], lines: list[list[str]]) -> None:
    """A table with many columns as several, each as wide as the screen, the first column in all."""
    widths = [
        max(len(part) for cell in column for part in cell.split("\n")) + 3
        for column in zip(head, *lines, strict=True)
    ]
    start = 1
    while start < len(head):
        end, width = start + 1, widths[0] + widths[start]
        while end < len(head) and width + widths[end] <= screen_width():
            width += widths[end]
            end += 1
        table(title, [head[0], *head[start:end]], [[row[0], *row[start:end]] for row in lines])
        title, start = "", end


# export, import


def written(found: Exported | Imported, as_json: bool) -> None:
    """What a verb wrote, and how it was checked."""
    if as_json:
        say_json(vars(found))
    else:
        say(str(found))


# list, show


def names(families: Mapping[str, Mapping[str, str]], as_json: bool) -> None:
    """A table a family: names, and what each is."""
    if as_json:
        say_json(families)
        return
    for family, members in families.items():
        table(family, ["name", "what it is"], [[name, about] for name, about in members.items()])


def shown(found: dict[str, Any], as_json: bool) -> None:
    """What `ganvas show` found: a recipe, or a component."""
    if as_json:
        say_json(found)
    elif "recipe" in found:
        _recipe(found)
    elif "card" in found:
        say(found["card"])
    else:
        say(f"{found['name']} ({found['family']}): {found['about']}")
        _settings(found["settings"])


def _recipe(found: dict[str, Any]) -> None:
    """Nets, settings with their reasons, published results."""
    size = "x".join(str(n) for n in (*found["shape"][1:], found["shape"][0]))
    length = found["length"]
    if found["steps"] is not None:
        length += f", {found['steps']:,} steps"
    say(f"{found['recipe']}: {found['about']}")
    say(
        f"{found['images']:,} images of {size} from {found['data']}; "
        f"batch {found['batch_size']}, {found['steps_per_epoch']:,} steps an epoch, {length}"
    )
    for net in ("generator", "discriminator"):
        rows = [
            [
                row["layer"],
                "x".join(str(n) for n in row["output"]) or "1",
                f"{row['parameters']:,}",
                f"{row['multiply_adds']:,}",
            ]
            for row in found[net]["layers"]
        ]
        work = sum(row["multiply_adds"] for row in found[net]["layers"])
        table(
            f"{net}: {found[net]['parameters']:,} parameters, {work:,} multiply-adds an image",
            ["layer", "output", "parameters", "multiply-adds"],
            rows,
        )
    rows = [[row["setting"], str(row["value"]), row["reason"]] for row in found["settings"]]
    table("settings", ["setting", "value", "reason"], rows)
    if found["published"]:
        say(f"published ({found['published']['source']}):")
        for result in found["published"]["results"]:
            say(f"  - {result}")
    if found["pretrained"]:
        name = found["recipe"]
        say(f"pretrained: ganvas sample {name}; its card: ganvas show pretrained.{name}")


# data


def datasets(found: Sequence[Listing], as_json: bool) -> None:
    """What is there of each data set, and where."""
    if as_json:
        say_json([vars(listing) for listing in found])
        return
    rows = [
        [
            listing.dataset,
            listing.status,
            ", ".join(f"{split} {count:,}" for split, count in listing.splits.items()),
            str(listing.path or ""),
            listing.about,
        ]
        for listing in found
    ]
    table("data sets", ["name", "status", "images", "where", "what it is"], rows)


def dataset(found: dict[str, Any], as_json: bool) -> None:
    """What a data set is."""
    if as_json:
        say_json(found)
        return
    say(f"{found['dataset']}: {found['about']}")
    rows = []
    if "status" in found:
        counts = ", ".join(f"{split} {count:,}" for split, count in found["splits"].items())
        rows = [["status", found["status"]], ["where", str(found["path"] or "")]]
        rows += [["images", counts or f"{found['num_images'] or 'not known'}"]]
    if found.get("shape"):
        channels, height, width = found["shape"]
        rows.append(["size", f"{height}x{width}, {channels} channel{'s' if channels > 1 else ''}"])
    missing = set(found.get("missing", ()))
    for file in found["files"]:
        state = "missing" if file["name"] in missing else f"SHA-256 {file['sha256'] or 'not known'}"
        rows.append(["file", f"{file['name']}: {state}"])
    rows.append(["recipes", ", ".join(found["recipes"]) or "none of its own"])
    table("", ["", ""], rows)
    _settings(found["settings"])
    if missing:
        say(f"fetch it: ganvas data fetch {found['dataset']}")


def _settings(settings: Sequence[Mapping[str, Any]]) -> None:
    rows = [[row["setting"], str(row["default"]), row["about"]] for row in settings]
    if rows:
        table("settings", ["setting", "default", "what it is"], rows)


def fetched(found: Fetched, as_json: bool) -> None:
    """The files of a data set."""
    if as_json:
        say_json(vars(found))
    elif found.files:
        say("\n".join(map(str, found.files)))
    else:
        say(f"{found.dataset} needs no files")


def cleaned(freed: int, as_json: bool) -> None:
    """How much room the cache took."""
    if as_json:
        say_json({"freed": freed})
    else:
        say(f"freed {freed / 2**20:,.1f} MiB")


def inspection(found: Inspection, sheet: Path | None, as_json: bool) -> None:
    """What is in a data set, and where its sheet of samples was written."""
    if as_json:
        say_json(asdict(found) | {"sheet": sheet})
        return

    def counts(values: Mapping[Any, int]) -> str:
        shown = [f"{key}: {count:,}" for key, count in list(values.items())[:40]]
        return ", ".join(shown + (["..."] if len(values) > 40 else []))

    rows = [
        ["images", f"{found.count:,} ({counts(found.splits)})"],
        *([["held out", f"{found.held_out:,} of them, to measure with"]] if found.held_out else []),
        ["height x width", counts(found.sizes)],
        ["channels", counts(found.channels)],
        [
            "values",
            f"{found.value_range[0]} to {found.value_range[1]}, mean {found.mean_pixel:.4f} of 1",
        ],
        ["classes", counts(found.classes) or "no labels"],
        ["broken files", "\n".join(f"{b.file}: {b.reason}" for b in found.broken) or "none"],
        ["exact duplicates", f"{found.num_duplicates:,}"],
        *([["", f"{', '.join(d.images)} ({d.count})"] for d in found.duplicates[:10]]),
        ["SHA-256 of pixels", found.fingerprint],
        ["samples", str(sheet)],
    ]
    table(found.what, ["", ""], rows)
    for warning in found.warnings:
        say(f"warning: {warning}")
    say(f"to begin with: {found.suggestion.command}\n  {found.suggestion.why}")
