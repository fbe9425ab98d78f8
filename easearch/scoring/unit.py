"""One group's channel-wise part of the network, as a function of what its channels own.

`phi_c(theta) = sum over samples and positions of <g, u_c(theta)>`, with the writers' inputs `h` and
the gradient `g` at the exits held fixed. Channel c's part depends on `theta_c` alone, so that the
gradient of `sum_c phi_c` holds every channel's gradient, and a product with its Hessian is a
product with every channel's splitting matrix S at once: `S_c = d^2 phi_c / d theta_c^2`
(docs/methods.md, 3).

Legend: C channels, D numbers that a channel owns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.autograd.forward_ad import dual_level, make_dual, unpack_dual
from torch.func import functional_call

from easearch.graph import ChannelGroup, Graph, Layer
from easearch.scoring.capture import Captured, Edge
from easearch.scoring.curvature import bent
from easearch.scoring.scope import Scope, Slot, exits, owned, per_channel, subgraph
from easearch.tracing import KINDS, Role
from easearch.tracing.program import layer_names, program


class Unit:
    """One group's part of the network, ready to be run with other numbers for its channels."""

    def __init__(
        self,
        model: nn.Module,
        graph: Graph,
        group: ChannelGroup,
        scope: Scope = "unit",
        traced: fx.GraphModule | None = None,
    ) -> None:
        """`traced` is the model's program, where the caller has it: one serves all groups."""
        self.graph, self.group, self.scope = graph, group, scope
        self.model = model
        names = layer_names(program(model) if traced is None else traced)
        self._nodes = {name: node for node, name in names.items()}
        self._names = names
        self.layers = tuple(subgraph(graph, group, scope))
        self.exits = tuple(exits(graph, group, scope, self.layers))
        self.entrances = tuple(self._entrances())
        self.slots = tuple(owned(model, graph, group, scope, self.layers))
        self._parameters = {slot.key: model.get_parameter(slot.key).detach() for slot in self.slots}

    @property
    def theta(self) -> Tensor:
        """(C, D): what every channel owns, side by side."""
        return self.pack(self._parameters)

    def pack(self, values: Mapping[str, Tensor]) -> Tensor:
        """Whole parameters by name -> (C, D)."""
        width = self.group.width
        parts = [
            values[slot.key].narrow(0, slot.start, width * slot.taps).reshape(width, -1)
            for slot in self.slots
        ]
        return torch.cat(parts, dim=1)

    def unpack(self, packed: Tensor) -> dict[str, Tensor]:
        """(C, D) -> tensors of the parameters' shapes, zero where other groups' rows are."""
        values: dict[str, Tensor] = {}
        for slot, part in self._parts(packed):
            whole = torch.zeros_like(self._parameters[slot.key])
            rows = whole.narrow(0, slot.start, self.group.width * slot.taps)
            rows.copy_(part.reshape(rows.shape))
            values[slot.key] = whole
        return values

    def offset(self, row: Tensor) -> dict[str, Tensor]:
        """(D,) of one channel -> its slice of every parameter, as a move carries it."""
        offset: dict[str, Tensor] = {}
        start = 0
        for slot in self.slots:
            shape = (slot.taps, *self._parameters[slot.key].shape[1:])
            length = int(torch.Size(shape).numel())
            offset[slot.key] = row[start : start + length].reshape(
                shape if slot.taps > 1 else shape[1:]
            )
            start += length
        return offset

    def phi(self, parameters: Mapping[str, Tensor], captured: Captured) -> Tensor:
        """(C,): `<g, u_c>` summed over the batch, with these parameters for the group's own."""
        values: dict[str, Tensor] = {}
        for layer in self.layers:
            values[layer.name] = self._run(layer, values, parameters, captured)
        return self.inner(values, captured)

    def inner(self, values: Mapping[str, Tensor], captured: Captured) -> Tensor:
        """(C,): `<g, values>` summed over the exits and the batch, channel by channel."""
        total: Tensor | None = None
        for edge in self.exits:
            layout = self.graph.by_name[edge[0]].writes
            part = per_channel(
                captured.gradients[edge] * values[edge[0]], self.graph, layout, self.group
            )
            total = part if total is None else total + part
        assert total is not None
        return total

    def phi_at(self, theta: Tensor, captured: Captured) -> Tensor:
        """`phi` at packed parameters (C, D), without differentiation."""
        with torch.no_grad():
            return self.phi(self.unpack_over(theta), captured)

    def unpack_over(self, theta: Tensor) -> dict[str, Tensor]:
        """Packed rows laid over the parameters; other groups' rows stay as they are."""
        values = {}
        for slot, part in self._parts(theta):
            whole = self._parameters[slot.key].clone()
            rows = whole.narrow(0, slot.start, self.group.width * slot.taps)
            rows.copy_(part.reshape(rows.shape))
            values[slot.key] = whole
        return values

    def product(self, vectors: Tensor, captured: Captured) -> Tensor:
        """(C, D) -> (C, D): every channel's `S_c v_c`, summed over the batch's samples.

        `S v = d/dtheta <g, J_theta u . v>`: forward mode for the inner derivative, one backward
        pass for the outer. Twice backward gives the same and is slower: torch then takes grouped
        convolutions group by group.
        """
        leaves = {key: value.clone().requires_grad_() for key, value in self._parameters.items()}
        tangents = self.unpack(vectors)
        with torch.enable_grad():
            with dual_level():
                duals = {k: make_dual(leaf, tangents[k]) for k, leaf in leaves.items()}  # type: ignore[no-untyped-call]
                total = self.phi(duals, captured).sum()
                slope = unpack_dual(total).tangent  # type: ignore[no-untyped-call]
            if slope is None or not slope.requires_grad:
                return torch.zeros_like(vectors)
            products = torch.autograd.grad(
                slope, list(leaves.values()), allow_unused=True, materialize_grads=True
            )
        return self.pack(dict(zip(leaves, products, strict=True)))

    def _parts(self, packed: Tensor) -> Iterator[tuple[Slot, Tensor]]:
        start = 0
        for slot in self.slots:
            numbers = slot.taps * self._parameters[slot.key][0].numel()
            yield slot, packed[:, start : start + numbers]
            start += numbers

    def sources(self, layer: Layer) -> list[tuple[Edge, bool]]:
        """The edges into a layer, in the order of its arguments, and whether each begins inside."""
        inside = {one.name for one in self.layers}
        node, found = self._nodes[layer.name], []

        def note(source: fx.Node) -> fx.Node:
            name = self._names[source]
            found.append(((name, layer.name), name in inside and not self._mixes(layer)))
            return source

        fx.node.map_arg((node.args, node.kwargs), note)
        return found

    def _entrances(self) -> Iterator[Edge]:
        for layer in self.layers:
            yield from (edge for edge, inner in self.sources(layer) if not inner)

    def _mixes(self, layer: Layer) -> bool:
        return KINDS[layer.kind].role is Role.MIXES

    def _run(
        self,
        layer: Layer,
        values: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        captured: Captured,
    ) -> Tensor:
        node = self._nodes[layer.name]

        def value(source: fx.Node) -> Tensor:
            name = self._names[source]
            outside = name not in values or self._mixes(layer)
            return captured.values[name, layer.name] if outside else values[name]

        args: Any = fx.node.map_arg(node.args, value)
        if layer.kind == "activation":
            return bent(dict(layer.options)["function"], args[0])
        if layer.kind == "add":
            return args[0] + args[1]  # type: ignore[no-any-return]
        kwargs: Any = fx.node.map_arg(node.kwargs, value)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)  # type: ignore[no-any-return]
        if node.op == "call_function":
            assert callable(node.target)
            return node.target(*args, **kwargs)  # type: ignore[no-any-return]
        own = {
            key[len(layer.name) + 1 :]: tensor
            for key, tensor in parameters.items()
            if key.rpartition(".")[0] == layer.name
        }
        module = self.model.get_submodule(str(node.target))
        if layer.kind == "batch_norm":
            return _affine(module, own, args[0])
        return functional_call(module, own, args, kwargs)  # type: ignore[no-any-return]


def _affine(norm: nn.Module, own: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """A batch norm in evaluation mode as `x * scale + shift`: cheaper to differentiate twice."""
    parts = {name: own.get(name, getattr(norm, name)) for name in ("weight", "bias")}
    scale = torch.rsqrt(norm.running_var + norm.eps)  # type: ignore[operator]
    if parts["weight"] is not None:
        scale = scale * parts["weight"]
    shift = -norm.running_mean * scale  # type: ignore[operator]
    if parts["bias"] is not None:
        shift = shift + parts["bias"]
    along = (1, -1) + (1,) * (x.dim() - 2)
    return x * scale.view(along) + shift.view(along)
