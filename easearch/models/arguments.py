"""What the arguments of every seed have in common: layouts, rounded widths, and what is refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Stage(NamedTuple):
    """Blocks of one width: the first has the stride, the others stride 1."""

    channels: int
    repeats: int
    stride: int


Layout = str | Sequence[Sequence[int]]
"""The name of a list of stages, or the list itself: `[[channels, repeats, stride], ...]`."""


def unknown(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """Say which name was not found, which one was probably meant, and which ones there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return ValueError(f"unknown {kind} '{name}': {hint}known: {', '.join(names)}.")


def check_ranges(*, width: float, depth: float, dropout: float, **counts: int) -> None:
    """Refuse factors that are not positive, counts below 1, and a dropout outside [0, 1).

    Raises `ValueError` with the argument, what was expected and what came.
    """
    for name, factor in {"width": width, "depth": depth}.items():
        if not 0 < factor < float("inf"):
            raise ValueError(f"{name}: expected a factor above 0 (1.0 = as drawn), got {factor!r}.")
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{name}: expected a whole number of at least 1, got {count!r}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout: expected a probability in [0, 1), got {dropout!r}.")


def read_layout(layout: Layout, named: Mapping[str, Sequence[Stage]]) -> list[Stage]:
    """Turn a layout's name, or `[[channels, repeats, stride], ...]`, into stages.

    Raises `ValueError` for an unknown name and for a stage that is not three numbers of at least 1.
    """
    if isinstance(layout, str):
        if layout not in named:
            raise unknown("layout", layout, named)
        return list(named[layout])
    stages = [_read_stage(stage) for stage in layout]
    if not stages:
        raise ValueError(
            f"layout: expected at least one stage, got none; or name one: {sorted(named)}."
        )
    return stages


def _read_stage(stage: Sequence[int]) -> Stage:
    numbers = list(stage) if isinstance(stage, Sequence) and not isinstance(stage, str) else []
    if len(numbers) != 3 or not all(type(n) is int and n >= 1 for n in numbers):
        raise ValueError(
            f"layout: expected [channels, repeats, stride], each at least 1, got {stage!r}."
        )
    return Stage(*numbers)


def scaled_stages(stages: Sequence[Stage], width: float, depth: float, divisor: int) -> list[Stage]:
    """Multiply the channels by `width` (rounded to `divisor`) and the repeats by `depth`."""
    return [
        Stage(
            scaled(stage.channels, width, divisor),
            max(1, round(stage.repeats * depth)),
            stage.stride,
        )
        for stage in stages
    ]


def scaled(channels: int, width: float, divisor: int) -> int:
    """Round `channels * width` to a multiple of `divisor`, at least one, losing at most a tenth."""
    wanted = channels * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded
