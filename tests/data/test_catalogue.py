from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ganvas.data
from ganvas.config import Preprocess
from ganvas.data import mnist_classes
from ganvas.data.alphabet import Alphabet
from ganvas.data.catalogue import fetch, list_datasets, open_dataset
from ganvas.data.datasets import MNIST, NPZ, Folder
from ganvas.data.inspection import inspect
from ganvas.errors import RunError, UsageError


def listing(name: str, root: Path | None):
    return next(one for one in list_datasets(root) if one.dataset == name)


def test_list_without_data() -> None:
    status = {one.dataset: one.status for one in list_datasets()}
    assert status == {
        "alphabet": "drawn on first use",
        "cifar10": "missing",
        "digits": "embedded",
        "emnist-letters": "missing",
        "fashion-mnist": "missing",
        "mnist": "missing",
        "mnist-classes": "missing",
        "stacked-mnist": "missing",
    }
    mnist = listing("mnist", None)
    assert mnist.num_images == 70_000 and mnist.path is None and len(mnist.missing) == 4
    assert mnist.about == "Handwritten digits, 28x28 grey: 60,000 to train on, 10,000 to test on."
    assert listing("alphabet", None).splits["train"] == Alphabet().num_images


def test_list_with_data(small_mnist: Path) -> None:
    folder = small_mnist / "mnist"
    mnist = listing("mnist", small_mnist)
    assert mnist.status == "verified" and mnist.path == folder and mnist.num_images == 40
    assert mnist.splits == {"train": 20, "test": 20} and mnist.missing == ()
    assert listing("mnist-classes", small_mnist).status == "drawn on first use"

    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    mnist = listing("mnist", small_mnist)
    assert mnist.status == "verified" and mnist.splits == {"train": 20}
    assert mnist.missing == ("t10k-images-idx3-ubyte.gz",)

    bad = folder / "train-labels-idx1-ubyte.gz"
    bad.write_bytes(b"wrong")
    mnist = listing("mnist", small_mnist)
    assert mnist.status == "corrupt" and mnist.corrupt == (bad,)


def test_list_mnist_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture) -> None:
    picture("mnist-classes/0/1.jpg")
    assert listing("mnist-classes", tmp_path).status == "corrupt"
    digest = mnist_classes.digest(tmp_path / "mnist-classes")
    monkeypatch.setattr(mnist_classes, "SHA256", digest)
    found = listing("mnist-classes", tmp_path)
    assert found.status == "verified" and found.path == tmp_path / "mnist-classes"


def test_fetch(small_mnist: Path) -> None:
    found = fetch("mnist", small_mnist)
    assert len(found.files) == 4 and all(path.is_file() for path in found.files)
    assert fetch("mnist-classes", small_mnist).files == found.files
    assert fetch("digits").files == fetch("alphabet").files == ()
    with pytest.raises(RunError, match="cifar10: 'data_batch_1.bin' is not in"):
        fetch("cifar10", small_mnist)
    with pytest.raises(UsageError, match="unknown data set 'minst': did you mean mnist"):
        fetch("minst")
    with pytest.raises(UsageError, match="nothing to fetch"):
        fetch("folder")
    found.files[0].write_bytes(b"wrong")
    with pytest.raises(UsageError, match="not the published file"):
        fetch("mnist", small_mnist)


def test_open(tmp_path: Path) -> None:
    assert open_dataset("mnist") == MNIST()
    assert open_dataset(str(tmp_path)) == Folder(path=str(tmp_path))
    assert open_dataset(tmp_path, skip_broken=True) == Folder(path=str(tmp_path), skip_broken=True)
    np.savez(tmp_path / "a.npz", np.zeros((2, 4, 4), np.uint8))
    assert open_dataset(tmp_path / "a.npz") == NPZ(path=str(tmp_path / "a.npz"))
    expected = "--data: found 'minst'; allowed: a data set .did you mean mnist.*, a folder of pict"
    with pytest.raises(UsageError, match=expected):
        open_dataset("minst")
    with pytest.raises(UsageError, match="an .npz file"):
        open_dataset("folder")
    with pytest.raises(UsageError, match=r"^--data: '.*missing\.npz' does not exist$"):
        open_dataset(tmp_path / "missing.npz")


