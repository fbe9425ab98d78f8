"""Seeds: small networks in plain torch, from which growing starts.

A new seed is one file with a keyword-only function that returns an `nn.Module`, and one line in
`SEEDS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from easearch.models.arguments import unknown
from easearch.models.blocks import initialise
from easearch.models.mobilenet_v1 import mobilenet_v1
from easearch.models.mobilenet_v2 import mobilenet_v2

__all__ = ["SEEDS", "build", "initialise", "mobilenet_v1", "mobilenet_v2"]

SEEDS: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
}


def build(name: str, **arguments: Any) -> nn.Module:
    """Build the seed `name`; its arguments are JSON-able, as they stand in a recipe.

    Raises `ValueError` for an unknown name, an unknown argument, or a value that makes no network.
    """
    if name not in SEEDS:
        raise unknown("seed", name, SEEDS)
    known = list(inspect.signature(SEEDS[name]).parameters)
    for argument in arguments:
        if argument not in known:
            raise unknown(f"argument of {name}", argument, known)
    return SEEDS[name](**arguments)
