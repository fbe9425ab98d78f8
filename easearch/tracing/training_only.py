"""What runs in training only: heads that help to train and are not there when a network is used.

They are no layers of the graph, cost nothing and are not scored; but the channels that they read
must stay as they are, or training would fail after growth.
"""

from __future__ import annotations

from dataclasses import replace

from torch import fx, nn

from easearch.graph import Graph


def unmet(model: nn.Module, traced: fx.GraphModule) -> bool:
    """Whether the model has parameters that the program does not come by."""
    met = {
        str(node.target) for node in traced.graph.nodes if node.op in ("call_module", "get_attr")
    }
    return any(
        not any(path == one or path.startswith(f"{one}.") for one in met)
        for path, _ in model.named_parameters()
    )


def held(graph: Graph, training: Graph | None) -> Graph:
    """The graph with the groups frozen that layers of training alone touch.

    Args:
        graph: of the network as it is used.
        training: of its training pass; None where that could not be traced.
    """
    if training is None:
        reason = "parts of the model run in training only, and its training pass cannot be traced"
        return frozen(graph, dict.fromkeys(graph.groups, reason))
    reasons: dict[str, str] = {}
    for layer in training.layers:
        if layer.name in graph.by_name:
            continue
        for name in layer.groups:
            group = training.groups[name]
            for member in (*group.writers, *group.followers):
                for here in graph.by_name[member].groups if member in graph.by_name else ():
                    reasons.setdefault(
                        here, f"'{layer.name}', which runs in training only, uses it"
                    )
    return frozen(graph, reasons)


def frozen(graph: Graph, reasons: dict[str, str]) -> Graph:
    """The graph with these groups frozen; a group that is frozen already keeps its reason."""
    return replace(
        graph,
        channel_groups=tuple(
            replace(group, frozen=group.frozen or reasons.get(group.name))
            for group in graph.channel_groups
        ),
    )
