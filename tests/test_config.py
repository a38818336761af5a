"""Settings: recipes, TOML, overrides, refusals in one line, lengths in steps."""

from __future__ import annotations

import dataclasses
import tomllib
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest

from ganvas import config
from ganvas.config import SECTIONS, AdamSettings, Length, Lengths, Run, Train
from ganvas.errors import UsageError
from ganvas.registry import settings

RECIPES = config.recipe_names()


def recipe_tables(name: str = "cs231n-vanilla", *changes: tuple[str, Any]) -> dict[str, Any]:
    return config.override(config.read_recipe(name).tables, changes)


def recipe(name: str = "cs231n-vanilla", *changes: tuple[str, Any]) -> Run:
    return config.build(recipe_tables(name, *changes))


def refusal(*changes: tuple[str, Any], name: str = "cs231n-vanilla") -> str:
    with pytest.raises(UsageError) as error:
        recipe(name, *changes)
    assert "\n" not in str(error.value)
    return str(error.value)


# Recipes


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_goes_through_a_file_unchanged(name: str, tmp_path: Path) -> None:
    run = recipe(name)
    assert run.recipe == name
    file = tmp_path / "config.toml"
    file.write_text(config.save(run), encoding="utf-8")
    assert config.load(file) == run
    assert config.build(tomllib.loads(config.save(run))) == run


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_is_in_one_line(name: str) -> None:
    about = config.read_recipe(name).about
    assert about and "\n" not in about and len(about) <= 100


@pytest.mark.parametrize("name", [name for name in RECIPES if name.endswith("-as-coded")])
def test_a_variant_differs_from_its_recipe_and_says_why(name: str) -> None:
    base, variant = recipe(name.removesuffix("-as-coded")), recipe(name)
    changed = [
        line.partition(":")[0] for line in config.diff(base, variant) if "recipe:" not in line
    ]
    assert changed
    reasons = config.read_recipe(name).reasons
    for key in changed:
        assert key in reasons or key.rpartition(".")[0] + ".name" in reasons, key


def test_all_eleven_systems_have_a_recipe() -> None:
    assert set(RECIPES) >= {
        "modelzoo-vanilla",
        "cs231n-vanilla",
        "cs231n-lsgan",
        "cs231n-dcgan",
        "mnist-classes",
        "firstgan-vanilla-mnist",
        "firstgan-vanilla-alphabet",
        "firstgan-dcgan-mnist",
        "firstgan-dcgan-alphabet",
        "genzoo-mnist",
        "genzoo-cifar10",
    }


def test_a_comment_is_the_reason_of_its_setting() -> None:
    reasons = config.read_recipe("modelzoo-vanilla").reasons
    assert reasons["optim.generator.eps"] == "Keras 2"
    assert reasons["latent.name"] == "document: uniform on [-1, 1]"
    assert "latent.dims" not in reasons


