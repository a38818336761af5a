"""`import`: weights that another program trained, as a saved generator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ganvas.errors import UsageError
from ganvas.verbs.imports import Imports, import_given, with_components
from ganvas.verbs.signatures import verb


@dataclass(frozen=True)
class Imported:
    """What `import` wrote."""

    path: Path
    recipe: str
    parameters: int

    def __str__(self) -> str:
        return (
            f"wrote {self.path}: the generator of {self.recipe}, {self.parameters:,} parameters\n"
            f"  images: ganvas sample {self.path}"
        )


@verb
def import_weights(
    file: Annotated[
        Path, Argument(help="A generator's .h5 or .keras of Keras, .pt or .pth of PyTorch.")
    ],
    *,
    recipe: Annotated[str, Option(help="The recipe whose generator it is.")],
    output: Annotated[Path | None, Option(help="New folder.  [default: RECIPE-imported]")] = None,
    imports: Imports = None,
) -> Imported:
    """Take weights that another program trained into a recipe's generator.

    Nothing in the file is executed: no pickled objects, and Keras's files are read by h5py alone.

    Raises:
        UsageError: no such recipe, or the file is damaged, not known or of another net.
        RunError: the folder cannot be written.
    """
    import hashlib

    import torch

    from ganvas import config
    from ganvas.generator import Generator, save_generator
    from ganvas.imports import fit
    from ganvas.verbs.show import size_of_data

    import_given(imports)

    def build() -> config.Run:
        return config.build(config.read_recipe(recipe).tables)

    run = with_components(Path(recipe), build) if recipe.endswith(".toml") else build()
    if not Path(file).is_file():
        raise UsageError(f"'{file}' does not exist; allowed: a file of weights")
    path = Path(output or f"{run.recipe}-imported")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"--output: '{path}' is there and not empty; name a new folder")
    _, shape = size_of_data(run, None)
    with torch.device("meta"):
        net = run.model.generator(shape, run.latent.dims)
    weights = fit.read(Path(file), net)
    if not all(value.isfinite().all() for value in weights.values()):
        raise UsageError(f"'{file}' holds values that are not finite")
    net.load_state_dict(weights, assign=True)
    net.eval().requires_grad_(False)
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    origin = f"weights imported from {Path(file).name}, SHA-256 {digest}"
    generator = Generator(net, run.model, run.latent, shape, run.recipe, images_seen=0)
    save_generator(path, run, generator, {"origin": origin})
    parameters = sum(value.numel() for value in net.parameters())
    return Imported(path, run.recipe, parameters)
