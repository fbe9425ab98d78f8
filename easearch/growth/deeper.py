"""New layers in a real network: a residual module in the module behind which it stands.

Nothing is renamed: the module whose output the layer's value is gets a child called `then` and
becomes of a class made for it, whose forward pass ends in that child. Classes are made once for
each base; pickle and deepcopy know such a module by its base.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from easearch.deepening import THEN, NewLayer
from easearch.errors import GraphError
from easearch.graph import Graph, Layer
from easearch.growth.channel_mapping import memory_format
from easearch.moves import Move

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
CONTAINERS = (nn.Sequential, nn.ModuleDict, nn.ModuleList)
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


_CLASSES: dict[type[nn.Module], type[nn.Module]] = {}


class Residual(nn.Module):
    """`x + out(act(into(x)))`; `out` is zero at birth."""

    def __init__(self, into: nn.Module, act: nn.Module, out: nn.Module) -> None:
        super().__init__()
        self.into, self.act, self.out = into, act, out

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        added: Tensor = x + self.out(self.act(self.into(x)))
        return added


class Deepened(nn.Module):
    """What every module with a layer behind it is; its other base is the class that it had."""

    base: type[nn.Module]
    then: nn.Module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's own forward pass, and the new layer behind it.

        Raises:
            GraphError: the module gives several values, no single tensor.
        """
        if isinstance(self, CONTAINERS):
            value = self._without_then(*args, **kwargs)
        else:
            value = super().forward(*args, **kwargs)
        if isinstance(value, tuple | list | dict):
            raise GraphError(
                f"expected a single tensor from {self.base.__name__}, behind which there is a new "
                f"layer, got a {type(value).__name__}; put the layer behind one inside it"
            )
        return self.then(value)

    def _without_then(self, *args: Any, **kwargs: Any) -> Any:
        """The forward pass of a container, which runs through all children that it has."""
        then = self._modules.pop(THEN)
        try:
            return super().forward(*args, **kwargs)
        finally:
            self._modules[THEN] = then

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """By its base: the class itself has no home from which it could be imported."""
        state: Any = super().__reduce_ex__(protocol)[2]
        return _blank, (self.base,), state


def deepened(base: type[nn.Module]) -> type[nn.Module]:
    """The one class of modules of this base with a layer behind them.

    Its qualified name says the base in brackets, by which tracing knows what the module is.
    """
    if base in _CLASSES:
        return _CLASSES[base]
    members: dict[str, Any] = {
        "base": base,
        "__module__": __name__,
        "__qualname__": f"Deepened[{base.__module__}.{base.__qualname__}]",
        "__doc__": f"{base.__name__} with a new layer behind it.",
    }
    if hasattr(base, "_check_input_dim"):
        members["_check_input_dim"] = _unchecked
    name = f"Deepened{base.__name__}"
    made = types.new_class(name, (Deepened, base), exec_body=lambda body: body.update(members))
    return _CLASSES.setdefault(base, made)


def _unchecked(self: nn.Module, input: Tensor) -> None:
    """Norms look at their input's shape, which torch.fx cannot follow once it looks inside."""


def _blank(base: type[nn.Module]) -> nn.Module:
    kind = deepened(base)
    made: nn.Module = kind.__new__(kind)
    return made


@dataclass(frozen=True, kw_only=True)
class Inserted:
    """A parameter of a new layer, and older ones of its kind, nearest first."""

    path: str
    parameter: nn.Parameter
    beside: Sequence[Tensor]


def deepen(model: nn.Module, graph: Graph, moves: Iterable[Move]) -> list[Inserted]:
    """Put the new layers among the moves into the model, in place, one after the other.

    Args:
        model: a network of which `graph` is the trace.
        graph: its graph.
        moves: those on widths are passed over.
    """
    inserted: list[Inserted] = []
    for move in moves:
        if not move.deepens:
            continue
        behind, path = move.place(graph)
        module = model.get_submodule(path)
        if hasattr(module, THEN):
            raise GraphError(
                f"expected no attribute '{THEN}' in '{path}', got one; a new layer would be called "
                "so, put it elsewhere"
            )
        near = _near(model, graph, behind)
        new = _residual(move, graph.channels(behind.writes), len(behind.out_size), near)
        setattr(module, THEN, new.train(module.training))
        module.__class__ = deepened(type(module))
        for name, parameter in new.named_parameters():
            weight = parameter.dim() > 1
            kin = [p for p in near if (p.dim() > 1) == weight]
            others = [p for p in near if (p.dim() > 1) != weight]
            inserted.append(
                Inserted(path=f"{path}.{THEN}.{name}", parameter=parameter, beside=kin + others)
            )
        graph = move.inserted(graph)
    return inserted