def test_reasons_are_inherited_and_replaced(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('extends = "modelzoo-vanilla"\n[optim.generator]\neps = 1e-6  # mine\n')
    reasons = config.read_recipe(str(file)).reasons
    assert reasons["optim.generator.eps"] == "mine"
    assert reasons["optim.discriminator.eps"] == "Keras 2"


def test_extends_holds_only_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'extends = "modelzoo-vanilla"\nabout = "mine"\n'
        '[loss]\nname = "least-squares"\n[train]\nlength = "5000 images"\n'
    )
    found = config.read_recipe(str(file))
    mine, base = config.build(found.tables), recipe("modelzoo-vanilla")
    assert (found.about, mine.recipe) == ("mine", "mine")
    assert config.diff(base, mine) == [
        "loss.d_scale: 0.5 -> 1.0",
        "loss.name: non-saturating -> least-squares",
        "recipe: modelzoo-vanilla -> mine",
        "train.length: 50 epochs -> 5000 images",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("modelzoo-vanila", "did you mean modelzoo-vanilla"),
        ("nowhere.toml", "'nowhere.toml' does not exist"),
    ],
)
def test_an_unknown_recipe_is_refused(name: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        config.read_recipe(name)


@pytest.mark.parametrize(
    "content",
    [b"[train\n", b'about = "x\n', b"\xff\xfe\x00", b"seed = 1\nseed = 2\n", b'extends = "self"\n'],
)
def test_a_bad_recipe_file_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "self.toml"
    file.write_bytes(content.replace(b"self", str(file).encode()))
    with pytest.raises(UsageError, match="self") as error:
        config.build(config.read_recipe(str(file)).tables)
    assert len(str(error.value).splitlines()) == 1


# Sections


def section_classes() -> list[tuple[str, type[Any]]]:
    found = list(SECTIONS.items()) + [("optim.generator", AdamSettings)]
    for section, registry in config.COMPONENTS.items():
        found += [(f"{section}.{name}", registry.get(name)) for name in registry.names()]
    return found


@pytest.mark.parametrize(("section", "cls"), section_classes())
def test_what_can_be_unset_is_unset_by_default(section: str, cls: type[Any]) -> None:
    for key, field in settings(cls).items():
        is_union = get_origin(field.annotation) in (Union, types.UnionType)
        optional = is_union and type(None) in get_args(field.annotation)
        assert optional == (field.default is None), key


@pytest.mark.parametrize(("section", "cls"), SECTIONS.items())
def test_a_section_has_defaults_and_explains_its_settings(section: str, cls: type[Any]) -> None:
    needed = {"length": Length(1, "epochs")} if section == "train" else {}
    assert config.component(section, needed) == cls(**needed)
    for key, field in settings(cls).items():
        assert key != "name"
        assert (field.description or "").strip(), key


def test_every_setting_of_a_run_goes_through_toml() -> None:
    run = recipe(
        "genzoo-cifar10",
        ("seed", 2**63 - 1),
        ("preprocess.image_size", [28, 20]),
        ("preprocess.filter", "box"),
        ("preprocess.channels", 4),
        ("preprocess.first", 7),
        ("optim.generator.learning_rate", 0.1 + 0.2),
        ("optim.generator.beta_1", 0.0),
        ("optim.discriminator.eps", 1e-30),
        ("train.length", "123457 images"),
        ("train.order", "independent"),
        ("train.drop_last", False),
        ("output.grid", [3, 7]),
        ("output.log", "1 step"),
        ("output.keep_checkpoints", 9),
        ("watchdog.collapse", "stop"),
    )
    again = config.build(tomllib.loads(config.save(run)))
    assert again == run
    assert again.seed == 2**63 - 1
    assert again.optim.generator.learning_rate == 0.30000000000000004
    assert again.preprocess.image_size == (28, 20)
    assert again.train.length == Length(123_457, "images")


def test_tags_with_slashes_go_through_toml(tmp_path: Path) -> None:
    tables = recipe_tables() | {"output": {"tags": {"D/loss": 'a "b" \\ c', "x": "y"}}}
    run = config.build(tables)
    assert config.build(tomllib.loads(config.save(run))).output.tags == run.output.tags
    assert run.output.tags == {"D/loss": 'a "b" \\ c', "x": "y"}


@pytest.mark.parametrize(
    ("value", "size"), [(64, (64, 64)), ("64", (64, 64)), ("28x20", (28, 20)), ([5, 6], (5, 6))]
)
def test_image_size_has_three_spellings(value: Any, size: tuple[int, int]) -> None:
    assert recipe("cs231n-vanilla", ("preprocess.image_size", value)).preprocess.image_size == size


# Overrides


def test_naming_another_component_resets_its_section() -> None:
    run = recipe("genzoo-mnist", ("loss.name", "least-squares"))
    assert recipe("genzoo-mnist").loss.real_target == 0.9
    assert (run.loss.real_target, run.loss.fake_target) == (1.0, 0.0)


def test_naming_the_same_component_keeps_its_section() -> None:
    assert recipe("genzoo-mnist", ("loss.name", "non-saturating")) == recipe("genzoo-mnist")


def test_the_name_comes_first_in_whatever_order_it_is_given() -> None:
    changes = [("loss.real_target", 0.8), ("loss.name", "least-squares")]
    for given in (changes, changes[::-1]):
        loss = recipe("genzoo-mnist", *given).loss
        assert config.COMPONENTS["loss"].name_of(loss) == "least-squares"
        assert (loss.real_target, loss.fake_target) == (0.8, 0.0)


def test_an_override_leaves_the_tables_alone() -> None:
    tables = recipe_tables()
    before = str(tables)
    config.override(tables, [("train.batch_size", 1), ("optim.generator.eps", 1e-3)])
    assert str(tables) == before


def test_another_length_replaces_the_first() -> None:
    assert recipe("cs231n-vanilla", ("train.length", "9 images")).train == dataclasses.replace(
        recipe().train, length=Length(9, "images")
    )


def test_a_run_has_a_length() -> None:
    with pytest.raises(UsageError, match=r"^train\.length is missing: .*60 epochs"):
        config.build(recipe_tables() | {"train": {"batch_size": 3}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optim.generator.learning_rate=1e-4", ("optim.generator.learning_rate", 1e-4)),
        ("loss.name=least-squares", ("loss.name", "least-squares")),
        ("loss.name='least-squares'", ("loss.name", "least-squares")),
        (" output.grid = [2, 3] ", ("output.grid", [2, 3])),
        ("loss.flip=true", ("loss.flip", True)),
        ("output.log=250 steps", ("output.log", "250 steps")),
        ("seed=3", ("seed", 3)),
        ("data.path=/a=b", ("data.path", "/a=b")),
    ],
)
def test_a_setting_is_read_as_toml_or_as_a_word(text: str, expected: tuple[str, Any]) -> None:
    key, value = config.parse_setting(text)
    assert (key, value) == expected and type(value) is type(expected[1])


@pytest.mark.parametrize("text", ["seed", "=3", "Seed=3", "a..b=3", "a b=3", ""])
def test_what_is_not_a_setting_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--set.*write section\.setting=value"):
        config.parse_setting(text)


# Refusals: one line with the setting, what was found, what is allowed


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("train.batch_size", 0, ["train.batch_size: found 0", "greater than or equal to 1"]),
        ("train.batch_size", 1.5, ["train.batch_size: found 1.5", "integer"]),
        ("train.batch_size", True, ["train.batch_size: found True", "integer"]),
        ("train.batch_size", "32", ["train.batch_size: found '32'", "integer"]),
        ("train.length", "0 epochs", ["train.length: found '0 epochs'", "allowed", "'60 epochs'"]),
        ("train.length", 5, ["train.length: found 5"]),
        ("train.epochs", 5, ["'train.epochs'", "did you mean train.length='5 epochs'"]),
        ("train.images", 5, ["'train.images'", "did you mean train.length='5 images'"]),
        ("train.minutes", 0.5, ["'train.minutes'", "did you mean train.length='0.5 minutes'"]),
        ("train.order", "random", ["train.order: found 'random'", "'shuffled'"]),
        ("train.device", 5, ["train.device: found 5", "string"]),
        ("train.drop_last", 1, ["train.drop_last: found 1", "boolean"]),
        ("train", 5, ["train: found 5", "table"]),
        ("loss.real_target", 1.5, ["loss.real_target: found 1.5", "less than or equal to 1"]),
        ("loss.fake_target", -0.1, ["loss.fake_target: found -0.1"]),
        ("loss.real_target", float("nan"), ["loss.real_target: found nan", "finite"]),
        ("loss.d_scale", 0.0, ["loss.d_scale: found 0.0", "greater than 0"]),
        ("loss.d_scale", float("inf"), ["loss.d_scale: found inf", "finite"]),
        ("optim.generator.learning_rate", float("nan"), ["optim.generator.learning_rate"]),
        ("optim.generator.learning_rate", 0, ["found 0", "greater than 0"]),
        ("optim.generator.beta_1", 1.0, ["optim.generator.beta_1: found 1.0", "less than 1"]),
        ("optim.discriminator.beta_2", -0.1, ["optim.discriminator.beta_2: found -0.1"]),
        ("optim.discriminator.eps", 0.0, ["optim.discriminator.eps: found 0.0"]),
        ("optim.generator", 1, ["optim.generator: found 1"]),
        ("latent.dims", 0, ["latent.dims: found 0"]),
        ("preprocess.channels", 2, ["preprocess.channels: found 2"]),
        ("preprocess.image_size", 0, ["preprocess.image_size"]),
        ("preprocess.image_size", 4096, ["preprocess.image_size"]),
        ("preprocess.image_size", "big", ["preprocess.image_size", "big", "64 or 28x20"]),
        ("preprocess.image_size", "28x", ["preprocess.image_size", "28x", "64 or 28x20"]),
        ("preprocess.image_size", [1, 2, 3], ["preprocess.image_size"]),
        ("output.log", "5 parsecs", ["output.log: found '5 parsecs'", "'1 epoch'"]),
        ("output.log", "0 steps", ["output.log: found '0 steps'"]),
        ("output.grid", [0, 4], ["output.grid", "found 0"]),
        ("output.grid", [4], ["output.grid"]),
        ("output.keep_checkpoints", 0, ["output.keep_checkpoints: found 0"]),
        ("watchdog.collapse", "ignore", ["watchdog.collapse: found 'ignore'", "'rollback' or"]),
        ("seed", -1, ["seed: found -1", "0 to 2^63 - 1"]),
        ("seed", 2**63, [f"seed: found {2**63}"]),
        ("seed", 1.5, ["seed: found 1.5"]),
        ("seed", True, ["seed: found True"]),
        ("update.d_steps", 0, ["update.d_steps: found 0"]),
        ("optim.generator.lr", 1, ["unknown setting 'optim.generator.lr'", "learning_rate"]),
        ("optim.generator.beta1", 1, ["'optim.generator.beta1'", "did you mean beta_1"]),
        ("train.batchsize", 1, ["'train.batchsize'", "did you mean batch_size"]),
        ("model.width", 1, ["unknown setting 'model.width': model has no settings"]),
        ("optimm.generator.eps", 1, ["unknown section 'optimm'", "did you mean optim"]),
        ("batch_size", 1, ["unknown section 'batch_size'"]),
        ("loss", "least-squares", ["loss.name is missing", "least-squares"]),
        ("loss.name", "lsgan", ["unknown loss 'lsgan'"]),
        ("latent.name", "gaussian", ["unknown latent 'gaussian'"]),
        ("update.name", 3, ["unknown update rule '3'"]),
        ("data.name", "minst", ["unknown data set 'minst'", "did you mean mnist"]),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_in_one_line(key: str, value: Any, parts: list[str]) -> None:
    line = refusal((key, value))
    for part in parts:
        assert part in line


def test_shared_fakes_are_those_that_g_trains_on() -> None:
    line = refusal(("update.fakes", "shared"), ("update.fake_mode", "inference"))
    assert "update.fake_mode" in line


def test_components_are_checked_when_made_in_python_too() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        Train(length=Length(1, "epochs"), batch_size="32")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="beta_1"):
        AdamSettings(beta_1=2.0)


