"""The report: tables from run folders, beside what the published documents say."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence

from reproduction.folder import Folder, Line
from reproduction.measure import SURE
from reproduction.plan import PLAN

OVER = 250
"""Steps that a single-step loss is also averaged over, up to and with it."""


def report(folders: Sequence[Folder]) -> str:
    """The whole page, in Markdown."""
    begun = [folder for folder in folders if folder.has_begun and folder.log]
    parts = [
        *_head(begun),
        "## Every run\n",
        *_runs(begun),
        "\n## What was measured\n",
        *_metrics(begun),
        "\n## Losses of single steps: CS231n\n",
        *single_steps(begun),
        "\n## Losses of the others\n",
        *spans(begun),
        "\n## Legible tiles\n",
        *_legible(begun),
        "\n## Not finished\n",
        *_unfinished(folders),
    ]
    return "\n".join(parts) + "\n"


def _head(folders: Sequence[Folder]) -> Iterator[str]:
    yield "# The published systems, run to their end\n"
    yield (
        "Made by `python benchmarks/reproduce.py report` from run folders alone, "
        f"{time.strftime('%Y-%m-%d')}. A run's length is that of the published document, its "
        "settings are those of the recipe of that name."
    )
    machines: dict[str, list[str]] = {}
    for folder in folders:
        machines.setdefault(_machine(folder), []).append(folder.planned.name)
    for machine, names in machines.items():
        yield f"\n- {machine}: {len(names)} run{'s' if len(names) > 1 else ''}"
    yield ""


def _machine(folder: Folder) -> str:
    found = folder.environment
    versions = found["versions"]
    parts = [
        f"{found['processor']} ({found.get('cpu_capability', '')})",
        f"{found['threads']} thread{'s' if found['threads'] > 1 else ''}",
        f"device {found['device']}",
        f"PyTorch {versions['torch']}",
        f"ganvas {versions['ganvas']} ({found['source_sha256'][:8]})",
    ]
    return ", ".join(parts)


def _runs(folders: Sequence[Folder]) -> Iterator[str]:
    yield from header("run", "steps", "of published", "state", "training time", "images/s",
                       "precision", "device")  # fmt: skip
    for folder in folders:
        planned = folder.planned
        yield row(
            folder.planned.name,
            f"{folder.step:,}",
            f"{100 * folder.step / planned.steps:.3g} % of {planned.steps:,}",
            "finished" if folder.is_finished else "**not finished**",
            clock(folder.seconds),
            f"{folder.images / max(folder.seconds, 1e-9):,.0f}",
            folder.environment["precision"],
            folder.environment["device"],
        )


# Metrics


COLUMNS = (
    ("Fréchet distance", "fd", "distance", ".4g"),
    ("kernel distance", "kd", "distance", ".3g"),
    ("precision", "prdc", "precision", ".3f"),
    ("recall", "prdc", "recall", ".3f"),
    ("density", "prdc", "density", ".3f"),
    ("coverage", "prdc", "coverage", ".3f"),
    ("classes hit", "classes", "classes_hit", ".0f"),
    ("score", "classes", "score", ".2f"),
    ("copied", "memorisation", "copied", ".2%"),
    ("closer", "memorisation", "closer", ".1%"),
    ("exact duplicates", "duplicates", "exact", ".2%"),
    ("near", "duplicates", "near", ".2%"),
)
"""Title, the metric's short name, its value, how it is shown."""


def _metrics(folders: Sequence[Folder]) -> Iterator[str]:
    yield (
        "10,000 images of each generator against 10,000 test images; in brackets the 95 % "
        "interval over images. *Last* is the generator at the end, *best* the one with "
        "the least distance of those measured on the way, so it is chosen by 2,000 images and "
        "measured again here. *Real images* are training images in the generator's place: what a "
        "perfect generator comes out about. *Copied*: nearer to a training image than a third of "
        "the distance to the next; *closer*: nearer to a training image than to any unseen one "
        "(half of real ones are). *Near* duplicates are nearer to another fake than 99 % of real "
        "images are to theirs.\n"
    )
    groups: dict[tuple[str, str], list[tuple[Folder, str, int, dict[str, Line]]]] = {}
    for folder in folders:
        for which, images in _generators(folder).items():
            rows = folder.measured(images)
            if "fd" in rows:
                key = rows["fd"]["data"], rows["fd"]["fingerprint"]
                groups.setdefault(key, []).append((folder, which, images, rows))
    if not groups:
        yield "Nothing yet."
    for (data, _), members in groups.items():
        distance = members[0][3]["fd"]
        yield (
            f"### Against {data}\n\nFeatures: {distance['extractor']}, accuracy "
            f"{100 * (distance['extractor_accuracy'] or 0):.2f} %; images resized: "
            f"{distance['resize']}.\n"
        )
        yield from header("run", "generator", *(title for title, *_ in COLUMNS))
        for folder, which, images, rows in members:
            cells = [_cell(rows, *column) for column in COLUMNS]
            step = folder.step_of(images)
            yield row(folder.planned.name, f"{which}, step {step:,}", *cells)
        floors = {short: line for _, _, _, rows in members for short, line in rows.items()}
        yield row("real images", "floor", *(_floor(floors, *column) for column in COLUMNS))
        yield ""


