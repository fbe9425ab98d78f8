"""Numbers among the arguments of a call: worked out from sizes or constant, one or one an axis."""

from __future__ import annotations

from typing import Any

from easearch.tracing.call import Call, Derived
from easearch.tracing.layouts import Apart


def plain(tree: Any) -> Any:
    """The arguments with every number worked out from sizes as the number that it is now; lists
    become tuples.
    """
    if isinstance(tree, Derived):
        return plain(tree.value)
    if isinstance(tree, tuple | list):
        return tuple(plain(item) for item in tree)
    return tree


def axes(given: Any, dims: int) -> tuple[int, ...]:
    """Axes as places from the front, in order; all of them where none is given."""
    if given is None or given == () or given == []:
        return tuple(range(dims))
    several = given if isinstance(given, tuple | list) else (given,)
    return tuple(sorted(int(axis) % dims for axis in several))


def check_over(call: Call, over: tuple[int, ...]) -> None:
    """Refuse work along axes that gives positions, or goes over the samples.

    Raises:
        Apart: it does.
    """
    if call.piece not in (None, 0):
        raise Apart("it gives positions")
    if 0 in over:
        raise Apart("it goes over the samples of a batch")
