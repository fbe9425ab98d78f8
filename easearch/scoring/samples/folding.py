"""Norms folded into the convolutions before them, while a model runs for scoring.

In evaluation mode a batch norm is a scale and a shift a channel: folded, it costs nothing a
position, neither forward nor backward.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from easearch.scoring.samples.traced_program import TracedProgram

Edge = tuple[str, str]
Folded = Callable[[Tensor], Tensor]
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def folds(wires: TracedProgram, asked: Collection[Edge]) -> dict[fx.Node, fx.Node]:
    """Norm -> convolution, where nobody else sees the value between the two: neither another layer
    nor a hook nor whoever `asked` for edges.
    """
    sources = {source for source, _ in asked}
    return {n: before for n, before in _pairs(wires) if wires.names[before] not in sources}


def active(wires: TracedProgram, found: Mapping[fx.Node, fx.Node]) -> dict[fx.Node, Folded]:
    """What stands for either node of every pair, with the parameters as they are now; norms that
    train are left alone.
    """
    calls: dict[fx.Node, Folded] = {}
    for norm, before in found.items():
        module, conv = wires.module(norm), wires.module(before)
        if isinstance(conv, CONVOLUTIONS) and module is not None and not module.training:
            calls[before] = _passed_on
            calls[norm] = partial(conv._conv_forward, **_both(conv, module))
    return calls


def _passed_on(x: Tensor) -> Tensor:
    return x


def _both(conv: Any, norm: Any) -> dict[str, Tensor]:
    """Weight and bias of the two together, without a gradient."""
    with torch.no_grad():
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight
        shift = -norm.running_mean * scale
        shift = shift if conv.bias is None else shift + conv.bias * scale
        shift = shift if norm.bias is None else shift + norm.bias
        weight = conv.weight * scale.view(-1, *[1] * (conv.weight.dim() - 1))
    return {"weight": weight, "bias": shift}


def _pairs(wires: TracedProgram) -> Iterator[tuple[fx.Node, fx.Node]]:
    for node in wires.traced.graph.nodes:
        sources = node.all_input_nodes
        if len(sources) != 1 or node.args != (sources[0],) or node.kwargs:
            continue
        (before,) = sources
        plain = before.args == tuple(before.all_input_nodes) and not before.kwargs
        if plain and len(before.args) == 1 and len(before.users) == 1:
            conv, norm = wires.module(before), wires.module(node)
            known = type(conv) in CONVOLUTIONS and type(norm) in NORMS
            if known and getattr(norm, "running_var", None) is not None and _quiet(conv, norm):
                yield node, before


def _quiet(*modules: nn.Module | None) -> bool:
    """Whether nobody looks on, and nothing but the modules' own tensors is in play."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return not any(getattr(module, name) for module in modules for name in hooks) and not any(
        hasattr(module, "parametrizations") for module in modules
    )
