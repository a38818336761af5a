"""Features of Inception-v3, with the weights by which FID and KID are published."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass as plain
from pathlib import Path

import torch
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ganvas.data import download
from ganvas.data.sources import SOURCES, DataFile
from ganvas.errors import RunError, UsageError
from ganvas.files import write_file
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.metrics.extractors.inception_net import RESIZING, Inception
from ganvas.pixels import ImageSet
from ganvas.registry import CHECKED, EXTRACTORS


@EXTRACTORS.register("inception")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class InceptionFeatures:
    """2,048 features of Inception-v3 (Szegedy et al. 2016), by which FID is defined."""

    def open(
        self, dataset: object, train: ImageSet, test: ImageSet | None, root: Path | None
    ) -> Extractor:
        """Raises as `read` does."""
        weights = read(root)
        note = (
            weights.note or "TensorFlow's graph of 2015-12-05, the score without the logits' bias"
        )
        return Extractor(
            "inception",
            weights.sha256,
            _Published(weights.net),
            channels=3,
            own_resize=RESIZING,
            note=note,
            is_inception=True,
            block=8,
        )


class _Published(nn.Module):
    """What published scores are made from: features, and probabilities from logits without bias."""

    def __init__(self, net: Inception) -> None:
        super().__init__()
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.add(1).mul_(127.5).round_()  # 0 to 255 again, exactly
        features, logits = self.net(pixels.contiguous(memory_format=torch.channels_last))
        return features, (logits - self.net.fc.bias).softmax(dim=1)


# Weights


@plain(frozen=True)
class Weights:
    """A trained Inception and where it is from."""

    net: Inception
    sha256: str
    """Of the published file; of the user's own where it is none."""
    note: str = ""


def read(root: Path | None) -> Weights:
    """The net with the published weights, from disk or fetched once.

    They are read from the published .pth file, after its SHA-256 matched and without running what
    a pickle may hold, and kept as safetensors in the user's cache. Where there is no .pth, a
    .safetensors file of that name is taken as it is.

    Raises:
        UsageError: a file is not the published one, or its weights are not those of this net.
        RunError: there is no file, and it cannot be fetched.
    """
    source = SOURCES["inception"]
    file = source.files[0]
    assert file.sha256 is not None
    kept = download.user_cache() / source.folder / "converted"
    for path in kept.glob(f"{file.sha256[:16]}-*.safetensors"):
        content = path.read_bytes()
        if path.stem.endswith(hashlib.sha256(content).hexdigest()[:16]):
            return Weights(_net(_from_safetensors(path, content), path), file.sha256)
    own = download.find(source, DataFile(Path(file.name).stem + ".safetensors"), root)
    if own and download.find(source, file, root) is None:
        content = own.read_bytes()
        note = f"weights of '{own}', which nothing shows to be the published ones"
        net = _net(_from_safetensors(own, content), own)
        return Weights(net, hashlib.sha256(content).hexdigest(), note)
    path, content = download.read("inception", file.name, root)
    tensors = _from_pickle(path, content)
    net = _net(tensors, path)
    content = save(tensors)
    digests = f"{file.sha256[:16]}-{hashlib.sha256(content).hexdigest()[:16]}"
    try:
        write_file(kept / f"{digests}.safetensors", content)
    except RunError as error:
        warnings.warn(f"not kept for next time: {error}", stacklevel=2)
    return Weights(net, file.sha256)


def _from_pickle(path: Path, content: bytes) -> dict[str, Tensor]:
    try:
        tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"'{path}' does not hold tensors alone: {reason}") from None
    if not isinstance(tensors, dict) or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise UsageError(f"'{path}' does not hold tensors alone")
    return {str(name): value.contiguous() for name, value in tensors.items()}


def _from_safetensors(path: Path, content: bytes) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load(content)
    except (SafetensorError, ValueError) as error:
        raise UsageError(f"'{path}' is no safetensors file: {error}") from None
    return tensors


def _net(tensors: Mapping[str, Tensor], path: Path) -> Inception:
    """The net with these weights, for inference only."""
    with torch.device("meta"):
        net = Inception()
    given = {key: value for key, value in tensors.items() if not key.endswith("_tracked")}
    wanted = {k: v for k, v in net.state_dict().items() if not k.endswith("_tracked")}
    for key, value in wanted.items():
        found = given.get(key)
        if found is None or found.shape != value.shape or not found.is_floating_point():
            has = "nothing" if found is None else f"{tuple(found.shape)} of {found.dtype}"
            raise UsageError(
                f"'{path}' does not hold the weights of Inception-v3 as FID uses it: {key} is "
                f"{has}, expected {tuple(value.shape)}"
            )
    net.load_state_dict({key: given[key].float() for key in wanted}, strict=False, assign=True)
    return net.eval().requires_grad_(False)