# Comparison


def test_no_difference() -> None:
    assert config.diff(recipe(), recipe()) == []


def test_differences_name_the_setting_and_both_values() -> None:
    new = recipe(
        "cs231n-vanilla", ("optim.generator.eps", 1e-3), ("train.length", "7 images"), ("seed", 4)
    )
    assert config.diff(recipe(), new) == [
        "optim.generator.eps: 1e-08 -> 0.001",
        "seed: 0 -> 4",
        "train.length: 10 epochs -> 7 images",
    ]


# Length: one setting


@pytest.mark.parametrize(
    ("text", "amount", "unit", "again"),
    [
        ("60 epochs", 60, "epochs", "60 epochs"),
        ("1epoch", 1, "epochs", "1 epoch"),
        ("200000 images", 200_000, "images", "200000 images"),
        ("1 image", 1, "images", "1 image"),
        ("20 minutes", 20.0, "minutes", "20 minutes"),
        ("2.5 minutes", 2.5, "minutes", "2.5 minutes"),
        ("1.0 minutes", 1.0, "minutes", "1 minute"),
        ("1e-05 minutes", 1e-5, "minutes", "1e-05 minutes"),
        ("0.1234567890123 minutes", 0.1234567890123, "minutes", "0.1234567890123 minutes"),
    ],
)
def test_a_length_is_a_number_and_a_unit(text: str, amount: float, unit: Any, again: str) -> None:
    length = Length.parse(text)
    assert length == Length(amount, unit)
    assert str(length) == again
    assert Length.parse(again) == length == Length.parse(length)