def _generators(folder: Folder) -> dict[str, int]:
    """Images shown to the last and to the best generator, in one if they are the same."""
    found = folder.generators()
    if "last" in found and found.get("last") == found.get("best"):
        return {"last and best": found["last"]}
    return found


def _cell(rows: dict[str, Line], title: str, short: str, value: str, form: str) -> str:
    if short not in rows or value not in rows[short]["values"]:
        return "-"
    shown = _shown(rows[short]["values"][value], form)
    interval = rows[short]["intervals"].get(value)
    if interval and short == "fd":
        shown += f" ({_shown(interval[0], form)} to {_shown(interval[1], form)})"
    return shown


def _floor(rows: dict[str, Line], title: str, short: str, value: str, form: str) -> str:
    found = rows.get(short, {}).get("floor", {}).get(value)
    return "-" if found is None else _shown(found, form)


def _shown(value: float, form: str) -> str:
    return format(value, form).replace("%", " %")


# Losses


def single_steps(folders: Sequence[Folder]) -> Iterator[str]:
    yield (
        "Mean and standard deviation over the seeds that have come so far. The notebook counts "
        "from 0, so its step 3,750 is our 3,751st update, and as the images come in file order, "
        "on the same real batch. Single steps scatter; beside them the mean over the last "
        f"{OVER} steps of each seed.\n"
    )
    yield from header("recipe", "step", "seeds", "D published", "D ours", f"D, {OVER} steps",
                       "G published", "G ours", f"G, {OVER} steps")  # fmt: skip
    for recipe in dict.fromkeys(planned.recipe for planned in PLAN):
        same = [folder for folder in folders if folder.planned.recipe == recipe]
        for point in same[0].planned.published.get("losses", []) if same else []:
            step = point["step"] + 1
            reached = [folder for folder in same if folder.step >= step]
            cells = []
            for net in "DG":
                single = [loss(folder.log, net, step - 1, step) for folder in reached]
                over = [loss(folder.log, net, step - OVER, step) for folder in reached]
                cells += [f"{point[net]:.4g}", spread(single), spread(over)]
            yield row(recipe, f"{point['step']:,}", str(len(reached)), *cells)


def spans(folders: Sequence[Folder]) -> Iterator[str]:
    yield (
        "The published figures are read off curves or logs. Ours is the least to the greatest of "
        "the means over an epoch (or over the steps named) within the same steps.\n"
    )
    yield from header("run", "when", "D published", "D ours", "G published", "G ours")
    for folder in folders:
        for span in folder.planned.published.get("spans", []):
            if span["from"] >= folder.planned.steps:
                continue  # this run is not that long
            cells = []
            for net in "DG":
                cells += [span[net], _range(folder, net, span)]
            yield row(folder.planned.name, span["what"], *cells)


def _range(folder: Folder, net: str, span: Line) -> str:
    """Least to greatest of the means over parts of the span that the run has reached."""
    ends = range(span["from"] + span["part"], span["to"] + 1, span["part"])
    means = [loss(folder.log, net, e - span["part"], e) for e in ends if e <= folder.step]
    found = [value for value in means if value is not None]
    if not found:
        return "not reached"
    low, high = f"{min(found):.4g}", f"{max(found):.4g}"
    shown = low if low == high else f"{low} to {high}"
    missing = span["to"] > min(folder.step, folder.planned.steps)
    return f"{shown} (up to step {folder.step:,})" if missing else shown


def loss(log: Sequence[Line], net: str, after: int, up_to: int) -> float | None:
    """The mean loss of the steps after `after` up to `up_to`; None if no line is of them alone.

    A log line is the mean over the steps since the line before it.
    """
    total = steps = before = 0
    for line in log:
        step, value = line["step"], line[f"{net}/loss"]
        if before >= after and step <= up_to and value is not None:
            total += value * (step - before)
            steps += step - before
        before = step
    return total / steps if steps else None