def test_inspect_a_data_set(small_mnist: Path) -> None:
    found = inspect("mnist", small_mnist)
    raw = MNIST().load("train", small_mnist)
    assert found.what == "mnist" and found.count == 20
    assert found.splits == {"train": 20, "test": 20}
    assert found.sizes == {"28x28": 20} and found.channels == {1: 20}
    assert found.value_range == (0, 255)
    assert found.mean_pixel == pytest.approx(raw.images.mean() / 255)
    assert found.classes == {str(digit): 2 for digit in range(10)}
    assert found.broken == found.duplicates == () and found.num_duplicates == 0
    assert found.sheet.shape == (1, 2 * 30 + 2, 10 * 30 + 2)
    assert (found.sheet[:, 2:30, 2:30] == raw.images[0]).all()  # row 1 holds one of each class
    assert (found.sheet[:, 2:30, 32:60] == raw.images[1]).all()

    found = inspect("mnist", small_mnist, Preprocess(image_size=8, channels=3, first=15))
    assert found.count == 15 and found.sizes == {"8x8": 15} and found.channels == {3: 15}


def test_inspect_a_folder(tmp_path: Path, picture) -> None:
    for i in range(12):
        picture(f"cats/{i}.png", colour=i)
    picture("cats/copy.png", colour=3)
    picture("dogs/1.png", colour=7)
    picture("dogs/2.png", "RGBA", (9, 9, 9, 255), size=(30, 200))
    (tmp_path / "dogs" / "3.png").write_text("broken")
    found = inspect(tmp_path)
    assert found.count == 15 and found.splits == {"train": 15}
    assert found.sizes == {"5x6": 14, "200x30": 1} and found.channels == {1: 14, 4: 1}
    assert found.classes == {"cats": 13, "dogs": 2}
    assert [(one.file, one.reason) for one in found.broken] == [
        (str(Path("dogs/3.png")), "not a picture")
    ]
    assert found.num_duplicates == 2
    across, inside = found.duplicates
    assert across.classes == ("cats", "dogs") and across.count == 2
    assert across.images == (str(Path("cats/7.png")), str(Path("dogs/1.png")))
    assert inside.classes == ("cats",)
    text = "\n".join(found.warnings)
    assert "1 of 16 pictures are broken" in text and "images differ in size (2 sizes)" in text
    assert "class 'dogs' has only 2 of 15 images" in text and "differ in channels" in text
    assert "2 images are exact copies" in text and "1 groups of equal images span classes" in text
    assert found.sheet.shape == (3, 8 * 130 + 2, 2 * 32 + 2)
    with pytest.raises(UsageError, match="1 of 16 pictures"):
        inspect(tmp_path, skip_broken=False)


def test_inspect_flat_and_tiny(tmp_path: Path, picture) -> None:
    picture("a.png")
    found = inspect(tmp_path)
    assert found.classes == {} and found.sheet.shape == (1, 9, 10)
    assert found.warnings == ("too little data to train on: 1 image",)
    (tmp_path / "a.png").write_text("broken")
    with pytest.raises(UsageError, match=r"no picture that can be read: a.png \(not a picture\)"):
        inspect(tmp_path)


def test_inspect_npz(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 3, 8, 8), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.zeros(100, np.int64))
    found = inspect(tmp_path / "a.npz")
    assert found.channel_means == pytest.approx(tuple(images.mean((0, 2, 3)) / 255))
    assert found.classes == {"0": 100} and "there is only one class" in found.warnings
    assert found.sheet.shape == (3, 8 * 10 + 2, 12)


def test_public_names_are_found_on_use() -> None:
    assert ganvas.data.list is list_datasets and ganvas.data.inspect is inspect
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ganvas.data.nothing
    code = "import sys, ganvas.data.catalogue; print('torch' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert loaded.stdout.strip() == b"False"


def test_inspect_published_mnist(real_data: Path) -> None:
    found = inspect("mnist", real_data)
    assert found.count == 60_000 and found.splits["test"] == 10_000
    assert found.mean_pixel == pytest.approx(0.13066, abs=1e-5) and found.num_duplicates == 0