@pytest.mark.parametrize(
    "text",
    [
        "", "60", "epochs", "0 epochs", "-1 epochs", "1.5 epochs", "2.5 images", "0 minutes",
        "0.0 minutes", "1e999 minutes", "nan minutes", "inf minutes", "3 hours", "5 parsecs",
        "1-2 epochs", f"{'9' * 5000} images", 60, True, None, ["60 epochs"],
    ],
)  # fmt: skip
def test_what_is_no_length_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="'60 epochs'"):
        Length.parse(text)


def test_a_length_is_checked_when_made_in_python_too() -> None:
    for amount, unit in ((0, "epochs"), (1.5, "images"), (-1.0, "minutes"), (1, "hours")):
        with pytest.raises(ValueError, match="'60 epochs'"):
            Length(amount, unit)  # type: ignore[arg-type]


def test_images_of_a_length() -> None:
    assert Length(3, "epochs").images(50) == 150
    assert Length(70, "images").images(50) == 70
    assert Length(2.5, "minutes").images(50) is None


@pytest.mark.parametrize(
    ("older", "length"),
    [
        ("epochs = 20", "20 epochs"),
        ("images = 5000", "5000 images"),
        ("minutes = 2.0", "2 minutes"),
        ("minutes = 2", "2 minutes"),
    ],
)
def test_files_of_before_there_was_one_length_are_read(
    older: str, length: str, tmp_path: Path
) -> None:
    now = recipe("cs231n-vanilla", ("train.length", length))
    text = config.save(now)
    assert text.count(f'length = "{length}"\n') == 1
    file = tmp_path / "config.toml"
    file.write_text(text.replace(f'length = "{length}"', older), encoding="utf-8")
    assert config.diff(config.load(file), now) == []