def spread(values: Sequence[float | None]) -> str:
    """Mean ± standard deviation of a sample; the value alone if there is one."""
    found = [value for value in values if value is not None]
    if not found:
        return "-"
    if len(found) == 1:
        return f"{found[0]:.4g}"
    return f"{statistics.mean(found):.4g} ± {statistics.stdev(found):.2g}"


# Tiles


def _legible(folders: Sequence[Folder]) -> Iterator[str]:
    yield (
        f"A tile counts as legible if the classifier's largest probability is over {SURE}; behind "
        "it how many classes those tiles are of. A classifier is often sure of nonsense: of blobs "
        "that are all one class to it, for one. So the count by eye stands beside it, from the "
        "same sheet of fixed latents; *real* is the referee's count of as many real images. The "
        "share of 1,000 other images of the last generator is known better than that of a few "
        "tiles.\n"
    )
    yield from header("run", "sheet at step", "referee", "by eye", "published", "real",
                       "share of 1,000")  # fmt: skip
    for folder in folders:
        found, eye = folder.note("legible.json"), folder.note("by-eye.json")
        for step, counted in found.get("sheets", {}).items():
            is_last = step == max(found["sheets"], key=int)
            drawn, reals = found.get("drawn"), found["reals"]
            share = f"{drawn['legible'] / drawn['tiles']:.1%}".replace("%", " %") if drawn else "-"
            seen = eye.get(step)
            yield row(
                folder.planned.name,
                f"{int(step):,}",
                f"{counted['legible']} of {counted['tiles']}, {_classes(counted)}",
                str(seen["legible"]) if seen else "-",
                folder.planned.published["tiles"] if is_last else "",
                f"{reals['legible']} of {reals['tiles']}" if is_last else "",
                share if is_last else "",
            )
    yield ""
    for folder in folders:
        for step, seen in sorted(folder.note("by-eye.json").items(), key=lambda item: int(item[0])):
            yield f"- `{folder.planned.name}`, step {int(step):,}, by eye: {seen['words']}"
    for recipe in dict.fromkeys(folder.planned.recipe for folder in folders):
        published = next(f.planned.published for f in folders if f.planned.recipe == recipe)
        yield f"- `{recipe}`, published: {published['pictures']} ({published['source']})"


def _classes(counted: Line) -> str:
    num = sum(count > 0 for count in counted["classes"])
    return f"{num} class{'' if num == 1 else 'es'}"


# What is missing


def _unfinished(folders: Sequence[Folder]) -> Iterator[str]:
    left = [folder for folder in folders if not folder.is_finished]
    if not left:
        yield "None: every run of the plan has come to its end."
    for folder in left:
        planned = folder.planned
        if not folder.has_begun or not folder.log:
            yield f"- `{planned.name}`: not begun, {planned.steps:,} steps."
            continue
        text = (
            f"- `{planned.name}`: {folder.step:,} of {planned.steps:,} steps "
            f"({folder.step / planned.steps:.1%})".replace("%", " %")
        )
        if left_over := folder.seconds_left:
            text += f", {clock(left_over)} more at its speed"
        yield text + "." + _stood(folder)


def _stood(folder: Folder) -> str:
    """Where the published run stood at the step that ours has reached, as far as is known."""
    published = folder.planned.published
    if curve := published.get("curve"):
        share = folder.step / curve["steps"]
        d, g = (first + share * (last - first) for first, last in (curve["D"], curve["G"]))
        recent = max(0, folder.step - 390)
        ours = [loss(folder.log, net, recent, folder.step) for net in "DG"]
        return (
            f" The published curve drifts steadily from D {curve['D'][0]} to {curve['D'][1]} and "
            f"from G {curve['G'][0]} to {curve['G'][1]}; on a straight line it stood at D {d:.2f}, "
            f"G {g:.2f} here, ours at D {ours[0] or 0:.2f}, G {ours[1] or 0:.2f} over the last 390 "
            "steps."
        )
    early = published.get("early", "the published figures for these steps are in the tables above")
    return f" Of the published run: {early}."


# Tables


def header(*titles: str) -> Iterator[str]:
    yield row(*titles)
    yield "|---" * len(titles) + "|"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def clock(seconds: float) -> str:
    """1 h 05 min, 12 min 30 s, 45 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
