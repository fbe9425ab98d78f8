"""A comparison of a second an entry: striped pictures of 12 pixels, a net of 40 channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import easearch as ea

CLASSES, SIDE = ("down", "across", "slant", "check"), 12


def pictures(root: Path) -> Path:
    """Four kinds of stripes under noise; 40 pictures a class to learn from, 16 to test on."""
    draws = np.random.default_rng(5)
    rows, columns = np.indices((SIDE, SIDE))
    waves = (rows, columns, rows + columns, rows * columns)
    for part, count in (("train", 40), ("test", 16)):
        for name, wave in zip(CLASSES, waves, strict=True):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                clean = 128 + 40 * np.sin(0.9 * wave + draws.uniform(0, 6))
                noisy = clean + draws.normal(0, 60, clean.shape)
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return root


def tiny(root: Path, **changes: Any) -> ea.Recipe:
    """The recipe over these pictures."""
    arguments = {"layout": [[8, 1, 1], [8, 1, 2]], "stem_channels": 8, "classes": len(CLASSES)}
    values: dict[str, Any] = {
        "name": "stripes",
        "data": {
            "name": "folder",
            "root": str(root),
            "size": SIDE,
            "channels": 1,
            "validation": 0.2,
        },
        "model": {"name": "mobilenet_v1", "arguments": arguments},
        "budget": {"limits": {"macs": "2.2x", "params": "3x"}},
        "growth": {"stages": [0.5, 1.0], "at": [0.15, 0.3], "images": 16, "width_step": 4},
        "training": {"epochs": 16, "batch_size": 16, "rate": 0.05, "warmup": 0.5, "pad": 0},
        "threads": 1,
    }
    return ea.Recipe.model_validate({**values, **changes})
