"""One group's channel-wise part of the network, as a function of what its channels own.

`phi_c(theta) = sum over samples and positions of <g, u_c(theta)>`, with the writers' inputs `h` and
the gradient `g` at the exits held fixed. Channel c's part depends on `theta_c` alone, so that the
gradient of `sum_c phi_c` holds every channel's gradient, and a product with its Hessian is a
product with every channel's splitting matrix S at once: `S_c = d^2 phi_c / d theta_c^2`
(docs/methods.md, 3).

Legend: C channels, D numbers that a channel owns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.autograd.forward_ad import dual_level, make_dual, unpack_dual

from easearch.errors import ScoringError, reason_of
from easearch.graph import ChannelGroup, Graph, Layer
from easearch.scoring.samples.capture import Captured, Edge
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.units.curvature import along, bend, bent
from easearch.scoring.units.rows import Rows
from easearch.scoring.units.scope import Scope, exits, into, per_channel, subgraph
from easearch.tracing import KINDS, Role

Slope = Callable[[dict[str, Tensor], dict[str, Tensor], Captured], Tensor | None]
"""(leaves, tangents, batch) -> the derivative of `phi` along the tangents; None: it is zero."""
REACH = 0.01
"""Step of differences, relative to what a channel owns: far enough to pass over kinks."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One evaluation of a unit: what is given, and what has been worked out."""

    own: Mapping[str, Tensor]
    edges: Mapping[Edge, Any]
    """What comes from outside."""
    values: dict[str, Tensor] = field(default_factory=dict)
    """By layer."""
    between: dict[tuple[fx.Node, bool], Any] = field(default_factory=dict)
    """Of what is no layer: by node, and whether it is asked for by a layer that mixes."""


