"""What every channel of a group owns, side by side: rows of parameters as one matrix (C, D).

A parameter's rows stand along the axis of the channels that its layer writes. A channel owns `taps`
of them in every segment of its group there: several behind a flatten, several segments where a
layer writes the group more than once (the halves of a gated unit).

Legend: C channels, D numbers that a channel owns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easearch.graph import ChannelGroup, Graph, Layer, Layout, offsets_in


@dataclass(frozen=True, kw_only=True)
class Slot:
    """The group's rows in a parameter: `stretches` of (first row, rows a channel) along `axis`;
    whether a row has a number for every input (`mixes`).
    """

    key: str
    axis: int
    stretches: tuple[tuple[int, int], ...]
    mixes: bool = False

    @property
    def taps(self) -> int:
        """Rows that a channel owns."""
        return sum(taps for _, taps in self.stretches)


class Rows:
    """The parameters' rows that the group's channels own in the given layers."""

    def __init__(
        self,
        model: nn.Module,
        graph: Graph,
        group: ChannelGroup,
        layers: Iterable[Layer],
        roles: tuple[str, ...] | None = None,
    ) -> None:
        """`roles` are the tensors that are wanted of every layer; None: all."""
        self.width = group.width
        self.slots = tuple(_slots(model, graph, group, layers, roles))
        self.held = {slot.key: model.get_parameter(slot.key).detach() for slot in self.slots}

    @property
    def theta(self) -> Tensor:
        """(C, D): what every channel owns."""
        return self.pack(self.held)

    @property
    def flat(self) -> Tensor:
        """(C, D): one at the weights of the inputs, zero elsewhere. What has passed an activation
        has a mean, nearly the same in every channel: the flat direction is close to where inputs
        are largest, and a solver does well to begin there (reports/scoring/README.md).
        """
        mixed = {slot.key for slot in self.slots if slot.mixes}
        return self.pack({k: torch.full_like(t, float(k in mixed)) for k, t in self.held.items()})

    def few(self, channels: Tensor) -> Rows | None:
        """The same for some of the channels, as if there were no others; None unless every
        parameter is the group's alone, a row a channel.
        """
        whole = {slot.key: slot.axis == 0 and slot.stretches == ((0, 1),) for slot in self.slots}
        if not all(whole[key] and len(t) == self.width for key, t in self.held.items()):
            return None
        rows = object.__new__(Rows)  # nothing is looked up in the model again
        rows.width, rows.slots = len(channels), self.slots
        rows.held = {key: t.index_select(0, channels) for key, t in self.held.items()}
        return rows

    def pack(self, values: Mapping[str, Tensor]) -> Tensor:
        """Whole parameters by name -> (C, D)."""
        parts = [
            rows.reshape(self.width, -1)
            for slot in self.slots
            for rows in self._stretches(slot, values[slot.key])
        ]
        return torch.cat(parts, dim=1)

    def unpack(self, packed: Tensor) -> dict[str, Tensor]:
        """(C, D) -> tensors of the parameters' shapes, zero where other groups' rows are."""
        return self._laid(packed, {k: torch.zeros_like(t) for k, t in self.held.items()})

    def unpack_over(self, packed: Tensor) -> dict[str, Tensor]:
        """Packed rows laid over the parameters; other groups' rows stay as they are."""
        return self._laid(packed, {k: t.clone() for k, t in self.held.items()})

    def offset(self, row: Tensor) -> dict[str, Tensor]:
        """(D,) of one channel -> its slice of every parameter, as a move carries it.

        Its rows lie along their own axis, one stretch behind the other; where there is one row in
        all, without that axis.
        """
        offset: dict[str, Tensor] = {}
        start = 0
        for slot in self.slots:
            rest = self.held[slot.key].movedim(slot.axis, 0).shape[1:]
            length = slot.taps * rest.numel()
            rows = row[start : start + length].reshape(slot.taps, *rest)
            offset[slot.key] = rows.movedim(0, slot.axis) if slot.taps > 1 else rows[0]
            start += length
        return offset

    def _laid(self, packed: Tensor, wholes: dict[str, Tensor]) -> dict[str, Tensor]:
        start = 0
        for slot in self.slots:
            for rows in self._stretches(slot, wholes[slot.key]):
                numbers = rows.numel() // self.width
                rows.copy_(packed[:, start : start + numbers].reshape(rows.shape))
                start += numbers
        return wholes

    def _stretches(self, slot: Slot, whole: Tensor) -> Iterator[Tensor]:
        """Views of the group's rows, (C * taps, ...), a stretch each."""
        for first, taps in slot.stretches:
            yield whole.narrow(slot.axis, first, self.width * taps).movedim(slot.axis, 0)


class Table(Rows):
    """What every channel of a group has in given tensors, whichever axis it is: columns of readers,
    statistics of norms.
    """

    def __init__(self, width: int, slots: tuple[Slot, ...], tensors: Mapping[str, Tensor]) -> None:
        self.width, self.slots = width, slots
        self.held = {slot.key: tensors[slot.key].detach() for slot in slots}

    @property
    def numbers(self) -> int:
        """Those of one channel."""
        return sum(numbers_in(slot, self.held[slot.key]) for slot in self.slots)


def numbers_in(slot: Slot, tensor: Tensor) -> int:
    """Numbers that a channel owns in a slot."""
    return slot.taps * (tensor.numel() // tensor.shape[slot.axis])


def stretches(graph: Graph, layout: Layout, group: ChannelGroup) -> tuple[tuple[int, int], ...]:
    """(first row, rows a channel) of the group's places in a layout."""
    return tuple(
        (start, segment.taps)
        for segment, start in offsets_in(graph, layout)
        if segment.group == group.name
    )


def _slots(
    model: nn.Module,
    graph: Graph,
    group: ChannelGroup,
    layers: Iterable[Layer],
    roles: tuple[str, ...] | None,
) -> Iterator[Slot]:
    """A slot a parameter, however many layers compute with it."""
    parameters = dict(model.named_parameters())
    seen: set[str] = set()
    for layer in layers:
        found = stretches(graph, layer.writes, group)
        for held in layer.tensors if found else ():
            wanted = roles is None or held.role in roles
            if held.rows is None or not wanted or held.path in seen or held.path not in parameters:
                continue
            seen.add(held.path)
            mixes = held.columns is not None
            yield Slot(key=held.path, axis=held.rows, stretches=found, mixes=mixes)
