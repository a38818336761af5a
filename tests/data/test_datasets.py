from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import small_idx_files

from ganvas.data import mnist_classes
from ganvas.data.datasets import CIFAR10, MNIST, NPZ, Digits, EMNISTLetters, FashionMNIST, Folder
from ganvas.data.mnist_classes import MNISTClasses
from ganvas.data.sources import SOURCES
from ganvas.errors import RunError, UsageError
from ganvas.registry import DATASETS


def test_names() -> None:
    expected = {"mnist", "fashion-mnist", "emnist-letters", "cifar10", "digits", "mnist-classes"}
    assert expected | {"alphabet", "folder", "npz"} <= set(DATASETS.names())


def test_mnist(small_mnist: Path) -> None:
    raw = MNIST().load("train", small_mnist)
    assert raw.images.shape == (20, 1, 28, 28) and raw.labels.tolist() == [*range(10)] * 2
    assert raw.classes == tuple("0123456789")
    assert not (MNIST().load("test", small_mnist).images == raw.images).all()


def test_labels_that_do_not_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_mnist: Path
) -> None:
    # for files whose SHA-256 is not known, structure is all there is to check
    files = small_idx_files("emnist-letters", monkeypatch, first_label=1)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    mnist = small_mnist / "mnist" / "train-labels-idx1-ubyte.gz"
    labels = tmp_path / "emnist-letters-train-labels-idx1-ubyte.gz"
    labels.write_bytes(mnist.read_bytes())
    with pytest.raises(UsageError, match="has labels from 0 to 9, expected 1 to 26"):
        EMNISTLetters().load("train", tmp_path)
    small = small_idx_files("emnist-letters", monkeypatch, num_images=5, first_label=1)
    labels.write_bytes(small[labels.name])
    with pytest.raises(UsageError, match="found 20 images .* and 5 labels .* expected 5 of each"):
        EMNISTLetters().load("train", tmp_path)


def test_emnist_is_upright_and_starts_at_a(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small_idx_files("emnist-letters", monkeypatch, first_label=1)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    raw = EMNISTLetters().load("train", tmp_path)
    assert raw.labels.tolist() == [*range(10)] * 2 and raw.classes[0] == "A"
    first = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)[0]
    assert (raw.images[0, 0] == first.T).all()

    test = EMNISTLetters().load("test", tmp_path)
    chosen = EMNISTLetters(split="test")
    assert (chosen.load("train", tmp_path).images == test.images).all()
    with pytest.raises(UsageError, match="data.split=test .* none to test on"):
        chosen.load("test", tmp_path)

    for name in files:
        if "train" in name:
            (tmp_path / name).unlink()
    with pytest.raises(RunError, match="train on it with --set data.split=test"):
        EMNISTLetters().load("train", tmp_path)
    (tmp_path / "emnist-letters-test-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(RunError) as error:
        EMNISTLetters().load("train", tmp_path)
    assert "data.split" not in str(error.value)


def test_digits() -> None:
    train, test = Digits().load("train", None), Digits().load("test", None)
    assert train.images.shape == (1498, 1, 28, 28) and len(test.images) == 299
    assert Digits.known == (1498, (1, 28, 28))
    assert train.images.max() == 255 and 0.1 < train.images.mean() / 255 < 0.2
    assert train.images[:, :, [0, -1]].max() == 0  # a black border, as in MNIST
    assert len(train.labels) == 1498 and set(train.labels.tolist()) == set(range(10))


def test_folder(tmp_path: Path, picture) -> None:
    picture("a/1.png")
    picture("b/1.png")
    raw = Folder(path=str(tmp_path)).load("train", None)
    assert len(raw.images) == 2 and raw.classes == ("a", "b")
    with pytest.raises(UsageError, match="has no test split, and of 2 images none are held"):
        Folder(path=str(tmp_path)).load("test", None)


def test_folder_with_splits(tmp_path: Path, picture) -> None:
    for file in ("train/a/1.png", "train/c/1.png", "test/b/1.png", "test/c/1.png"):
        picture(file)
    folder = Folder(path=str(tmp_path))
    train, test = folder.load("train", None), folder.load("test", None)
    assert train.classes == test.classes == ("a", "b", "c")
    assert train.labels.tolist() == [0, 2] and test.labels.tolist() == [1, 2]


def test_broken_pictures(tmp_path: Path, picture) -> None:
    picture("good.png")
    for i in range(6):
        (tmp_path / f"bad{i}.jpg").write_text("not a picture")
    with pytest.raises(UsageError) as error:
        Folder(path=str(tmp_path)).load("train", None)
    message = str(error.value)
    assert f"6 of 7 pictures in '{tmp_path}' are broken: bad0.jpg (not a picture), bad1" in message
    assert message.endswith(
        ", ...; repair or delete them, or go on without them with --skip-broken"
    )
    assert len(Folder(path=str(tmp_path), skip_broken=True).load("train", None).images) == 1
    (tmp_path / "good.png").unlink()
    with pytest.raises(UsageError, match="6 of 6 pictures"):
        Folder(path=str(tmp_path), skip_broken=True).load("train", None)


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((3, 8, 8), np.uint8))
    assert NPZ(path=str(tmp_path / "a.npz")).load("train", None).images.shape == (3, 1, 8, 8)
    with pytest.raises(UsageError, match="has no test split, and of 3 images none are held"):
        NPZ(path=str(tmp_path / "a.npz")).load("test", None)


