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


MOST, DEEPEST = 2**16, 1000
"""Channels, classes and the like; blocks of a seed: ten times what any network in use has."""
LARGEST_FACTOR = 1000.0
_SHOWN = 40


def unknown(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """Say which name was not found, which one was probably meant, and which ones there are."""
    names, name = sorted(known), str(name)[:_SHOWN]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return ValueError(f"unknown {kind} '{name}': {hint}known: {', '.join(names)}.")


def check_ranges(*, width: float, depth: float, dropout: float, **counts: int) -> None:
    """Refuse factors that are not positive, counts below 1, and a dropout outside [0, 1).

    Raises `ValueError` with the argument, what was expected and what came.
    """
    for name, factor in {"width": width, "depth": depth}.items():
        if not _is_number(factor) or not 0 < factor <= LARGEST_FACTOR:
            raise ValueError(
                f"{name}: expected a factor above 0, {LARGEST_FACTOR:g} at most (1.0 = as drawn), "
                f"got {_shown(factor)}."
            )
    for name, count in counts.items():
        if not _is_count(count):
            raise ValueError(
                f"{name}: expected a whole number of at least 1, {MOST} at most, "
                f"got {_shown(count)}."
            )
    if not _is_number(dropout) or not 0 <= dropout < 1:
        raise ValueError(f"dropout: expected a probability in [0, 1), got {_shown(dropout)}.")


def read_layout(layout: Layout, named: Mapping[str, Sequence[Stage]]) -> list[Stage]:
    """Turn a layout's name, or `[[channels, repeats, stride], ...]`, into stages.

    Raises `ValueError` for an unknown name and for a stage that is not three numbers of at least 1.
    """
    if isinstance(layout, str):
        if layout not in named:
            raise unknown("layout", layout, named)
        return list(named[layout])
    if not isinstance(layout, Sequence):
        raise ValueError(
            f"layout: expected a list of stages or one of {sorted(named)}, got {_shown(layout)}."
        )
    stages = [_read_stage(stage) for stage in layout]
    if not stages:
        raise ValueError(
            f"layout: expected at least one stage, got none; or name one: {sorted(named)}."
        )
    return stages


def _read_stage(stage: object) -> Stage:
    numbers = list(stage) if isinstance(stage, Sequence) and not isinstance(stage, str) else []
    if len(numbers) != 3 or not all(map(_is_count, numbers)):
        raise ValueError(
            "layout: expected [channels, repeats, stride], each at least 1, "
            f"{MOST} at most, got {_shown(stage)}."
        )
    return Stage(*numbers)


def scaled_stages(stages: Sequence[Stage], width: float, depth: float, divisor: int) -> list[Stage]:
    """Multiply the channels by `width` (rounded to `divisor`) and the repeats by `depth`."""
    found = [
        Stage(
            scaled(stage.channels, width, divisor),
            max(1, round(stage.repeats * depth)),
            stage.stride,
        )
        for stage in stages
    ]
    blocks, widest = sum(stage.repeats for stage in found), max(stage.channels for stage in found)
    if blocks > DEEPEST or widest > MOST:
        raise ValueError(
            f"expected {DEEPEST} blocks at most and {MOST} channels, "
            f"got {blocks} blocks and {widest} channels; make layout, width or depth smaller."
        )
    return found


def scaled(channels: int, width: float, divisor: int) -> int:
    """Round `channels * width` to a multiple of `divisor`, at least one, losing at most a tenth."""
    wanted = channels * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
