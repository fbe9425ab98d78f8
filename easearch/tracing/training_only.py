"""What runs in training only: heads that help to train and are not there when a network is used.

They are layers of the graph that cost nothing: channels that they read may grow, and they grow with
them. What they write stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from torch import fx, nn

from easearch.graph import ChannelGroup, Graph, Layer, Layout

UNUSED = "unused"
"""The kind of a layer whose result evaluation does not use."""


def unmet(model: nn.Module, traced: fx.GraphModule) -> bool:
    """Whether the model has parameters that the program does not come by."""
    met = {
        str(node.target) for node in traced.graph.nodes if node.op in ("call_module", "get_attr")
    }
    return any(
        not any(path == one or path.startswith(f"{one}.") for one in met)
        for path, _ in model.named_parameters()
    )


def used(traced: fx.GraphModule) -> set[fx.Node]:
    """The nodes on which the program's outputs depend."""
    found: set[fx.Node] = set()
    left = [node for node in traced.graph.nodes if node.op == "output"]
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += node.all_input_nodes
    return found


def evaluated(graph: Graph) -> Graph:
    """The graph without the layers whose results evaluation does not use: no file has them."""
    kept = tuple(layer for layer in graph.layers if layer.kind != UNUSED)
    return graph if len(kept) == len(graph.layers) else replace(graph, layers=kept)


def idle(name: str) -> str:
    """Why what a layer writes cannot grow whose result evaluation does not use."""
    return f"evaluation does not use what '{name}' gives"


def held(graph: Graph, training: Graph | None) -> Graph:
    """The graph with the layers of training; groups that differ between the two are frozen.

    Args:
        graph: of the network as it is used.
        training: of its training pass; None where that could not be traced.
    """
    if training is None:
        reason = "parts of the model run in training only, and its training pass cannot be traced"
        return frozen(graph, dict.fromkeys(graph.groups, reason))
    more = [layer for layer in training.layers if layer.name not in graph.by_name]
    if not more:
        return graph
    here, reasons = _paired(graph, training)
    new: dict[str, ChannelGroup] = {}
    added: list[Layer] = []
    for layer in more:
        for name in layer.groups:
            if name not in here:
                own = name if name not in graph.groups else f"{name} (training)"
                here[name] = {own}
                new[own] = replace(
                    training.groups[name],
                    name=own,
                    writers=(),
                    readers=(),
                    followers=(layer.name,),
                    frozen=idle(layer.name),
                )
            if training.groups[name].frozen is not None or len(here[name]) > 1:
                reason = f"'{layer.name}', which runs in training only, uses it"
                for group in here[name]:
                    reasons.setdefault(group, reason)
        added.append(
            replace(
                layer,
                kind=UNUSED,
                options=(),
                reads=_renamed(layer.reads, here),
                writes=_renamed(layer.writes, here),
            )
        )
    whole = replace(
        graph,
        layers=(*graph.layers, *added),
        channel_groups=(*graph.channel_groups, *new.values()),
    )
    return frozen(whole, reasons)


def _paired(graph: Graph, training: Graph) -> tuple[dict[str, set[str]], dict[str, str]]:
    """Every group of training that both have -> what it is in evaluation: one group, or several
    that are then frozen, as are those that stand for several groups of training.
    """
    here: dict[str, set[str]] = {}
    there: dict[str, set[str]] = {}
    reasons: dict[str, str] = {}
    for layer in training.layers:
        if layer.name not in graph.by_name:
            continue
        same = graph.by_name[layer.name]
        for one, other in ((layer.reads, same.reads), (layer.writes, same.writes)):
            alike = len(one) == len(other) and all(
                a.taps == b.taps and training.groups[a.group].width == graph.groups[b.group].width
                for a, b in zip(one, other, strict=True)
            )
            pairs: Iterable[tuple[str, str]] = (
                ((a.group, b.group) for a, b in zip(one, other, strict=True))
                if alike
                else ((a.group, b.group) for a in one for b in other)
            )
            for a, b in pairs:
                here.setdefault(a, set()).add(b)
                there.setdefault(b, set()).add(a)
    for name, several in there.items():
        if len(several) > 1 or any(len(here[one]) > 1 for one in several):
            reasons[name] = "training uses its channels in another way"
    return here, reasons


def _renamed(layout: Layout, here: dict[str, set[str]]) -> Layout:
    """The layout in groups of the whole graph; empty where they are not one to one."""
    if any(len(here[segment.group]) > 1 for segment in layout):
        return ()
    return tuple(replace(segment, group=next(iter(here[segment.group]))) for segment in layout)


def frozen(graph: Graph, reasons: dict[str, str]) -> Graph:
    """The graph with these groups frozen; a group that is frozen already keeps its reason."""
    return replace(
        graph,
        channel_groups=tuple(
            replace(group, frozen=group.frozen or reasons.get(group.name))
            for group in graph.channel_groups
        ),
    )