def test_mnist_classes_is_cut_from_mnist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_mnist: Path
) -> None:
    monkeypatch.setattr(mnist_classes, "COUNTS", (2, 1, 1, 1, 1, 1, 0, 1, 1, 1))
    raw = MNISTClasses().load("train", small_mnist)
    assert raw.labels.tolist() == [0, 0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert (raw.images == MNISTClasses().load("train", small_mnist).images).all()
    with pytest.raises(UsageError, match="no test split"):
        MNISTClasses().load("test", small_mnist)
    with pytest.raises(RunError, match="found no folder 'mnist-classes'.*mnist: 'train-images"):
        MNISTClasses().load("train", tmp_path)


def test_mnist_classes_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture) -> None:
    picture("mnist-classes/0/1.jpg")
    picture("mnist-classes/0/2.jpg", colour=30)
    picture("mnist-classes/1/1.jpg")
    with pytest.raises(UsageError, match="is not the published one: found SHA-256"):
        MNISTClasses().load("train", tmp_path)
    digest = mnist_classes.digest(tmp_path / "mnist-classes")
    monkeypatch.setattr(mnist_classes, "SHA256", digest)
    raw = MNISTClasses().load("train", tmp_path)
    assert raw.labels.tolist() == [0, 0, 1] and raw.classes == ("0", "1")


@pytest.mark.parametrize("dataset", [MNIST(), FashionMNIST(), CIFAR10(), MNISTClasses()])
def test_missing_files(dataset) -> None:
    with pytest.raises(RunError, match="could not be downloaded"):
        dataset.load("train", None)


# The published files, where they are at hand


@pytest.mark.parametrize(
    ("dataset", "mean", "first_label"),
    [(MNIST(), (0.13066,), 5), (FashionMNIST(), (0.28604,), 9),
     (CIFAR10(), (0.49139968, 0.48215841, 0.44653091), 6)],
)  # fmt: skip
def test_published_sets(
    real_data: Path, dataset, mean: tuple[float, ...], first_label: int
) -> None:
    raw = dataset.load("train", real_data)
    assert (len(raw.images), raw.images.shape[1:]) == dataset.known
    assert raw.images.mean((0, 2, 3)) / 255 == pytest.approx(mean, abs=1e-5)
    assert raw.labels[0] == first_label and np.bincount(raw.labels).size == 10
    assert len(raw.classes) == 10
    assert len(dataset.load("test", real_data).images) == 10_000


def test_published_emnist(real_data: Path) -> None:
    raw = EMNISTLetters(split="test").load("train", real_data)
    assert raw.images.shape == (20_800, 1, 28, 28)
    assert np.bincount(raw.labels).tolist() == [800] * 26
    # upright: an I or l is taller than wide
    ink = (raw.images[raw.labels == 8] > 128).mean((0, 1))
    assert (ink.sum(1) > 0.5).sum() > (ink.sum(0) > 0.5).sum()


def test_published_mnist_classes(real_data: Path) -> None:
    raw = MNISTClasses().load("train", real_data)
    assert len(raw.images) == 7_781 and tuple(np.bincount(raw.labels)) == mnist_classes.COUNTS
    assert np.stack(raw.images).mean() / 255 == pytest.approx(0.135, abs=5e-4)


def test_sources_are_complete() -> None:
    for source in SOURCES.values():
        assert source.mirrors or source.archive
        for file in source.files:
            assert file.sha256 is None or len(file.sha256) == 64
            assert (file.unpacked_sha256 is None) == (
                file.sha256 is None or not file.name.endswith(".gz")
            )
