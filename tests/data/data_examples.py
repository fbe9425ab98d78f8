"""Small data sets written to a folder, in the formats that the loaders read."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from easearch.data import Images


def some_images(count=60, *, classes=3, channels=1, size=8, seed=0) -> Images:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(256, (count, channels, size, size), generator=generator, dtype=torch.uint8)
    return Images(x=x, y=torch.arange(count) % classes)


def write_idx(path: Path, array: np.ndarray) -> None:
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_idx_folder(folder: Path, train: Images, test: Images, suffix: str) -> None:
    folder.mkdir(parents=True)
    for name, images in {"train": train, "t10k": test}.items():
        write_idx(folder / f"{name}-images-idx3-ubyte{suffix}", images.x.squeeze(1).numpy())
        write_idx(folder / f"{name}-labels-idx1-ubyte{suffix}", images.y.to(torch.uint8).numpy())


def write_class_folders(folder: Path, images: Images, names=("cat", "dog", "emu")) -> None:
    for index, (x, label) in enumerate(zip(images.x, images.y.tolist(), strict=True)):
        (folder / names[label]).mkdir(parents=True, exist_ok=True)
        pixels = x.permute(1, 2, 0).squeeze(2).numpy()
        Image.fromarray(pixels).save(folder / names[label] / f"{index:03}.png")


def jpeg_archive(path: Path, **parts: Images) -> None:
    arrays = {}
    for name, images in parts.items():
        encoded = [jpeg(x.permute(1, 2, 0).numpy()) for x in images.x]
        arrays[f"jpeg_{name}"] = np.frombuffer(b"".join(encoded), np.uint8)
        arrays[f"off_{name}"] = np.cumsum([0, *map(len, encoded)])
        arrays[f"y_{name}"] = images.y.to(torch.uint8).numpy()
    np.savez(path, **arrays)


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