def describe(graph: Graph) -> tuple[dict[str, Any], ...]:
    """The new layers of a graph in an order in which they can be put in again, as plain data; how
    wide they are, the groups' widths say.
    """
    found = []
    for into in graph.layers:
        path, _, part = into.name.rpartition(".")
        names = [f"{path}.{other}" for other in ("act", "out", "add")]
        if part != "into" or not path.endswith(f".{THEN}"):
            continue
        if all(name in graph.by_name for name in names):
            act, _, _ = (graph.by_name[name] for name in names)
            options = dict(into.options)
            found.append(
                {
                    "behind": into.inputs[0],
                    "layer": into.kind,
                    "kernel": options.get("kernel", (1,))[0],
                    "activation": dict(act.options)["function"],
                }
            )
    return tuple(found)


def restoring(graph: Graph, described: Iterable[Mapping[str, Any]]) -> list[NewLayer]:
    """The moves that put described layers into a seed, one channel wide; those that it has already
    are left out.

    Raises:
        GraphError: a description is not one of a new layer.
    """
    there = {str(one["behind"]) for one in describe(graph)}
    moves = []
    for one in described:
        try:
            if one["behind"] not in there:
                moves.append(NewLayer(hidden=1, **one))
        except (TypeError, KeyError, GraphError) as error:
            raise GraphError(f"expected the fields of a new layer, got {one!r}: {error}") from None
    return moves


def _near(model: nn.Module, graph: Graph, behind: Layer) -> list[nn.Parameter]:
    """All parameters that layers hold: first those of the same groups, by their distance."""
    groups = {segment.group for segment in behind.writes}
    numbers = {layer.name: number for number, layer in enumerate(graph.layers)}
    at = numbers[behind.name]

    def distance(layer: Layer) -> tuple[bool, int]:
        return groups.isdisjoint(layer.groups), abs(numbers[layer.name] - at)

    parameters = dict(model.named_parameters(remove_duplicate=False))
    ordered = sorted(graph.layers, key=distance)
    paths = dict.fromkeys(held.path for layer in ordered for held in layer.tensors)
    return [parameters[path] for path in paths if path in parameters]


def _residual(move: NewLayer, channels: int, dims: int, near: Sequence[Tensor]) -> Residual:
    """On the device of its neighbours, in their dtype and memory format; no generator is read but
    its own.
    """
    like = next((p for p in near if p.is_floating_point()), torch.empty(0))
    if move.layer == "linear":
        kind: Any = nn.Linear
        sizes: dict[str, Any] = {}
    else:
        kind, sizes = CONVS[dims], {"kernel_size": move.kernel, "padding": move.kernel // 2}
    hidden = move.hidden or channels
    # Made without numbers: the usual way draws them from the global generator.
    into, out = (
        kind(*widths, **sizes, device="meta", dtype=like.dtype).to_empty(device=like.device)
        for widths in ((channels, hidden), (hidden, channels))
    )
    if not like.is_meta:  # a frame without numbers takes no memory
        _fill(into, {"weight": _drawn(into.weight, move.seed), **move.into}, "into")
        _fill(out, move.out, "out")
    residual = Residual(into, ACTIVATIONS[move.activation](), out)
    same = next((p for p in near if p.dim() == into.weight.dim()), None)
    if same is not None and into.weight.dim() > 3:
        residual.to(memory_format=memory_format(same))  # type: ignore[call-overload]
    return residual


def _drawn(weight: Tensor, seed: int) -> Tensor:
    """Normal numbers that keep the size of what comes in."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    return drawn / math.sqrt(weight[0].numel())


@torch.no_grad()
def _fill(module: nn.Module, values: Mapping[str, Tensor], part: str) -> None:
    parameters = dict(module.named_parameters())
    for name, value in values.items():
        shape = tuple(parameters[name].shape) if name in parameters else "no such tensor"
        if shape != tuple(value.shape):
            raise GraphError(
                f"expected '{part}' of a new layer to hold a weight or a bias of its shape, got "
                f"'{name}' of shape {tuple(value.shape)} for {shape}"
            )
    for name, parameter in parameters.items():
        parameter.copy_(values[name]) if name in values else parameter.zero_()
