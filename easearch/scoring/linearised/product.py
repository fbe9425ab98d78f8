"""One product with the splitting matrices, fed with the fields of one batch after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from easearch.scoring.linearised.bilinear import Bilinear
from easearch.scoring.linearised.maps import Pair
from easearch.scoring.linearised.steps import Kept, Some, Step
from easearch.scoring.units.rows import Rows

Moved = dict[str, Tensor | None]
"""Tangents or adjoints by step; None is zero."""


class Product:
    """(C, D) -> (C, D): every channel's `S_c v_c`, summed over the samples of all batches given."""

    def __init__(self, rows: Rows, steps: tuple[Step, ...], vectors: Tensor) -> None:
        self._rows, self._steps, self._asked = rows, steps, _asked(steps)
        self._bilinear = [step for step in steps if isinstance(step, Bilinear) and step.moves]
        self._moved = rows.unpack(vectors)
        self._along = {step.name: step.fold.tangent(self._moved) for step in self._bilinear}
        self._first: dict[str, Pair] = {}
        self._second: dict[str, Pair] = {}

    def add(self, chunks: Iterable[Mapping[str, Kept]], first: Mapping[str, Pair]) -> None:
        """Tangents forward, adjoints backward, over what the steps keep of one batch."""
        with torch.no_grad():
            for kept in chunks:
                self._pull(kept, self._push(kept))
            for name, pair in first.items():
                sum_pair(self._first, name, pair)

    def total(self) -> Tensor:
        """(C, D): from the adjoints at the folded weights to those of what the channels own."""
        found = {key: torch.zeros_like(tensor) for key, tensor in self._moved.items()}
        for step in self._bilinear:
            first, second = self._first.get(step.name), self._second.get(step.name)
            found |= step.fold.pullback(second, first, self._moved)
        return self._rows.pack(found)

    def _push(self, kept: Mapping[str, Kept]) -> Moved:
        moved: Moved = {}
        for step in self._steps:
            if step.name in self._asked and step.name in kept:
                inputs = _moved(step, moved)
                moved[step.name] = step.push(kept[step.name], inputs, self._along.get(step.name))
        return moved

    def _pull(self, kept: Mapping[str, Kept], moved: Moved) -> None:
        c: Moved = {}
        for step in reversed(self._steps):
            if step.name in kept:
                at, along = c.pop(step.name, None), self._along.get(step.name)
                inputs, pair = step.pull(kept[step.name], _moved(step, moved), at, along)
                gather(c, step, inputs)
                sum_pair(self._second, step.name, pair)


def _moved(step: Step, moved: Moved) -> list[Tensor | None]:
    return [
        moved.get(source) if inner else None
        for (source, _), inner in zip(step.sources, step.inner, strict=True)
    ]


def _asked(steps: tuple[Step, ...]) -> set[str]:
    """The steps whose tangent somebody behind them asks for."""
    asked: set[str] = set()
    for step in reversed(steps):
        if step.bends or step.name in asked:
            asked |= {s for (s, _), inner in zip(step.sources, step.inner, strict=True) if inner}
    return asked


def gather(adjoints: Moved, step: Step, inputs: Some) -> None:
    """Adjoints at a step's inputs, added to what is there."""
    for (source, _), inner, adjoint in zip(step.sources, step.inner, inputs, strict=True):
        if inner and adjoint is not None:
            add(adjoints, source, adjoint)


def add(adjoints: Moved, name: str, more: Tensor) -> None:
    """Never in place: an adjoint may be a captured gradient, or shared between two inputs."""
    before = adjoints.get(name)
    adjoints[name] = more if before is None else before + more


def sum_pair(pairs: dict[str, Pair], name: str, more: Pair | None) -> None:
    """Add to the weights' adjoints of a step."""
    if more is None:
        return
    W, b = pairs.get(name, (None, None))
    more_W, more_b = more
    bias = more_b if b is None else b if more_b is None else b + more_b
    pairs[name] = (more_W if W is None else W + more_W, bias)
