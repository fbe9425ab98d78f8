"""Steps that run the layer itself: what is linear in its inputs, and products of two.

The transpose of a linear map is the gradient of its output, wherever that is taken: a point without
memory will do. A maximum over positions is linear where its places have been chosen, and has to be
taken at the batch's own values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from easearch.scoring.linearised.maps import Pair, formed
from easearch.scoring.linearised.steps import Kept, Some, Step, added


@dataclass(frozen=True, kw_only=True)
class Replay(Step):
    """A layer that is linear in all its inputs together, but for a constant. Inputs that are not
    floating (an index) are part of the map.

    Attributes:
        call: the inputs -> the output.
        chosen: whether the batch chooses which linear map it is (a maximum).
        apart: whether it does to every channel the same, however many there are.
    """

    call: Callable[[Sequence[Tensor]], Tensor] = field(compare=False)
    chosen: bool = False
    apart: bool = False

    def few(self, channels: Tensor) -> Step | None:
        """Itself, where the channels are apart."""
        return self if self.apart else None

    def value(self, xs: Sequence[Tensor], weights: Pair | None = None) -> Tensor:
        """The layer's output."""
        return self.call(xs)

    def run(self, xs: Sequence[Tensor]) -> tuple[Tensor, Kept]:
        """Keeps the inputs where they choose, else their shapes without memory."""
        return self.call(xs), tuple(
            x if self.chosen or not x.is_floating_point() else formed(x) for x in xs
        )

    def back(self, kept: Kept, b: Tensor) -> tuple[Kept, Some]:
        """`L' b`."""
        return kept, self._transposed(kept, b)

    def push(self, kept: Kept, moved: Some, along: Pair | None) -> Tensor | None:
        """`L x'`."""
        if all(x_ is None for x_ in moved):
            return None
        points = _whole(kept)
        tangents = [
            x_ if x_ is not None else torch.zeros_like(x) if x.is_floating_point() else x
            for x, x_ in zip(points, moved, strict=True)
        ]
        if self.chosen:
            found = torch.func.jvp(lambda *xs: self.call(xs), tuple(points), tuple(tangents))
            assert isinstance(found[1], Tensor)
            return found[1]
        return self.call(tangents) - self.call(points)

    def pull(
        self, kept: Kept, moved: Some, c: Tensor | None, along: Pair | None
    ) -> tuple[Some, Pair | None]:
        """`L' c`."""
        return ([None] * len(kept) if c is None else self._transposed(kept, c)), None

    def _transposed(self, kept: Kept, g: Tensor) -> Some:
        points = _whole(kept)
        asked = [
            inner and x.is_floating_point() for x, inner in zip(points, self.inner, strict=True)
        ]
        if not any(asked):
            return [None] * len(points)
        with torch.enable_grad():
            # Views: hooks on modules, as counters of FLOPs set them, refuse leaves.
            leaves = [
                x.detach().requires_grad_().view_as(x) if ask else x
                for x, ask in zip(points, asked, strict=True)
            ]
            wanted = [x for x, ask in zip(leaves, asked, strict=True) if ask]
            output = self.call(leaves)
            if not output.requires_grad:  # it stops gradients
                return [None] * len(points)
            found = iter(torch.autograd.grad(output, wanted, g, allow_unused=True))
        return [next(found) if ask else None for ask in asked]


@dataclass(frozen=True, kw_only=True)
class Product(Step):
    """A gate: two tensors multiplied, the smaller one spread over the larger."""

    bends: bool = True

    def value(self, xs: Sequence[Tensor], weights: Pair | None = None) -> Tensor:
        """`a b`."""
        return xs[0] * xs[1]

    def run(self, xs: Sequence[Tensor]) -> tuple[Tensor, Kept]:
        """Keeps both."""
        return self.value(xs), tuple(xs)

    def back(self, kept: Kept, b: Tensor) -> tuple[Kept, Some]:
        """Keeps both and the adjoint; `b` times the other."""
        return (*kept, b), self._times(kept, b)

    def push(self, kept: Kept, moved: Some, along: Pair | None) -> Tensor | None:
        """`a' b + a b'`."""
        one, other = _whole(kept[:2])
        one_, other_ = moved
        parts = [] if one_ is None else [one_ * other]
        return added(parts if other_ is None else [*parts, one * other_])

    def pull(
        self, kept: Kept, moved: Some, c: Tensor | None, along: Pair | None
    ) -> tuple[Some, Pair | None]:
        """`c` times the other, and the first adjoint times the other's tangent."""
        points, g = _whole(kept[:2]), kept[2]
        assert g is not None
        first = [None, None] if c is None else self._times(kept[:2], c)
        found: list[Tensor | None] = []
        for at, inner in enumerate(self.inner):
            parts = [part for part in (first[at],) if part is not None]
            across = moved[1 - at]
            if inner and across is not None:
                parts.append((g * across).sum_to_size(points[at].shape))
            found.append(added(parts))
        return found, None

    def _times(self, kept: Kept, g: Tensor) -> Some:
        points = _whole(kept)
        return [
            (g * points[1 - at]).sum_to_size(points[at].shape) if inner else None
            for at, inner in enumerate(self.inner)
        ]


def _whole(kept: Kept) -> list[Tensor]:
    return [x for x in kept if x is not None]
