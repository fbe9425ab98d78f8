"""Own parameters of a layer and the norm behind it, folded into one weight and one bias.

In evaluation mode a norm is a scale: `z = B(x, s w) + beta + s (d - mu)`, `s = gamma r`,
`r = 1 / sqrt(var + eps)`. Folded, it costs nothing a position: its derivatives are taken here, on
tensors of the parameters' size.

Legend: w, d weight and bias of the layer; gamma, beta of the norm; W, b the folded pair.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from easearch.scoring.linearised.maps import Pair

Own = Mapping[str, Tensor]
"""Tensors by parameter name."""
Paths = Mapping[str, str]
"""What a layer calls a tensor -> where the model keeps it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """Where the parameters are found, and their values.

    `w`, `d`, `gamma`, `beta` are paths of the model's parameters, empty where there is none; `held`
    has the values of all, whether the channels own them or not.
    """

    w: str = ""
    d: str = ""
    gamma: str = ""
    beta: str = ""
    held: Own
    mean: Tensor | None = None
    r: Tensor | None = None

    def folded(self, own: Own) -> Pair:
        """W and b, with `own` in place of what is held."""
        w, d, gamma, beta = self._four({**self.held, **own})
        if self.r is None or self.mean is None:
            assert w is not None
            return w, d
        s = self.r if gamma is None else gamma * self.r
        shift = s * (-self.mean if d is None else d - self.mean)
        return _rows(s, w), shift if beta is None else shift + beta

    def tangent(self, moved: Own) -> Pair:
        """W' and b' where the owned parameters move by `moved` (what is not owned stays)."""
        w, d, gamma, _ = self._four(self.held)
        w_, d_, gamma_, beta_ = self._four(moved)
        if self.r is None or self.mean is None:
            assert w is not None
            return torch.zeros_like(w) if w_ is None else w_, d_
        s = self.r if gamma is None else gamma * self.r
        s_ = torch.zeros_like(s) if gamma_ is None else gamma_ * self.r
        W_ = _rows(s_, w) if w_ is None else _rows(s_, w) + _rows(s, w_)
        b_ = s_ * (-self.mean if d is None else d - self.mean)
        b_ = b_ if d_ is None else b_ + s * d_
        return W_, b_ if beta_ is None else b_ + beta_

    def pullback(self, second: Pair | None, first: Pair | None, moved: Own) -> dict[str, Tensor]:
        """Adjoints of the owned parameters, from those of (W, b).

        `first` is the gradient at (W, b), `second` its derivative along `moved`: where gamma and w
        move together, the product rule brings the gradient in.
        """
        weights = self.folded({})
        C, c = second or (torch.zeros_like(weights[0]), None)
        if self.r is None or self.mean is None:
            found = {self.w: C} | ({} if c is None else {self.d: c})
            return {key: t for key, t in found.items() if key in moved}
        c = torch.zeros_like(self.r) if c is None else c
        w, d, gamma, _ = self._four(self.held)
        w_, d_, gamma_, _ = self._four(moved)
        s = self.r if gamma is None else gamma * self.r
        shifted = -self.mean if d is None else d - self.mean
        to_w, to_d = _rows(s, C), s * c
        to_s = _dots(C, w) + c * shifted
        if first is not None:
            B, b = first
            assert b is not None
            if gamma_ is not None:
                to_w, to_d = to_w + _rows(gamma_ * self.r, B), to_d + gamma_ * self.r * b
            to_s = to_s if w_ is None else to_s + _dots(B, w_)
            to_s = to_s if d_ is None else to_s + b * d_
        found = {self.w: to_w, self.d: to_d, self.gamma: to_s * self.r, self.beta: c}
        return {key: t for key, t in found.items() if key in moved}

    def moves(self, own: Collection[str]) -> bool:
        """Whether any of the parameters is owned."""
        return any(path in own for path in (self.w, self.d, self.gamma, self.beta) if path)

    def few(self, channels: Tensor) -> Fold:
        """The same for some of the channels."""
        return replace(
            self,
            held={path: t.index_select(0, channels) for path, t in self.held.items()},
            mean=None if self.mean is None else self.mean.index_select(0, channels),
            r=None if self.r is None else self.r.index_select(0, channels),
        )

    def needs_first(self, own: Collection[str]) -> bool:
        """Whether a product rule acts: a norm's scale is owned, and a weight or bias before it."""
        return self.gamma in own and (self.w in own or self.d in own)

    def _four(self, own: Own) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
        return own.get(self.w), own.get(self.d), own.get(self.gamma), own.get(self.beta)


def fold(layer: Paths, norm: Paths, held: Own, eps: float) -> Fold:
    """The fold of a layer and the norm behind it, given the paths of their tensors; `held` has the
    tensors at these paths.
    """
    w, d, gamma, beta = (of.get(role, "") for of in (layer, norm) for role in ("weight", "bias"))
    values = {path: held[path] for path in (w, d, gamma, beta) if path}
    found = Fold(w=w, d=d, gamma=gamma, beta=beta, held=values)
    if not norm:
        return found
    mean, variance = held[norm["running_mean"]], held[norm["running_var"]]
    return replace(found, mean=mean, r=torch.rsqrt(variance + eps))


def _rows(s: Tensor, w: Tensor | None) -> Tensor:
    """Every row of w times its number in s; without w the scale itself."""
    return s if w is None else w * s.view((-1,) + (1,) * (w.dim() - 1))


def _dots(a: Tensor, w: Tensor | None) -> Tensor:
    """(C,): row by row inner products; without w the rows are numbers, and w is one."""
    return a if w is None else (a * w).flatten(1).sum(1)
