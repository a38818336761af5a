"""Every registered component: docstring, settings, the way through TOML; look-up by name."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from typing import Any, Literal, get_args, get_origin

import pytest

from ganvas import config
from ganvas.config import COMPONENTS
from ganvas.errors import UsageError
from ganvas.registry import Registry, closest, settings

REQUIRED = {"folder": {"path": "/somewhere/else"}, "npz": {"path": "/somewhere/else.npz"}}
"""Values for the settings that have no default."""

BASE: dict[str, Any] = {
    "data": {"name": "digits"},
    "model": {"name": "modelzoo"},
    "latent": {"name": "normal"},
    "loss": {"name": "non-saturating"},
    "update": {"name": "alternating"},
    "train": {"length": "1 epoch"},
}

ALL = [(section, name) for section, registry in COMPONENTS.items() for name in registry.names()]


def tables(section: str, name: str, **values: Any) -> dict[str, Any]:
    required = REQUIRED.get(name, {}) if section == "data" else {}
    return BASE | {section: {"name": name} | required | values}


def choices(section: str, name: str) -> list[tuple[str, Any]]:
    """A component's settings, each with its named values, or with a number that is not default."""
    found: list[tuple[str, Any]] = []
    for key, field in settings(COMPONENTS[section].get(name)).items():
        if get_origin(field.annotation) is Literal:
            found += [(key, value) for value in get_args(field.annotation)]
        elif isinstance(field.default, bool):
            found.append((key, not field.default))
        elif isinstance(field.default, float):
            found.append((key, field.default * 0.7 + 1 / 30))
        elif isinstance(field.default, int):
            found.append((key, field.default + 1))
    return found


def test_all_families_have_members() -> None:
    sections = ("data", "model", "latent", "loss", "penalty", "augment", "update")
    assert {section: len(registry.names()) > 1 for section, registry in COMPONENTS.items()} == (
        dict.fromkeys(sections, True)
    )


@pytest.mark.parametrize(("section", "name"), ALL)
class TestEveryComponent:
    def test_builds_from_its_defaults(self, section: str, name: str) -> None:
        cls = COMPONENTS[section].get(name)
        made = cls(**REQUIRED.get(name, {}) if section == "data" else {})
        assert made == config.component(section, tables(section, name)[section])
        assert COMPONENTS[section].name_of(made) == name

    def test_is_frozen(self, section: str, name: str) -> None:
        made = config.component(section, tables(section, name)[section])
        for key in settings(type(made)):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(made, key, 1)

    def test_goes_through_toml_inside_a_run(self, section: str, name: str) -> None:
        run = config.build(tables(section, name))
        assert config.build(tomllib.loads(config.save(run))) == run

    def test_goes_through_toml_with_each_choice(self, section: str, name: str) -> None:
        for key, value in choices(section, name):
            run = config.build(tables(section, name, **{key: value}))
            assert getattr(getattr(run, section), key) == value
            assert config.build(tomllib.loads(config.save(run))) == run

    def test_has_a_docstring_with_its_source(self, section: str, name: str) -> None:
        text = COMPONENTS[section].get(name).__doc__ or ""
        assert len(text.strip().splitlines()[0]) <= 100
        assert re.search(r"\b(19|20)\d\d\b|Source:", text), "cite where it comes from"

    def test_every_setting_says_what_it_is(self, section: str, name: str) -> None:
        for key, field in settings(COMPONENTS[section].get(name)).items():
            assert (field.description or "").strip(), key

    def test_no_setting_is_called_name(self, section: str, name: str) -> None:
        assert "name" not in settings(COMPONENTS[section].get(name))

    def test_an_unknown_setting_is_refused(self, section: str, name: str) -> None:
        with pytest.raises(UsageError, match=rf"unknown setting '{section}\.nonsense'"):
            config.build(tables(section, name, nonsense=1))


def test_an_unknown_name_gets_the_closest_ones() -> None:
    with pytest.raises(
        UsageError, match="unknown loss 'least-square': did you mean least-squares?"
    ):
        COMPONENTS["loss"].get("least-square")


def test_a_hopeless_name_gets_all_of_them() -> None:
    with pytest.raises(
        UsageError, match="known: hinge, least-squares, non-saturating, relativistic"
    ):
        COMPONENTS["loss"].get("zzzzzz")


def test_closest() -> None:
    assert closest("beta1", ["eps", "beta_1", "beta_2"]) == "did you mean beta_1 or beta_2?"
    assert closest("q", ["b", "a"]) == "known: a, b"


def test_a_name_is_taken_once() -> None:
    registry = Registry("thing", "ganvas.latents")
    registry.register("one")(int)
    assert registry.get("one") is int and registry.name_of(5) == "one"
    with pytest.raises(AssertionError, match="two components named one"):
        registry.register("one")(float)


def test_other_spellings_find_a_component() -> None:
    registry = Registry("thing", "ganvas.latents")
    registry.register("fd", "frechet", "fréchet")(int)
    assert registry.get("frechet") is registry.get("fd") is int
    assert registry.spelled("fréchet") == registry.spelled("fd") == registry.name_of(5) == "fd"
    assert registry.names() == ["fd"]
    assert "frechet" in registry and "fd" in registry and "kd" not in registry
    with pytest.raises(UsageError, match="unknown thing 'frech'"):
        registry.spelled("frech")
    for taken in ("fd", "frechet"):
        with pytest.raises(AssertionError, match=f"two components named {taken}"):
            registry.register("other", taken)(float)
