"""A new layer as a move: where it may stand, and the graph with it in, arithmetic only.

Wu et al. 2020, Firefly neural architecture descent: behind a layer comes the identity plus
`sum eps_j sigma(.; delta_j)`, with `eps = 0` at birth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal

from torch import Tensor

from easearch.errors import GraphError, nearest
from easearch.graph import ChannelGroup, Graph, Held, Layer, Layout, Segment

ACTIVATIONS = ("relu", "relu6", "silu", "hardswish", "sigmoid", "tanh")
"""What may stand in the middle of a new layer."""
THEN = "then"
"""What the new layer is called in the module behind whose output it stands."""
ALONE = frozenset(
    (
        *("conv", "depthwise", "grouped", "transposed", "linear"),
        *("batch_norm", "instance_norm", "group_norm", "layer_norm", "activation", "prelu"),
        *("pool", "global_pool", "adaptive_pool", "resample", "flatten"),
        *("channel_shuffle", "pixel_shuffle"),
    )
)
"""Kinds whose modules of torch's own stay the same layer when something is put behind them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NewLayer:
    """Put a residual layer behind a layer: its output `x` becomes `x + out(act(into(x)))`.

    `hidden` is the width of the new channel group. While `out` is empty the function is unchanged.
    A "conv" takes maps (N, C, *size) and keeps their size; a "linear" takes values whose channels
    come last. The shapes of `into` and `out` are those of the network after the moves on widths.
    """

    deepens: ClassVar[Literal[True]] = True
    behind: str
    """A layer's name."""
    layer: Literal["conv", "linear"] = "conv"
    hidden: int | None = None
    """Channels in the middle; None: as many as `x` has."""
    kernel: int = 3
    """Of a conv: odd, along every axis."""
    activation: str = "relu"
    into: Mapping[str, Tensor] = field(default_factory=dict)
    """`weight` and `bias` of the first half; a weight not given is drawn from `seed`, a bias 0."""
    out: Mapping[str, Tensor] = field(default_factory=dict)
    """`weight` and `bias` of the second half; zero where not given."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers and names that make no layer."""
        if self.layer not in ("conv", "linear"):
            raise GraphError(f"expected a 'conv' or a 'linear' as new layer, got '{self.layer}'")
        if self.activation not in ACTIVATIONS:
            known = nearest(self.activation, ACTIVATIONS)
            raise GraphError(f"a new layer has no activation '{self.activation}'; {known}")
        if (self.hidden is not None and self.hidden < 1) or self.kernel < 1 or self.kernel % 2 == 0:
            raise GraphError(
                "expected a width of 1 or more and an odd kernel for a new layer, "
                f"got hidden={self.hidden}, kernel={self.kernel}"
            )

    @property
    def channels(self) -> tuple[int, ...]:
        """No existing channel is touched."""
        return ()

    def scaled(self, factor: float) -> NewLayer:
        """The same layer with its second half times `factor` (0: silent)."""
        return replace(
            self, out={name: value * factor for name, value in self.out.items()} if factor else {}
        )

    def place(self, graph: Graph) -> tuple[Layer, str]:
        """The layer that the new one follows, and the path of the module that gives its value.

        Raises:
            GraphError: there is no such layer, or nothing can stand behind it.
        """
        behind = graph.by_name.get(self.behind)
        if behind is None:
            known = nearest(self.behind, graph.by_name)
            raise GraphError(f"the graph has no layer '{self.behind}'; {known}")
        obstacle = _obstacle(graph, behind, self.layer)
        if obstacle or behind.module is None:
            works = [a.name for a in graph.layers if _obstacle(graph, a, self.layer) is None]
            told = f"it can behind {', '.join(map(repr, works[:3]))}" if works else "nor elsewhere"
            raise GraphError(
                f"no {self.layer} can be put behind '{behind.name}': {obstacle}; {told}"
            )
        return behind, behind.module

    def inserted(self, graph: Graph) -> Graph:
        """The graph with the layer in it, as a trace will find it."""
        behind, module = self.place(graph)
        path = f"{module}.{THEN}"
        into, act, out, add = self._layers(behind, path)
        layers: list[Layer] = []
        for layer in graph.layers:
            inputs = tuple(add.name if name == behind.name else name for name in layer.inputs)
            layers.append(replace(layer, inputs=inputs))
            if layer is behind:  # its value no longer leaves the module
                layers[-1] = replace(layer, module=None)
                before = len({s.group for one in layers for s in one.reads + one.writes})
                layers += (into, act, out, add)
        order = {layer.name: number for number, layer in enumerate(layers)}

        def joined(members: tuple[str, ...], new: Layer) -> tuple[str, ...]:
            return tuple(sorted((*members, new.name), key=order.__getitem__))

        # A sentence on the value (one on a layer has its type in brackets) will be on what comes
        # out of the new layer.
        value = re.compile(re.escape(f"'{behind.name}'") + r"(?! \()")
        groups = [
            replace(group, frozen=group.frozen and value.sub(f"'{add.name}'", group.frozen))
            for group in graph.channel_groups
        ]
        for number, group in enumerate(groups):
            if any(segment.group == group.name for segment in behind.writes):
                groups[number] = replace(
                    group,
                    writers=joined(group.writers, out),
                    followers=joined(group.followers, add),
                    readers=joined(group.readers, into),
                )
        born = ChannelGroup(
            name=into.name,
            width=self.hidden or graph.channels(behind.writes),
            writers=(into.name,),
            followers=(act.name,),
            readers=(out.name,),
        )
        groups.insert(before, born)  # groups stand in the order of their first writers
        return replace(graph, layers=tuple(layers), channel_groups=tuple(groups))

    def _layers(self, behind: Layer, path: str) -> tuple[Layer, Layer, Layer, Layer]:
        into, act, out, add = (f"{path}.{part}" for part in ("into", "act", "out", "add"))
        stream, hidden = behind.writes, (Segment(into),)

        def layer(
            name: str,
            kind: str,
            source: tuple[str, ...],
            reads: Layout,
            writes: Layout,
            **more: Any,
        ) -> Layer:
            return Layer(
                name=name,
                kind=kind,
                inputs=source,
                reads=reads,
                writes=writes,
                in_size=behind.out_size,
                out_size=behind.out_size,
                in_batch=behind.out_batch,
                out_batch=behind.out_batch,
                in_axis=behind.out_axis,
                out_axis=behind.out_axis,
                **{"module": name, **more},
            )

        dims = len(behind.out_size)
        kind, mixing = self.layer, self._options(dims)
        held = partial(_held, each=1 if kind == "linear" else self.kernel**dims)
        function = (("function", self.activation),)
        return (
            layer(into, kind, (behind.name,), stream, hidden, options=mixing, tensors=held(into)),
            layer(act, "activation", (into,), hidden, hidden, options=function),
            layer(out, kind, (act,), hidden, stream, options=mixing, tensors=held(out)),
            layer(
                add,
                "add",
                (behind.name, out),
                stream,
                stream,
                module=path,
                options=(("function", "Add"),),
            ),
        )

    def _options(self, dims: int) -> tuple[tuple[str, Any], ...]:
        if self.layer == "linear":
            return (("bias", True),)
        return (
            ("bias", True),
            ("dilation", (1,) * dims),
            ("kernel", (self.kernel,) * dims),
            ("pads", (self.kernel // 2,) * 2 * dims),
            ("stride", (1,) * dims),
        )


def _held(path: str, each: int) -> tuple[Held, ...]:
    return (
        Held(role="weight", path=f"{path}.weight", rows=0, columns=1, each=each),
        Held(role="bias", path=f"{path}.bias", rows=0, each=1),
    )


def _obstacle(graph: Graph, behind: Layer, kind: str) -> str | None:
    """Why no new layer of that kind can stand behind this one; None where it can."""
    module, dims = behind.module, len(behind.out_size)
    if module is None:
        return "it is an operation in the middle of a forward pass, no module's output"
    if not behind.writes:
        return "its channels cannot be followed"
    if behind.name == module and behind.kind not in ALONE:
        return f"a module of kind '{behind.kind}' cannot be told from what would stand behind it"
    if kind == "conv" and not (behind.out_axis == 1 and 1 <= dims <= 3):
        return "a conv takes maps (N, C, *size) with one to three sizes"
    if kind == "linear" and behind.out_axis != dims + 1:
        return "a linear takes values whose channels come last"
    for layer in graph.layers:
        called_again = "@" in layer.name and layer.name.startswith((f"{module}@", f"{module}."))
        if called_again or (layer.module == module and layer is not behind):
            return f"'{module}' gives more than one value ('{layer.name}')"
    return None
