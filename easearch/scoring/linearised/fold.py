"""Own parameters of a layer and the norm behind it, folded into one weight and one bias.

In evaluation mode a norm is a scale: `z = B(x, s w) + beta + s (d - mu)`, `s = gamma r`,
`r = 1 / sqrt(var + eps)`. Folded, it costs nothing a position: its derivatives are taken here, on
tensors of the parameters' size.

Legend: w, d weight and bias of the layer; gamma, beta of the norm; W, b the folded pair.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easearch.scoring.linearised.maps import Pair

Own = Mapping[str, Tensor]
"""Tensors by parameter name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """Where the parameters are found, and their values.

    `layer` and `norm` are names, either may be empty. `held` has every parameter by its full name,
    whether the channels own it or not.
    """

    layer: str
    norm: str
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
            found = {self._key("weight"): C} | ({} if c is None else {self._key("bias"): c})
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
        layer = {} if not self.layer else {"weight": to_w, "bias": to_d}
        found = {f"{self.layer}.{name}": t for name, t in layer.items()}
        found |= {f"{self.norm}.weight": to_s * self.r, f"{self.norm}.bias": c}
        return {key: t for key, t in found.items() if key in moved}

    def needs_first(self, own: Collection[str]) -> bool:
        """Whether a product rule acts: a norm's scale is owned, and a weight or bias before it."""
        before = (f"{self.layer}.weight", f"{self.layer}.bias")
        return f"{self.norm}.weight" in own and any(key in own for key in before)

    def _key(self, tensor: str) -> str:
        return f"{self.layer}.{tensor}"

    def _four(self, own: Own) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
        layer = (own.get(self._key("weight")), own.get(self._key("bias"))) if self.layer else ()
        w, d = layer or (None, None)
        norm = (own.get(f"{self.norm}.weight"), own.get(f"{self.norm}.bias")) if self.norm else ()
        gamma, beta = norm or (None, None)
        return w, d, gamma, beta


def fold(model: nn.Module, layer: str, norm: str) -> Fold:
    """The fold of a layer and the norm behind it, by their names; either may be empty."""
    held: dict[str, Tensor] = {}
    for name in filter(None, (layer, norm)):
        module = model.get_submodule(name)
        for tensor in ("weight", "bias"):
            value = getattr(module, tensor, None)
            if value is not None:
                held[f"{name}.{tensor}"] = value.detach()
    if not norm:
        return Fold(layer=layer, norm=norm, held=held)
    module = model.get_submodule(norm)
    assert isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    mean, variance = module.running_mean, module.running_var
    assert mean is not None and variance is not None
    return Fold(layer=layer, norm=norm, held=held, mean=mean, r=torch.rsqrt(variance + module.eps))


def _rows(s: Tensor, w: Tensor | None) -> Tensor:
    """Every row of w times its number in s; without w the scale itself."""
    return s if w is None else w * s.view((-1,) + (1,) * (w.dim() - 1))


def _dots(a: Tensor, w: Tensor | None) -> Tensor:
    """(C,): row by row inner products; without w the rows are numbers, and w is one."""
    return a if w is None else (a * w).flatten(1).sum(1)
