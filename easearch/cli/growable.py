"""What can grow in a graph, layer by layer: which layers grow, which are carried, which are frozen,
and why.
"""

from __future__ import annotations

from dataclasses import dataclass

from easearch.budget.meters.params import Params
from easearch.graph import ChannelGroup, Graph, Layer

GROWS, CARRIED, FROZEN = "grows", "carried", "frozen"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One layer. Channels are None where no group describes the value."""

    name: str
    kind: str
    in_channels: int | None
    out_channels: int | None
    status: str
    """`grows`: it writes a group that can grow; `carried`: it follows or reads one; `frozen`."""
    why: str


@dataclass(frozen=True, kw_only=True)
class Growable:
    """How much of a network can grow."""

    groups: int
    of_groups: int
    channels: int
    of_channels: int
    params: float
    of_params: float
    """Parameters of the layers that touch a group that can grow, and of the whole model."""
    unused: int
    """Those that the network in evaluation mode does not use."""

    def __str__(self) -> str:
        """One or two sentences."""
        if not self.groups:
            what = (
                "every channel group is frozen" if self.of_groups else "there is no channel group"
            )
            return f"Nothing can grow: {what}."
        share = self.params / self.of_params if self.of_params else 0.0
        text = (
            f"{self.groups} of {self.of_groups} channel groups can grow, {self.channels:,} of "
            f"{self.of_channels:,} channels. {share:.1%} of the parameters are in layers that "
            "they touch."
        )
        if self.unused:
            text += f" {self.unused:,} are not used in evaluation mode."
        return text


def layer_rows(graph: Graph) -> list[Row]:
    """A row for every layer, in the order of execution."""
    return [_row(graph, layer) for layer in graph.layers]


def growable(graph: Graph) -> Growable:
    """How many groups and channels can grow, and how many parameters the layers on them have."""
    names = {group.name for group in graph.growable}
    params = Params().cost(graph).rows
    return Growable(
        groups=len(names),
        of_groups=len(graph.channel_groups),
        channels=sum(group.width for group in graph.growable),
        of_channels=sum(group.width for group in graph.channel_groups),
        params=sum(
            params.get(layer.name, 0.0)
            for layer in graph.layers
            if not names.isdisjoint(layer.groups)
        ),
        of_params=sum(params.values()),
        unused=sum(numbers for _, numbers in graph.unused),
    )


def _row(graph: Graph, layer: Layer) -> Row:
    status, why = _status(graph, layer)
    shape = graph.shape(layer.name)
    return Row(
        name=layer.name,
        kind=layer.kind,
        in_channels=shape.in_channels if layer.reads else None,
        out_channels=shape.out_channels if layer.writes else None,
        status=status,
        why=why,
    )


def _status(graph: Graph, layer: Layer) -> tuple[str, str]:
    groups = [graph.groups[name] for name in layer.groups]
    free = [group for group in groups if group.frozen is None]
    if not groups:
        return FROZEN, "no channel group describes what it computes"
    if not free:
        # its own channels decide; those that it only reads, where it has none
        own = [group for group in groups if _relation(group, layer) != "reads"] or groups
        return FROZEN, "; ".join(dict.fromkeys(str(group.frozen) for group in own))
    relations: dict[str, list[str]] = {}
    for group in free:
        relations.setdefault(_relation(group, layer), []).append(group.name)
    # "writes" first: that is why it grows
    told = [f"{word} {', '.join(relations[word])}" for word in _ORDER if word in relations]
    return (GROWS if "writes" in relations else CARRIED), "; ".join(told)


_ORDER = ("writes", "follows", "reads")


def _relation(group: ChannelGroup, layer: Layer) -> str:
    if layer.name in group.writers:
        return "writes"
    return "follows" if layer.name in group.followers else "reads"
