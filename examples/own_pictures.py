"""A folder of one's own pictures: look at it first, then train on it with the settings changed."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import ganvas


def draw_pictures(folder: Path) -> None:
    """Stand-ins for real pictures: 64 grey ones of 28x20 pixels, each a bright box."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(64):
        pixels = np.zeros((28, 20), np.uint8)
        top, left = rng.integers(2, 12, size=2)
        pixels[top : top + 12, left : left + 7] = 255
        Image.fromarray(pixels).save(folder / f"{number}.png")


def main(folder: Path) -> None:
    pictures = folder / "pictures"
    draw_pictures(pictures)
    found = ganvas.data.inspect(pictures)
    print(f"{found.count} pictures, sizes {found.sizes}, {found.num_duplicates} duplicates")

    settings = {"loss.name": "least-squares", "output.sample": "5 epochs"}
    run = ganvas.train(data=pictures, epochs=10, settings=settings, outdir=folder / "run")
    generator = ganvas.load(run.folder)
    print(f"walk through latent space: {generator.walk(frames=12).shape}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example"))
