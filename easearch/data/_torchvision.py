"""The only way to torchvision in easearch: it mends one import failure, and elsewhere does nothing.

A torchvision built for CUDA finds its operators undeclared on a CPU build of torch, and fails on
import, though data sets and transforms need none of them. Declaring the two names lets it import;
calling them still fails.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

from easearch.errors import DataError, reason_of

UNDECLARED = "operator torchvision::nms does not exist"

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[torch.library.Library] = []
"""Keeps the declarations alive: torch withdraws them with their library."""


def torchvision(module: str) -> ModuleType:
    """Import `torchvision.<module>`, declaring the missing operators first where that is needed.

    Raises `DataError` where torchvision is not installed.
    """
    name = f"torchvision.{module}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise DataError(
            f"{name} cannot be imported ({reason_of(error)}); pip install torchvision."
        ) from None
    except RuntimeError as error:
        if UNDECLARED not in str(error) or _declared:
            raise
    _forget()
    _declare()
    return importlib.import_module(name)


def _forget() -> None:
    for loaded in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
        del sys.modules[loaded]


def _declare() -> None:
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(operator + SCHEMA)  # type: ignore[no-untyped-call]
    _declared.append(library)
