"""Make the embedded data set `fashion-mnist-mini` from the files of Fashion-MNIST.

Usage: python reports/data/make_embedded.py IDX_FOLDER OUTPUT

It holds 10,000 + 2,000 of the 60,000 + 10,000 pictures, classes balanced. IDX_FOLDER holds the four
IDX files, gzipped or not (`dpkg -L dataset-fashion-mnist` lists those of the Debian package). The
choice is a pure function of these files and `--seed`; the package holds seed 0. The container is an
.npz inside xz: on these pictures xz is 14 % smaller than the deflate of an .npz.
"""

from __future__ import annotations

import argparse
import io
import lzma
from pathlib import Path

import numpy as np
import torch

from easearch.data.idx import read_images
from easearch.data.images import Images


def balanced(images: Images, per_class: int, generator: torch.Generator) -> Images:
    """Take `per_class` pictures of every class, in the order in which they stand in `images`."""
    chosen = []
    for label in range(10):
        members = (images.y == label).nonzero().squeeze(1)
        chosen.append(members[torch.randperm(len(members), generator=generator)[:per_class]])
    return images.take(torch.cat(chosen).sort().values)


def pack(train: Images, test: Images) -> bytes:
    """Compress two parts into the bytes of an xz'd .npz with x_train, y_train, x_test, y_test."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        x_train=train.x.squeeze(1).numpy(),
        y_train=train.y.to(torch.uint8).numpy(),
        x_test=test.x.squeeze(1).numpy(),
        y_test=test.y.to(torch.uint8).numpy(),
    )
    return lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def main() -> None:
    """Read the command line, write the file, say its size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("idx_folder", type=Path, help="the folder of the four IDX files")
    parser.add_argument("output", type=Path, help="where the .npz.xz goes")
    parser.add_argument("--train", type=int, default=1000, help="training pictures a class")
    parser.add_argument("--test", type=int, default=200, help="test pictures a class")
    parser.add_argument("--seed", type=int, default=0, help="which pictures")
    arguments = parser.parse_args()
    generator = torch.Generator().manual_seed(arguments.seed)
    train = balanced(read_images(arguments.idx_folder, "train"), arguments.train, generator)
    test = balanced(read_images(arguments.idx_folder, "t10k"), arguments.test, generator)
    arguments.output.write_bytes(pack(train, test))
    size = arguments.output.stat().st_size / 1e6
    print(f"{arguments.output}: {len(train)} + {len(test)} pictures, {size:.2f} MB")


if __name__ == "__main__":
    main()
