"""An optimizer goes on: its groups, options and state, for the parameters of a grown model.

State of a parameter's shape follows the parameter. Rows repeat their parent's. Columns do so too,
and where the state is part of a step (momentum, first moments, averaged weights) they take their
share of it, like the weights, and removed twins' are added up; what scales a step (second moments)
is repeated unshared. So the part of the next step that comes from the state moves the function, to
first order, as it would have moved it before. The part of the fresh gradient does not: the gradient
at the rows of an offspring with share `a` is `a` times the parent's.

What is born has no state: zeros, and none at all for a new layer.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer, Rprop

from easearch.errors import GraphError

SCALES = ("sq", "avg", "sum", "exp_inf", "acc_delta")
"""Ends of the names of states that scale a step: Adam's exp_avg_sq, RMSprop's square_avg and
grad_avg, Adagrad's sum, Adamax's exp_inf, Adadelta's acc_delta; all but `exp_avg`, a first moment.
"""


class Follows(Protocol):
    """How a tensor follows the moves."""

    def grown(self, old: Tensor, *, offsets: bool = False, shared: bool = True) -> Tensor:
        """The new tensor."""


class Joins(Protocol):
    """A new parameter, and others of the model, nearest first, whose group it joins."""

    @property
    def path(self) -> str:
        """Its name in the model."""

    @property
    def parameter(self) -> nn.Parameter:
        """The parameter."""

    @property
    def beside(self) -> Sequence[Tensor]:
        """The others; those that the optimizer does not hold are passed over."""


def carried(
    optimizer: Optimizer,
    new: Mapping[int, Any],
    follow: Mapping[int, Follows],
    joining: Sequence[Joins] = (),
) -> Optimizer:
    """The optimizer for the grown model.

    Args:
        optimizer: of the old model; it stays as it was.
        new: `id` of an old tensor -> the grown model's.
        follow: `id` of an old parameter that changes -> how.
        joining: parameters that no old one corresponds to.

    Raises:
        GraphError: it holds a parameter that is not the model's, or state that cannot follow.
    """
    if isinstance(optimizer, LBFGS | Rprop):
        raise GraphError(
            f"expected an optimizer whose state scales with the weights, got "
            f"{type(optimizer).__name__}: its steps have a size of their own, which offspring "
            "cannot share; make a new one after the growth"
        )
    groups: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        if any(id(p) not in new for p in group["params"]):
            raise GraphError(
                "expected an optimizer over the model's own parameters, got one with another; "
                "make it from this model"
            )
        groups.append({**group, "params": [new[id(p)] for p in group["params"]]})
    for one in joining:
        _join(one, groups)
    copied: Optimizer = object.__new__(type(optimizer))
    # A scheduler leaves its own bound `step` on the instance: it would step the old optimizer.
    vars(copied).update({key: value for key, value in vars(optimizer).items() if key != "step"})
    copied.param_groups, copied.state = groups, defaultdict(dict)
    with torch.no_grad():
        for old, state in optimizer.state.items():
            copied.state[new[id(old)]] = {
                key: _grown(key, value, old, follow.get(id(old))) for key, value in state.items()
            }
    return copied


def _grown(key: str, value: Any, old: Tensor, follow: Follows | None) -> Any:
    if follow is None or not isinstance(value, Tensor):
        return copy.deepcopy(value)
    if value.shape == old.shape:
        return follow.grown(value, shared=key == "exp_avg" or not key.endswith(SCALES))
    if value.numel() == 1:
        return copy.deepcopy(value)
    raise GraphError(
        f"expected optimizer state '{key}' of its parameter's shape {tuple(old.shape)}, got "
        f"{tuple(value.shape)}; it cannot follow, make a new optimizer after the growth"
    )


def _join(one: Joins, groups: Sequence[dict[str, Any]]) -> None:
    """Into the group of the nearest parameter of its kind that the optimizer has."""
    home = {id(p): group for group in groups for p in group["params"]}
    group = next((home[id(p)] for p in one.beside if id(p) in home), groups[0])
    group["params"].append(one.parameter)
    if "param_names" in group:
        group["param_names"] = [*group["param_names"], one.path]
