"""Whether the Python code of a model's forward pass may decide on a width: `if h.shape[1] > 20`.

A narrow copy takes one side of such a decision, the model perhaps the other; so the check of a
graph also looks beyond the model's own widths where this is possible.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from torch import nn

SIZES = frozenset(
    (
        *("shape", "size", "numel", "in_features", "out_features", "in_channels", "out_channels"),
        *("num_features", "num_channels", "embed_dim", "normalized_shape", "hidden_size", "len"),
    )
)
"""Names by which code reads a width."""
DECIDING = frozenset({"max", "min", "clamp", "int", "round", "floor", "ceil", "log2"})
"""Functions of numbers that are not the same above and below some number."""
STEPS = ("//", "%")


def may_decide_on_widths(model: nn.Module) -> bool:
    """Whether some code reads sizes, and compares or rounds numbers."""
    seen: set[CodeType] = set()
    for kind in {type(module) for module in model.modules()}:
        if not kind.__module__.startswith("torch."):
            codes = list(_reached(kind.forward, kind, seen))
            names = {name for code in codes for name in (*code.co_names, *code.co_freevars)}
            if names & SIZES and (names & DECIDING or any(map(_decides, codes))):
                return True
    return False


def _reached(function: Any, kind: type, seen: set[CodeType]) -> Iterator[CodeType]:
    """The code of a function, and of those of the same people's that it names."""
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, FunctionType) or function.__code__ in seen:
        return
    for code in _nested(function.__code__):
        seen.add(code)
        yield code
        for name in code.co_names:
            other = function.__globals__.get(name, getattr(kind, name, None))
            if isinstance(other, FunctionType) and not other.__module__.startswith("torch"):
                yield from _reached(other, kind, seen)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _decides(code: CodeType) -> bool:
    """Whether it compares, or divides to whole numbers."""
    return any(
        one.opname == "COMPARE_OP" or one.argrepr.rstrip("=") in STEPS
        for one in dis.get_instructions(code)
    )
