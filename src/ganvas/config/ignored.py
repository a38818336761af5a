"""Settings that are not at their defaults and have no effect in a run as it is."""

from __future__ import annotations

from collections.abc import Iterator

from ganvas.config.recipes import read_recipe, recipe_names
from ganvas.config.run import Run, leaves, to_tables
from ganvas.config.sections import Evaluate, Watchdog
from ganvas.registry import UPDATES, settings


def ignored(run: Run) -> list[str]:
    """A line each: what is set, and why that changes nothing.

    What a bundled recipe sets is not said again: its author knew.
    """
    bundled = read_recipe(run.recipe).tables if run.recipe in recipe_names() else {}
    known, found = dict(leaves(bundled)), dict(leaves(to_tables(run)))
    return [
        f"{key} = {found[key]!r} has no effect: {why}"
        for key, why in _without_effect(run)
        if known.get(key) != found[key]
    ]


def _without_effect(run: Run) -> Iterator[tuple[str, str]]:
    plain = Evaluate()
    if not run.evaluate.metrics:
        for key in ("best", "every", "features"):
            if getattr(run.evaluate, key) != getattr(plain, key):
                yield f"evaluate.{key}", "nothing is measured on the way (evaluate.metrics)"
    if run.train.on_failure is not None:
        for fault in settings(Watchdog):
            if getattr(run.watchdog, fault) != getattr(Watchdog(), fault):
                why = f"train.on_failure = '{run.train.on_failure}' stands above it"
                yield f"watchdog.{fault}", why
    if getattr(run.model, "labels", "on") == "off" and getattr(run.model, "label_fade", 1.0) != 1.0:
        yield "model.label_fade", "the nets are told no classes (model.labels)"
    if not run.train.drop_last and run.train.order in ("replacement", "independent"):
        yield "train.drop_last", f"with train.order = '{run.train.order}' every batch is a full one"
    if getattr(run.loss, "d_scale", 1.0) != 1.0:
        apart = "D's two terms are descended apart and unscaled, it scales the logged D/loss alone"
        if getattr(run.update, "d_batch", "") == "separate":
            yield "loss.d_scale", f"with update.d_batch = 'separate' {apart}"
        if UPDATES.name_of(run.update) == "controller":
            yield "loss.d_scale", f"with update rule 'controller' {apart}"
