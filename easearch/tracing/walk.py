"""The walk through a program that finds its channel groups.

Values carry layouts. A layer that mixes channels begins a group, one that follows hands its layout
on, an addition ties the groups of its inputs. What no kind knows freezes the groups that it
touches, with the reason: never skipped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from easearch.errors import GraphError
from easearch.graph import ChannelGroup, Graph, Layer, Layout, Segment
from easearch.tracing.kind import Call, Role
from easearch.tracing.program import ShapeRecorder, evaluating, layer_names, program
from easearch.tracing.registry import KINDS, kind_of

OPAQUE = "opaque"
INPUT = "input"


def trace(model: nn.Module, sample: Tensor | tuple[Any, ...]) -> Graph:
    """The model's graph, for inputs of the sample's size.

    Args:
        model: any `nn.Module` that torch.fx can trace; it is left as it was.
        sample: a tensor (N, C, ...) or a tuple of inputs.

    Raises:
        GraphError: the model cannot be traced, or does not run on the sample.
    """
    traced = program(model)
    inputs = sample if isinstance(sample, tuple) else (sample,)
    recorder = ShapeRecorder(traced)
    with evaluating(model), torch.no_grad():
        try:
            recorder.run(*inputs)
        except Exception as error:
            shapes = [tuple(x.shape) for x in inputs if isinstance(x, Tensor)]
            raise GraphError(
                f"the model does not run on a sample of shape {shapes}: {error}"
            ) from error
    walk = _Walk(model, layer_names(traced), recorder.shapes)
    for node in traced.graph.nodes:
        walk.visit(node)
    walk.freeze_shared()
    return walk.graph()


@dataclass
class _Walk:
    """The state of one walk: layouts of values, layers so far, groups and which of them are one."""

    model: nn.Module
    names: dict[fx.Node, str]
    shapes: dict[fx.Node, tuple[int, ...] | None]
    layouts: dict[fx.Node, Layout] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    widths: dict[str, int] = field(default_factory=dict)
    frozen: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)

    def visit(self, node: fx.Node) -> None:
        """Take one node of the program."""
        if node.op == "placeholder":
            self._begin(node, "its channels are the network's input")
            self._add(node, INPUT, (), (), self.layouts.get(node, ()))
        elif node.op == "output":
            for source in node.all_input_nodes:
                self._freeze(self.layouts.get(source, ()), "its channels are the network's output")
        elif node.op != "get_attr":
            self._call(node)

    def _call(self, node: fx.Node) -> None:
        sources = [source for source in node.all_input_nodes if source in self.layouts]
        known = sources and len(sources) == len(node.all_input_nodes)
        if not (known and self.shapes[node] is not None and self._take(node, sources)):
            self._opaque(node, sources)

    def _take(self, node: fx.Node, sources: list[fx.Node]) -> bool:
        """Give the node its layout after its kind's role; False when no kind knows it or the
        layouts forbid it.
        """
        call = self._as_call(node, sources)
        kind = kind_of(call)
        if kind is None:
            return False
        reads = self.layouts[sources[0]]
        if kind.role is Role.MIXES:
            self._begin(node, None)
        elif kind.role is Role.FOLLOWS:
            taps = kind.taps(call)
            self.layouts[node] = tuple(Segment(s.group, s.taps * taps) for s in reads)
        else:
            others = [self.layouts[source] for source in sources[1:]]
            if any(not self._alike(reads, other) for other in others):
                return False
            for other in others:
                self._tie(reads, other)
            self.layouts[node] = reads
        options = tuple(sorted(kind.options(call).items()))
        self._add(node, kind.name, tuple(sources), reads, self.layouts[node], options)
        return True

    def _opaque(self, node: fx.Node, sources: list[fx.Node]) -> None:
        what = self._describe(node)
        for source in sources:
            self._freeze(
                self.layouts[source], f"it is used by {what}, which easearch cannot follow"
            )
        self._begin(node, f"it comes out of {what}, which easearch cannot follow")
        reads = tuple(segment for source in sources for segment in self.layouts[source])
        self._add(node, OPAQUE, tuple(sources), reads, self.layouts.get(node, ()))

    def _describe(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return f"'{node.target}' ({type(self.model.get_submodule(str(node.target))).__name__})"
        called = (
            node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        )
        return f"'{self.names[node]}' ({called})"

    def _as_call(self, node: fx.Node, sources: list[fx.Node]) -> Call:
        module = self.model.get_submodule(str(node.target)) if node.op == "call_module" else None
        out_shape = self.shapes[node]
        assert out_shape is not None
        return Call(
            module=module,
            target=node.target,
            args=node.args,
            kwargs=node.kwargs,
            in_shapes=tuple(self.shapes[source] or () for source in sources),
            out_shape=out_shape,
        )

    def _begin(self, node: fx.Node, frozen: str | None) -> None:
        shape = self.shapes[node]
        if shape is None or len(shape) < 2:
            return
        name = self.names[node]
        self.widths[name] = shape[1]
        self.parents[name] = name
        self.layouts[node] = (Segment(name),)
        if frozen is not None:
            self.frozen[name] = frozen

    def _add(
        self,
        node: fx.Node,
        kind: str,
        sources: tuple[fx.Node, ...],
        reads: Layout,
        writes: Layout,
        options: tuple[tuple[str, Any], ...] = (),
    ) -> None:
        in_shape = self.shapes[sources[0]] if sources else None
        self.layers.append(
            Layer(
                name=self.names[node],
                kind=kind,
                inputs=tuple(self.names[source] for source in sources),
                reads=reads,
                writes=writes,
                in_size=(in_shape or ())[2:],
                out_size=(self.shapes[node] or ())[2:],
                options=options,
            )
        )

    def _alike(self, one: Layout, other: Layout) -> bool:
        def sizes(layout: Layout) -> list[tuple[int, int]]:
            return [(self.widths[self._root(s.group)], s.taps) for s in layout]

        return sizes(one) == sizes(other)

    def _tie(self, one: Layout, other: Layout) -> None:
        order = list(self.widths)
        for a, b in zip(one, other, strict=True):
            first, second = sorted((self._root(a.group), self._root(b.group)), key=order.index)
            if first != second:
                self.parents[second] = first
                reason = self.frozen.get(first) or self.frozen.get(second)
                if reason is not None:
                    self.frozen[first] = reason

    def _root(self, group: str) -> str:
        while self.parents[group] != group:
            group = self.parents[group]
        return group

    def _freeze(self, layout: Layout, reason: str) -> None:
        for segment in layout:
            self.frozen.setdefault(self._root(segment.group), reason)

    def freeze_shared(self) -> None:
        """Freeze what a module called twice, or a tensor owned twice, touches: one width cannot
        serve two uses.
        """
        calls = Counter(layer.name.split("@")[0] for layer in self.layers)
        owners: dict[int, list[str]] = {}
        for path, module in self.model.named_modules():
            for parameter in module.parameters(recurse=False):
                owners.setdefault(id(parameter), []).append(path)
        shared = {path for paths in owners.values() if len(paths) > 1 for path in paths}
        for layer in self.layers:
            path = layer.name.split("@")[0]
            if calls[path] > 1 and _owns_tensors(self.model, path):
                self._freeze(layer.reads + layer.writes, f"'{path}' is called {calls[path]} times")
            elif path in shared:
                self._freeze(
                    layer.reads + layer.writes, f"'{path}' shares a parameter with another layer"
                )

    def graph(self) -> Graph:
        """The finished graph, every group under its first writer's name."""
        layers = tuple(self._settled(layer) for layer in self.layers)
        groups = [name for name in self.widths if self._root(name) == name]
        return Graph(layers, tuple(self._group(name, layers) for name in groups))

    def _settled(self, layer: Layer) -> Layer:
        def settle(layout: Layout) -> Layout:
            return tuple(Segment(self._root(s.group), s.taps) for s in layout)

        return Layer(
            **{**layer.__dict__, "reads": settle(layer.reads), "writes": settle(layer.writes)}
        )

    def _group(self, name: str, layers: tuple[Layer, ...]) -> ChannelGroup:
        writers: list[str] = []
        followers: list[str] = []
        readers: list[str] = []
        for layer in layers:
            read = any(s.group == name for s in layer.reads)
            wrote = any(s.group == name for s in layer.writes)
            mixes = layer.kind in (INPUT, OPAQUE) or KINDS[layer.kind].role is Role.MIXES
            if wrote:
                (writers if mixes else followers).append(layer.name)
            if read and mixes:
                readers.append(layer.name)
        return ChannelGroup(
            name=name,
            width=self.widths[name],
            writers=tuple(writers),
            followers=tuple(followers),
            readers=tuple(readers),
            frozen=self.frozen.get(name),
        )


def _owns_tensors(model: nn.Module, path: str) -> bool:
    """Whether a call's module holds numbers: one that holds none may be called more than once."""
    module = dict(model.named_modules()).get(path)
    return module is not None and bool(module.state_dict())
