"""The step of a layer with parameters: bilinear in its input and in what the channels own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from easearch.scoring.linearised.fold import Fold
from easearch.scoring.linearised.maps import Map, Pair, formed
from easearch.scoring.linearised.steps import Kept, Some, Step, Take, added


@dataclass(frozen=True, kw_only=True)
class Bilinear(Step):
    """A layer with parameters, and the norm behind it."""

    map: Map
    fold: Fold
    weights: Pair = field(compare=False)
    """Of the fold, at the parameters as they are."""
    mixed: bool = False
    """Whether the gradient at the folded weights is needed (a product rule acts among them)."""
    moves: bool = True
    """Whether any of the weights is owned; where none is, the layer is linear in its input."""
    bends: bool = True

    def value(self, xs: Sequence[Tensor], weights: Pair | None = None) -> Tensor:
        """`B(x, W) + b`."""
        return self.map.apply(xs[0], *(weights or self.weights))

    def run(self, xs: Sequence[Tensor]) -> tuple[Tensor, Kept]:
        """Keeps the input."""
        return self.value(xs), (xs[0],)

    def few(self, channels: Tensor) -> Step | None:
        """These rows of the weights."""
        found = self.map.few(len(channels), self.inner[0])
        if found is None:
            return None
        fold = self.fold.few(channels)
        return replace(self, map=found, fold=fold, weights=fold.folded({}))

    def kept_of(self, kept: Kept, take: Take) -> Kept:
        """An input from outside is everybody's."""
        x, b = kept
        assert x is not None
        return (take(x) if self.inner[0] else x), None if b is None else take(b)

    def gradient(self, kept: Kept, b: Tensor) -> Pair | None:
        """The transpose at the weights."""
        (x,) = kept
        assert x is not None
        return self.map.to_weight(b, x, self.weights[0]) if self.mixed else None

    def back(self, kept: Kept, b: Tensor) -> tuple[Kept, Some]:
        """Keeps input and adjoint; where the input is frozen, nothing meets the adjoint."""
        (x,) = kept
        assert x is not None
        if not self.inner[0]:
            return (x, None), (None,)
        b_in = self.map.to_input(b, x, self.weights[0])
        return ((x, b) if self.moves else (formed(x), None)), (b_in,)

    def push(self, kept: Kept, moved: Some, along: Pair | None) -> Tensor | None:
        """`B(x', W) + B(x, W') + b'`."""
        x, x_ = kept[0], moved[0]
        assert x is not None
        if along is None:
            return None if x_ is None else self.map.apply(x_, self.weights[0], None)
        y = self.map.apply(x, *along)
        return y if x_ is None else y.add_(self.map.apply(x_, self.weights[0], None))

    def pull(
        self, kept: Kept, moved: Some, c: Tensor | None, along: Pair | None
    ) -> tuple[Some, Pair | None]:
        """Both sums of the product rule, as far as they are not zero."""
        x, b = kept
        x_ = moved[0]
        assert x is not None
        if along is None:
            c_in = None if c is None or not self.inner[0] else c
            return (c_in if c_in is None else self.map.to_input(c_in, x, self.weights[0]),), None
        to_W: list[Pair] = []
        to_x: list[Tensor] = []
        if c is not None:
            to_W.append(self.map.to_weight(c, x, self.weights[0]))
            if self.inner[0]:
                to_x.append(self.map.to_input(c, x, self.weights[0]))
        if b is not None:
            to_x.append(self.map.to_input(b, x, along[0]))
            if x_ is not None:
                # The bias meets no tangent: its part of this transpose is not wanted.
                to_W.append((self.map.to_weight(b, x_, self.weights[0])[0], None))
        return (added(to_x),), paired(to_W)


def paired(parts: Sequence[Pair]) -> Pair | None:
    """Their sum; a bias that is None adds nothing."""
    if not parts:
        return None
    weight = added([W for W, _ in parts])
    assert weight is not None
    return weight, next((b for _, b in parts if b is not None), None)
