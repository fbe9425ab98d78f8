"""The walk through a program that finds its channel groups.

Values carry layouts. A layer that mixes channels begins a group, one that follows hands its layout
on, an addition ties the groups of its inputs. What cannot be followed freezes the groups that it
touches, with the reason: never skipped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, fx, nn

from easearch.checks.objects import check_model, check_sample
from easearch.errors import GraphError, reason_of
from easearch.graph import Graph, Held, Layer
from easearch.reparametrized import plain
from easearch.structures import Structure
from easearch.tracing.call import Call, Derived, Value, found
from easearch.tracing.computed import chain_of
from easearch.tracing.flat import Flat, described
from easearch.tracing.grouping import grouped
from easearch.tracing.in_place import asks_for_form
from easearch.tracing.kind import Kind, Role
from easearch.tracing.layouts import Apart, Layouts
from easearch.tracing.nodes import Calls, several
from easearch.tracing.program import (
    evaluating,
    layer_names,
    program,
    returning,
    symbolic,
    training,
)
from easearch.tracing.recording import imagined, of_two, recorded
from easearch.tracing.registry import KINDS, kind_of, takes_computed, unfollowed
from easearch.tracing.sharing import tie_shared
from easearch.tracing.through import Through, axis_of, one_sample, without
from easearch.tracing.trainable import untrained
from easearch.tracing.training_only import UNUSED, frozen, held, idle, unmet, used

OPAQUE = "opaque"
INPUT = "input"


def trace(model: nn.Module, sample: Structure) -> Graph:
    """The model's graph, for inputs of the sample's size.

    Args:
        model: any `nn.Module` that torch.fx or torch.export can trace; it is left as it was.
        sample: an input as the model takes it: a tensor (N, C, ...), a tuple or list of positional
            ones, or a mapping of named ones; tensors in nested structures too. The batch size
            counts where the model accepts no other.

    Raises:
        GraphError: the model cannot be traced, or does not run on the sample.
    """
    check_model(model, values=False)
    check_sample(sample)
    model = plain(model)
    traced = program(model, sample)
    inputs, seen = _seen(model, traced, sample)
    graph = _walked(model, traced, seen)
    if unmet(model, traced):
        graph = held(graph, _of_training(model, inputs))
    graph = frozen(graph, untrained(model, graph))
    return replace(graph, unused=_unused(model, graph))


def _unused(model: nn.Module, graph: Graph) -> tuple[tuple[str, int], ...]:
    """The parameters that no layer of the graph holds, and their numbers."""
    found = {held.path for layer in graph.layers for held in layer.tensors}
    return tuple((path, p.numel()) for path, p in model.named_parameters() if path not in found)


def _seen(
    model: nn.Module, traced: fx.GraphModule, sample: Structure
) -> tuple[Structure, dict[fx.Node, Any]]:
    """Inputs on which the program runs, of two samples where it can be, and what its nodes give."""
    two = of_two(sample)
    with evaluating(model):
        if two is not sample:
            with contextlib.suppress(Exception):  # it may accept its own batch alone
                return two, recorded(traced, two)
        try:
            return sample, recorded(traced, sample)
        except Exception as error:
            raise GraphError(
                f"the model does not run on {described(sample)}: {reason_of(error)}; give a sample "
                "of the size and type that the model was made for"
            ) from error


def _of_training(model: nn.Module, inputs: Structure) -> Graph | None:
    """The graph of the training pass; None where it cannot be had without running it."""
    try:
        with training(model):
            traced = symbolic(model, Flat(model, inputs))
        # Norms in evaluation mode: the training pass must leave no trace in them.
        with evaluating(model):
            return _walked(model, traced, imagined(traced, inputs))
    except Exception:
        return None


def _walked(model: nn.Module, traced: fx.GraphModule, seen: dict[fx.Node, Any]) -> Graph:
    walk = _Walk(model, layer_names(traced), seen, used(traced))
    for node in traced.graph.nodes:
        walk.visit(node)
    tie_shared(walk.layers, walk.layouts, walk.blocked)
    return grouped(walk.layers, walk.layouts)


class _Walk:
    """The state of one walk: layers so far, and what is known of the groups."""

    def __init__(
        self,
        model: nn.Module,
        names: Mapping[fx.Node, str],
        seen: dict[fx.Node, Any],
        used: set[fx.Node],
    ) -> None:
        self.layers: list[Layer] = []
        self.layouts = Layouts()
        self.blocked: dict[str, str] = {}
        """Path of a tensor -> why the layers that hold it cannot change."""
        self._constants = {""}
        """What was made without the inputs; "" stands for the model's own tensors."""
        self._names, self._model, self._used = names, model, used
        self._calls = Calls(model, names, seen)
        self._numbers = {path: (t.numel(), True) for path, t in model.named_parameters()}
        self._numbers |= {path: (t.numel(), False) for path, t in model.named_buffers()}

    def visit(self, node: fx.Node) -> None:
        """Take one node of the program."""
        seen = self._calls.seen.get(node)
        if node.op == "placeholder":
            self._input(node, seen)
        elif node.op == "output":
            self._settle(node)
            for value in self._calls.operands(node):
                self.layouts.freeze(value.layout, "its channels are the network's output")
        elif node.op == "get_attr" or several(seen):
            return
        elif isinstance(seen, Tensor) and (node.users or self._holds(node)):
            if not self._computes(node):
                self._layer(node)
        elif node.users and not asks_for_form(node):
            self._freeze(node)

    def _holds(self, node: fx.Node) -> bool:
        """Whether tensors of the model would be in no layer without a node that nobody reads; those
        of a call that gives several results are in the layers of the results that are read.
        """
        source, _ = self._calls.source(node)
        return source not in self._used and self._calls.call(node).holds

    def _computes(self, node: fx.Node) -> bool:
        """Whether a node is made of parameters alone: it is then a part of whoever takes it, as
        long as all can.
        """
        chain = chain_of(node, self._model, self._calls, self._depending)
        if chain is not None:
            self._calls.computed[node] = chain.computed()
        return chain is not None

    def _depending(self, node: fx.Node) -> Value | None:
        """What a node gives, where it depends on the network's inputs."""
        value = self._calls.values.get(node)
        return None if value is None or value.source in self._constants else value

    def _settle(self, node: fx.Node) -> None:
        """Make what goes in, and was computed from parameters, layers of their own."""
        source, _ = self._calls.source(node)
        for one in source.all_input_nodes:
            if self._calls.computed.pop(one, None) is not None:
                self._settle(one)
                self._layer(one)

    def _freeze(self, node: fx.Node) -> None:
        self._settle(node)
        for value in self._calls.operands(node):
            self.layouts.freeze(value.layout, f"it is used by {self._calls.describe(node)}")

    def _input(self, node: fx.Node, seen: Any) -> None:
        if not isinstance(seen, Tensor):
            return
        reason = "its channels are the network's input"
        shape = tuple(seen.shape)
        value = Value(source=self._names[node], shape=shape, unknown=reason)
        if len(shape) > 1 and seen.dtype.is_floating_point:
            value = replace(value, axis=1, layout=self.layouts.begin(shape[1], reason))
        self._calls.values[node] = value
        self._add(node, value, Through(reads=(), in_axis=1, axis=value.axis, writes=value.layout))

    def _layer(self, node: fx.Node) -> None:
        """A layer: by its kind, or opaque."""
        call = self._calls.call(node)
        if call.computed and not takes_computed(call):
            self._settle(node)
            call = self._calls.call(node)
        kind, held = self._kind(call)
        try:
            if kind is None:
                raise Apart(unfollowed(call))
            through, unknown = kind.through(call, self.layouts), ""
        except Apart as apart:
            reason = f"{self._calls.describe(node)}: {apart}"
            through, unknown = self._stopped(call, reason), f"it comes out of {reason}"
        if self._fixed(call):
            self._constants.add(self._names[node])
            unknown = f"it meets {self._calls.describe(node)}, which has its size for good"
            self._block(call, f"it is used by {self._calls.describe(node)}")
        elif not unknown and through.axis is None:
            known = (v.unknown for v in call.values if v.unknown)
            unknown = next(known, f"it comes out of {self._calls.describe(node)}")
        value = Value(
            source=self._names[node],
            shape=call.out_shape,
            axis=through.axis,
            layout=through.writes,
            unknown=unknown,
        )
        self._calls.values[node] = value
        if node not in self._used and (kind is None or kind.role is Role.MIXES):
            self.layouts.freeze(through.writes, idle(self._names[node]))
        self._add(node, value, through, call, kind, held)

    def _kind(self, call: Call) -> tuple[Kind | None, tuple[Held, ...]]:
        """The kind of a call and the tensors that it holds; none where something besides the
        arguments decides on what it computes.
        """
        hooks = call.module is not None and (
            call.module._forward_hooks or call.module._forward_pre_hooks
        )
        kind = None if hooks else KINDS["constant"] if self._fixed(call) else _known(call)
        if kind is None:
            return None, self._everything(call)
        held = kind.tensors(call)
        paths = self._calls.paths
        plain = all(tensor.path in paths for tensor in held)
        sized = not kind.takes_sizes and any(found(Derived, (call.args, call.kwargs)))
        if sized or not plain:
            return None, self._everything(call)
        return kind, tuple(replace(tensor, path=paths[tensor.path]) for tensor in held)

    def _everything(self, call: Call) -> tuple[Held, ...]:
        """All tensors of a call that no kind knows: no channel stands along any of their axes."""
        paths = [parameter.path for parameter in call.behind]
        if call.module is not None:
            within = (*call.module.named_parameters(), *call.module.named_buffers())
            paths += [self._calls.paths[f"{call.path}.{name}"] for name, _ in within]
        return tuple(Held(role=f"from {path}", path=path) for path in dict.fromkeys(paths))

    def _fixed(self, call: Call) -> bool:
        """Whether nothing that goes in depends on the network's inputs."""
        return all(value.source in self._constants for value in call.values)

    def _stopped(self, call: Call, reason: str) -> Through:
        """Nothing that goes in can change."""
        for value in call.values:
            self.layouts.freeze(value.layout, f"it is used by {reason}")
        self._block(call, f"it is used by {reason}")
        first = next(iter(call.values), None)
        return Through(
            reads=first.layout if first else (),
            in_axis=axis_of(first) if first else 1,
            axis=None,
            writes=(),
        )

    def _block(self, call: Call, reason: str) -> None:
        for parameter in call.behind:
            self.blocked.setdefault(parameter.path, reason)

    def _add(
        self,
        node: fx.Node,
        value: Value,
        through: Through,
        call: Call | None = None,
        kind: Kind | None = None,
        held: tuple[Held, ...] = (),
    ) -> None:
        values = call.values if call is not None else ()
        options = kind.options(call) if kind is not None and call is not None else {}
        name = kind.name if kind is not None else INPUT if call is None else OPAQUE
        if call is not None and node not in self._used:
            name, options = UNUSED, {}
        before = one_sample(values[0].shape, self._calls.batch) if values else ()
        after = one_sample(value.shape, self._calls.batch)
        reads = before[through.in_axis] if through.reads else 1
        writes = after[through.axis or 0] if through.writes else 1
        self.layers.append(
            Layer(
                name=self._names[node],
                kind=name,
                inputs=tuple(v.source for v in values if v.source),
                reads=through.reads,
                writes=through.writes,
                in_size=without(before, through.in_axis, through.reads),
                out_size=without(after, through.axis, through.writes),
                in_batch=before[0] if before else 1,
                out_batch=after[0] if after else 1,
                options=tuple(sorted(options.items())),
                tensors=tuple(self._counted(one, writes, reads) for one in held),
                in_axis=through.in_axis,
                out_axis=1 if through.axis is None else through.axis,
                module=returning(node),
            )
        )

    def _counted(self, held: Held, writes: int, reads: int) -> Held:
        """With its numbers for every channel that the layer writes and reads."""
        numbers, trained = self._numbers[held.path]
        by = (1 if held.rows is None else writes) * (1 if held.columns is None else reads)
        each = numbers // by if numbers % by == 0 else numbers / by
        return replace(held, each=each, trained=trained)


def _known(call: Call) -> Kind | None:
    try:
        return kind_of(call)
    except TypeError:  # a number that is worked out from sizes stands where kinds read one
        if not any(found(Derived, (call.args, call.kwargs))):
            raise
        return None