def test_an_older_file_may_extend_a_recipe(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('extends = "cs231n-vanilla"\n[train]\nimages = 640\n', encoding="utf-8")
    run = config.build(config.read_recipe(str(file)).tables)
    assert run.train == dataclasses.replace(recipe().train, length=Length(640, "images"))


def test_an_older_file_with_two_lengths_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('extends = "cs231n-vanilla"\n[train]\nepochs = 3\nimages = 640\n')
    with pytest.raises(UsageError, match=r"unknown setting 'train\.epochs': did you mean"):
        config.build(config.read_recipe(str(file)).tables)


# Sections that came later


def test_a_file_of_before_a_component_existed_has_the_one_that_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = recipe_tables()
    del tables["latent"]
    with pytest.raises(UsageError, match=r"latent\.name is missing"):
        config.build(tables)
    monkeypatch.setitem(config.DEFAULTS, "latent", "uniform")
    assert config.save(config.build(tables)).count('[latent]\nname = "uniform"\n') == 1
    assert config.build(recipe_tables()) == recipe()
    changed = config.build(config.override(tables, [("latent.name", "normal"), ("latent.dims", 3)]))
    assert (config.COMPONENTS["latent"].name_of(changed.latent), changed.latent.dims) == (
        "normal",
        3,
    )


# Lengths in steps, by hand


@pytest.mark.parametrize(
    ("name", "num_images", "per_epoch", "total"),
    [
        ("modelzoo-vanilla", 60_000, 468, 23_400),
        ("cs231n-vanilla", 50_000, 390, 3_900),
        ("cs231n-lsgan", 50_000, 390, 3_900),
        ("cs231n-dcgan", 50_000, 390, 3_900),
        ("mnist-classes", 7_781, 389, 50_000),
        ("firstgan-vanilla-mnist", 60_000, 600, 120_000),
        ("firstgan-vanilla-alphabet", 133_500, 1_335, 267_000),
        ("firstgan-vanilla-alphabet", 133_401, 1_335, 267_000),
        ("firstgan-dcgan-mnist", 60_000, 600, 12_000),
        ("firstgan-dcgan-alphabet", 133_500, 1_335, 267_000),
        ("genzoo-mnist", 60_000, 1_875, 93_750),
        ("genzoo-cifar10", 50_000, 390, 78_000),
    ],
)
def test_a_recipe_is_as_long_as_published(
    name: str, num_images: int, per_epoch: int, total: int
) -> None:
    run = recipe(name)
    lengths = Lengths.of(run, num_images)
    assert lengths.steps_per_epoch == per_epoch
    assert lengths.total_steps(run.train.length) == total


@pytest.mark.parametrize(
    ("num_images", "batch", "drop_last", "per_epoch", "at"),
    [
        (60_000, 128, True, 468, {0: 0, 1: 128, 468: 59_904, 469: 60_032, 936: 119_808}),
        (50_000, 128, True, 390, {390: 49_920, 391: 50_048, 3_900: 499_200}),
        (60_000, 100, False, 600, {600: 60_000, 601: 60_100}),
        (10, 4, False, 3, {1: 4, 2: 8, 3: 10, 4: 14, 5: 18, 6: 20, 7: 24}),
        (10, 4, True, 2, {1: 4, 2: 8, 3: 12, 4: 16}),
        (3, 4, False, 1, {1: 3, 2: 6}),
    ],
)
def test_images_seen(
    num_images: int, batch: int, drop_last: bool, per_epoch: int, at: dict[int, int]
) -> None:
    lengths = Lengths(num_images, batch, drop_last)
    assert lengths.steps_per_epoch == per_epoch
    assert {step: lengths.images_at(step) for step in at} == at


@pytest.mark.parametrize(
    ("period", "steps"),
    [
        ("1 epoch", 468),
        ("2 epochs", 936),
        ("1epoch", 468),
        ("250 steps", 250),
        ("1 step", 1),
        ("1 image", 1),
        ("128 images", 1),
        ("129 images", 2),
        ("10000 images", 79),
    ],
)
def test_periods(period: str, steps: int) -> None:
    assert Lengths(60_000, 128, True).steps(period) == steps


@pytest.mark.parametrize(
    ("images", "steps", "shown"), [(1, 1, 4), (4, 1, 4), (8, 2, 8), (9, 3, 10), (25, 8, 28)]
)
def test_a_length_in_images_is_rounded_up(images: int, steps: int, shown: int) -> None:
    lengths = Lengths(10, 4, False)
    assert lengths.total_steps(Length(images, "images")) == steps
    assert lengths.images_at(steps) == shown


def test_images_are_those_that_d_saw() -> None:
    """A merged batch has half of those that are drawn; an epoch is still what is drawn."""
    changes = [("update.d_batch", "merged"), ("train.batch_size", 4)]
    run = recipe("cs231n-vanilla", *changes, ("train.drop_last", False))
    lengths = Lengths.of(run, 10)  # batches of 4, 4 and 2
    assert lengths.steps_per_epoch == 3
    assert [lengths.images_at(step) for step in range(7)] == [0, 2, 4, 5, 7, 9, 10]
    assert [lengths.steps_for(images) for images in (1, 2, 3, 5, 6, 10, 11)] == [
        1,
        1,
        2,
        3,
        4,
        6,
        7,
    ]
    assert lengths.steps("6 images") == 3
    modelzoo = Lengths.of(recipe("modelzoo-vanilla"), 60_000)
    assert (modelzoo.steps_per_epoch, modelzoo.images_at(468)) == (468, 29_952)
    assert modelzoo.images_per_step == 128


def test_more_d_steps_show_more_images_a_step() -> None:
    run = recipe("cs231n-vanilla", ("update.d_steps", 3), ("train.batch_size", 10))
    assert Lengths.of(run, 95) == Lengths(95, 30, True)
    assert Lengths.of(run, 95).steps_per_epoch == 3


@pytest.mark.parametrize(
    ("changes", "num_images", "allowed"),
    [
        ((), 127, "127 or less"),
        ((("update.d_steps", 4),), 127, "31 or less"),
        ((("train.order", "replacement"), ("train.drop_last", False)), 127, "127 or less"),
    ],
)
def test_too_little_data_is_said(
    changes: tuple[tuple[str, Any], ...], num_images: int, allowed: str
) -> None:
    with pytest.raises(UsageError, match=f"too little data: 127 images.*{allowed}"):
        Lengths.of(recipe("cs231n-vanilla", *changes), num_images)


def test_a_short_batch_is_enough_where_it_is_kept() -> None:
    run = recipe("cs231n-vanilla", ("train.drop_last", False))
    assert Lengths.of(run, 127).steps_per_epoch == 1


def test_tables_may_stand_in_any_order(tmp_path: Path) -> None:
    """TOML lets the parts of a table lie apart; each setting keeps its reason."""
    file = tmp_path / "mine.toml"
    file.write_text(
        'extends = "quickstart"\n'
        "[optim.generator]\nbeta_1 = 0.25  # one\n"
        "[train]\nbatch_size = 16  # two\n"
        "[optim.discriminator]\nbeta_1 = 0.75  # three\n"
        "[output]\ntags = { samples = 'x' }  # four\n"
    )
    recipe = config.read_recipe(str(file))
    run = config.build(recipe.tables)
    assert (run.optim.generator.beta_1, run.optim.discriminator.beta_1) == (0.25, 0.75)
    mine = {key: reason for key, reason in recipe.reasons.items() if len(reason) < 6}
    assert mine == {
        "optim.generator.beta_1": "one",
        "train.batch_size": "two",
        "optim.discriminator.beta_1": "three",
    }


@pytest.mark.parametrize("imports", ["x.py", [1], [""], {"a": "b"}])
def test_imports_are_a_list_of_names(imports: object) -> None:
    tables = config.read_recipe("quickstart").tables | {"imports": imports}
    with pytest.raises(UsageError, match="^imports: found .* allowed: a list of files and modules"):
        config.build(tables)


def test_imports_are_saved_before_the_tables(tmp_path: Path) -> None:
    run = config.build(config.read_recipe("quickstart").tables | {"imports": ["a", "/b/c.py"]})
    (tmp_path / "x.toml").write_text(config.save(run))
    assert config.load(tmp_path / "x.toml") == run and run.imports == ("a", "/b/c.py")


def test_a_recipes_imports_add_to_those_it_extends(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('extends = "quickstart"\nimports = ["a.py", "m"]\n')
    base = tmp_path / "base.toml"
    (tmp_path / "mine.toml").write_text(f'extends = "{base}"\nimports = ["b.py", "m"]\n')
    found = config.read_recipe(str(tmp_path / "mine.toml")).tables["imports"]
    assert found == [str(tmp_path / "a.py"), "m", str(tmp_path / "b.py")]
