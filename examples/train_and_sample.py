"""Train the quickstart for a moment, look at its numbers, and make images with it."""

import json
import sys
from pathlib import Path

import ganvas


def main(folder: Path) -> None:
    trained = ganvas.train(epochs=5, outdir=folder / "run", progress=False)
    print(f"{trained.images:,} images in {trained.seconds:.1f} s, in {trained.folder}")

    last = json.loads((trained.folder / "log.jsonl").read_text().splitlines()[-1])
    print(f"D {last['D/loss']:.3f}  G {last['G/loss']:.3f}")

    images = ganvas.sample(trained.folder, num=16, seed=1, grid=folder / "grid.png")
    print(f"{images.shape} {images.dtype} in {folder / 'grid.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example"))