class Unit(Rows):
    """One group's part of the network, ready to be run with other numbers for its channels."""

    def __init__(
        self,
        model: nn.Module,
        graph: Graph,
        group: ChannelGroup,
        scope: Scope = "unit",
        wires: TracedProgram | None = None,
    ) -> None:
        """`wires` are the model's, where the caller has them: one program serves all groups."""
        self.graph, self.group, self.scope = graph, group, scope
        self.model, self.wires = model, wires or TracedProgram(model)
        self.layers = tuple(subgraph(graph, group, scope))
        self._inside = {layer.name for layer in self.layers}
        owners = self.layers
        if scope != "unit":
            owners = tuple(layer for layer in self.layers if layer.name in group.writers)
        # As published, a splitting matrix is over the weights alone.
        super().__init__(model, graph, group, owners, None if scope == "unit" else ("weight",))
        self.exits = tuple(exits(graph, group, scope, self.layers, self.wires))
        self.entrances = tuple(dict.fromkeys(self._entrances()))
        self._ways: tuple[Callable[[Tensor, Captured], Tensor], ...] = (
            partial(self._by_slope, self._forward_slope),
            partial(self._by_slope, self._backward_slope),
            self._by_differences,
        )

    def phi(self, parameters: Mapping[str, Tensor], captured: Captured) -> Tensor:
        """(N, C): `<g, u_c>` of every sample, with these parameters for the group's own; (1, C), of
        all together, where values do not have the samples along their first axis.
        """
        run = self.go(Run(own=parameters, edges=captured.values))
        return self.inner(run.values, captured)

    @property
    def values(self) -> set[Edge]:
        """The edges whose values a run needs."""
        return set(self.entrances)

    def go(self, run: Run) -> Run:
        """All layers of the unit."""
        for layer in self.layers:
            run.values[layer.name] = self._value(layer, run)
        return run

    def inner(self, values: Mapping[str, Tensor], captured: Captured) -> Tensor:
        """(N, C) or (1, C): `<g, values>` summed over the exits, channel by channel (`phi`)."""
        layers = [self.graph.by_name[edge[0]] for edge in self.exits]
        by_sample = all(
            layer.out_axis > 0 and len(captured.gradients[edge]) == captured.samples
            for edge, layer in zip(self.exits, layers, strict=True)
        )
        total = self.held_like(captured.samples if by_sample else 1, self.width)
        for edge, layer in zip(self.exits, layers, strict=True):
            product = captured.gradients[edge] * values[edge[0]]
            total = total + per_channel(product, self.graph, layer, self.group, by_sample)
        return total

    def replay(self, layer: Layer, edges: Mapping[Edge, Any]) -> Tensor:
        """One layer's output, given all that comes into it."""
        run = Run(own={}, edges=edges)
        result: Tensor = self._called(self.wires.node(layer), self._mixes(layer), run)
        return result

    def held_like(self, *shape: int) -> Tensor:
        """Zeros of the parameters' type, where they are."""
        return next(iter(self.held.values())).new_zeros(shape)

    def phi_at(self, theta: Tensor, captured: Captured) -> Tensor:
        """`phi` (N, C) or (1, C) at packed parameters (C, D), without differentiation."""
        with torch.no_grad():
            return self.phi(self.unpack_over(theta), captured)

    def product(self, vectors: Tensor, captured: Captured) -> Tensor:
        """(C, D) -> (C, D): every channel's `S_c v_c`, summed over the batch's samples.

        `S v = d/dtheta <g, J_theta u . v>`: forward mode for the inner derivative, one backward
        pass for the outer. Twice backward gives the same and is slower, since torch then takes
        grouped convolutions group by group. Where operators have neither (no rule, or one that
        torch cannot differentiate again), differences of the gradient serve: they ask for one
        backward pass. A way that failed once is not tried again.

        Raises:
            ScoringError: not even that can be had.
        """
        while True:
            try:
                return self._ways[0](vectors, captured)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                if len(self._ways) == 1:
                    raise ScoringError(
                        f"expected the layers from '{self.group.name}' to its readers to have a "
                        f"gradient, got none: {reason_of(error)}; write them with operators that "
                        "torch can differentiate, or score with 'random'"
                    ) from error
                self._ways = self._ways[1:]

    def _by_slope(self, slope: Slope, vectors: Tensor, captured: Captured) -> Tensor:
        """The gradient of the derivative of `phi` along the vectors."""
        leaves = {key: value.clone().requires_grad_() for key, value in self.held.items()}
        with torch.enable_grad():
            along = slope(leaves, self.unpack(vectors), captured)
            if along is None or not along.requires_grad:
                return torch.zeros_like(vectors)
            products = torch.autograd.grad(
                along, list(leaves.values()), allow_unused=True, materialize_grads=True
            )
        return self.pack(dict(zip(leaves, products, strict=True)))

    def _by_differences(self, vectors: Tensor, captured: Captured) -> Tensor:
        """Central differences of the gradient, a step of `REACH` of each channel's own length."""
        theta = self.theta
        length = vectors.norm(dim=1, keepdim=True)
        size = theta.norm(dim=1, keepdim=True)
        size = torch.where(size > 0, size, 1.0)
        step = REACH * size / length.clamp(min=torch.finfo(length.dtype).tiny)
        step = torch.where(length > 0, step, 0.0)
        above, below = (
            self._gradient(theta + sign * step * vectors, captured) for sign in (1.0, -1.0)
        )
        return torch.where(length > 0, (above - below) / (2 * step), 0.0)

    def _gradient(self, theta: Tensor, captured: Captured) -> Tensor:
        """(C, D): of `phi` at theta, summed over the batch's samples."""
        leaves = {key: value.requires_grad_() for key, value in self.unpack_over(theta).items()}
        with torch.enable_grad():
            total = self.phi(leaves, captured).sum()
            if not total.requires_grad:
                return torch.zeros_like(theta)
            found = torch.autograd.grad(
                total, list(leaves.values()), allow_unused=True, materialize_grads=True
            )
        return self.pack(dict(zip(leaves, found, strict=True)))

    def _forward_slope(
        self, leaves: dict[str, Tensor], tangents: dict[str, Tensor], captured: Captured
    ) -> Tensor | None:
        with dual_level():
            duals = {k: make_dual(leaf, tangents[k]) for k, leaf in leaves.items()}  # type: ignore[no-untyped-call]
            total = self.phi(duals, captured).sum()
            slope: Tensor | None = unpack_dual(total).tangent  # type: ignore[no-untyped-call]
        return slope

    def _backward_slope(
        self, leaves: dict[str, Tensor], tangents: dict[str, Tensor], captured: Captured
    ) -> Tensor | None:
        total = self.phi(leaves, captured).sum()
        if not total.requires_grad:
            return None
        first = torch.autograd.grad(
            total, list(leaves.values()), create_graph=True, allow_unused=True
        )
        along = zip(first, tangents.values(), strict=True)
        parts = [(one * tangent).sum() for one, tangent in along if one is not None]
        return torch.stack(parts).sum() if parts else None

    def sources(self, layer: Layer) -> list[tuple[Edge, bool]]:
        """The edges into a layer, and whether each begins inside: in the order of its arguments,
        where no other node stands between.
        """
        mixes, names = self._mixes(layer), self.wires.names
        return [
            ((source, names[consumer]), source in self._inside and not mixes)
            for source, consumer in into(self.graph, self.wires, self.wires.node(layer))
        ]

    def _entrances(self) -> Iterator[Edge]:
        for layer in self.layers:
            yield from (edge for edge, inner in self.sources(layer) if not inner)

    def _mixes(self, layer: Layer) -> bool:
        """Whether its inputs are taken as they are, even where they are the group's own."""
        return KINDS[layer.kind].role is Role.MIXES

    def _value(self, layer: Layer, run: Run) -> Tensor:
        node, mixes = self.wires.node(layer), self._mixes(layer)
        sources = node.all_input_nodes
        if layer.kind == "activation" and torch.is_grad_enabled() and len(sources) == 1:
            return bent(dict(layer.options), self._operand(sources[0], node, mixes, run))
        if layer.kind == "batch_norm" and len(sources) == 1:
            module = self.wires.module(node)
            if module is not None and getattr(module, "running_var", None) is not None:
                x = self._operand(sources[0], node, mixes, run)
                return self._affine(module, str(node.target), x, run.own)
        result: Tensor = self._called(node, mixes, run)
        if layer.kind == "prelu" and torch.is_grad_enabled():
            z = self._operand(sources[0], node, mixes, run)
            (held,) = layer.tensors
            slope = self.wires.held(held.path, run.own).detach()
            result = bend(result, z, ((0.0, along(1 - slope, z, layer.out_axis)),))
        return result

    def _called(self, node: fx.Node, mixes: bool, run: Run) -> Any:
        """A node on its operands' values, wherever they come from."""
        args = fx.node.map_arg(node.args, lambda source: self._operand(source, node, mixes, run))
        kwargs = fx.node.map_arg(
            node.kwargs, lambda source: self._operand(source, node, mixes, run)
        )
        return self.wires.call(node, args, kwargs, run.own)

    def _operand(self, source: fx.Node, consumer: fx.Node, mixes: bool, run: Run) -> Any:
        name = self.wires.names[source]
        if source.op == "get_attr":
            return self._detached(self.wires.tensor(source, run.own))
        if name in run.values and not mixes:
            return run.values[name]
        if name in self.graph.by_name or source.op == "placeholder":
            return run.edges[name, self.wires.names[consumer]]
        if (source, mixes) not in run.between:
            run.between[source, mixes] = self._called(source, mixes, run)
        return run.between[source, mixes]

    def _detached(self, tensor: Any) -> Any:
        return tensor.detach() if isinstance(tensor, nn.Parameter) else tensor

    def _affine(self, norm: nn.Module, path: str, x: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        """A batch norm in evaluation mode, as a scale: cheaper to differentiate twice."""
        canonical, parts = self.wires.canonical, {}
        for name in ("weight", "bias"):
            held = getattr(norm, name)
            parts[name] = own.get(canonical.get(f"{path}.{name}", ""), held)
        scale = torch.rsqrt(norm.running_var + norm.eps)  # type: ignore[operator]
        if parts["weight"] is not None:
            scale = scale * parts["weight"]
        shift = -norm.running_mean * scale  # type: ignore[operator]
        if parts["bias"] is not None:
            shift = shift + parts["bias"]
        return x * along(scale, x) + along(shift, x)
