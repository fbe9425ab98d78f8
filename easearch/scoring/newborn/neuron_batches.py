"""New channels of a group: what they own at birth, and what batches say of all of them together.

At birth the rows in the writers and the depthwise kernels are random directions of the group's
typical length. Everything else that a channel owns (scales and shifts of norms, biases, slopes)
is the group's mean: the newborn then works where the network's activations were trained to work,
which scale 1 and shift 0 do not promise. Its norms' statistics are its own on the data: with any
others a later recalibration would rescale it, and its gain would be another.

Legend: P newborns of a group, D numbers that a channel owns, S of its norms' statistics, O in its
columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from easearch.moves import NewNeuron, Offset
from easearch.roles import Loss
from easearch.scoring.newborn.neuron_pool import NewNeuronPool, Seen
from easearch.scoring.samples import shards
from easearch.scoring.samples.capture import Capturer
from easearch.scoring.samples.evidence import Tally, completed
from easearch.scoring.samples.passes import Capture, Passes
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.units.rows import Table, numbers_in


@dataclass(frozen=True, kw_only=True, eq=False)
class NewNeuronBatch:
    """A group's newborns.

    Attributes:
        rows: (P, D), what they own.
        statistics: (P, S), of their norms.
        wanted: (P, O), the mean over the samples of the loss's gradient at their columns.
        out: (P, O), their columns; once they are chosen.
        samples: how many the mean is over.
    """

    nursery: NewNeuronPool
    rows: Tensor
    statistics: Tensor
    wanted: Tensor
    out: Tensor
    samples: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def kept(self, which: Tensor) -> NewNeuronBatch:
        """Some of them."""
        parts = ("rows", "statistics", "wanted", "out")
        return replace(self, **{name: getattr(self, name)[which] for name in parts})

    def moves(self) -> Iterator[NewNeuron]:
        """Each as a move."""
        unit = self.nursery
        for row, statistics, out in zip(self.rows, self.statistics, self.out, strict=True):
            into: Offset = {**unit.offset(row), **unit.statistics.offset(statistics)}
            yield NewNeuron(group=unit.group.name, into=into, out=unit.columns.offset(out))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One tensor's stretch of the numbers that a channel owns."""

    key: str
    numbers: slice
    kind: str
    """A "row" in a writer's matrix, a "kernel" of its own, a "shift" that is added, or a "scale".
    """
    size: float
    """Typical length: root of the mean square over the group's channels."""


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """Over the batches, of one brood."""

    wanted: Tensor
    slope: Tensor
    statistics: Tensor

    def add(self, rows: slice, seen: Seen) -> None:
        """What a batch says of some of the newborns; what stands in for none is left out."""
        number = len(self.wanted[rows])
        self.wanted[rows] += seen.wanted[:number]
        self.statistics[rows] += seen.statistics[:number]
        if seen.slope is not None:
            self.slope[rows] += seen.slope[:number]


def conceived(nursery: NewNeuronPool, rows: Tensor) -> NewNeuronBatch:
    """Newborns with these rows, of which nothing is known yet."""
    blank = partial(torch.zeros, dtype=rows.dtype, device=rows.device)
    columns = blank(len(rows), nursery.columns.numbers)
    statistics = blank(len(rows), nursery.statistics.numbers)
    return NewNeuronBatch(
        nursery=nursery, rows=rows, statistics=statistics, wanted=columns, out=columns
    )


def born(nursery: NewNeuronPool, number: int, generator: torch.Generator) -> NewNeuronBatch:
    """Newborns with random rows and kernels, the group's mean of all else."""
    theta = nursery.theta
    rows = theta.mean(0, keepdim=True).repeat(number, 1)
    for part in parts_of(nursery):
        if part.kind in ("row", "kernel"):
            size = (number, part.numbers.stop - part.numbers.start)
            random = torch.randn(size, generator=generator, dtype=torch.float64).to(theta)
            rows[:, part.numbers] = part.size * unit_length(random)
    return conceived(nursery, rows)


def parts_of(nursery: NewNeuronPool) -> Iterator[Part]:
    """The tensors of a channel, in the order in which they are packed."""
    kinds = dict(_kinds(nursery))
    theta, start = nursery.theta, 0
    for slot in nursery.slots:
        end = start + numbers_in(slot, nursery.held[slot.key])
        size = typical(theta[:, start:end])
        yield Part(key=slot.key, numbers=slice(start, end), kind=kinds[slot.key], size=size)
        start = end


def learnt(
    broods: Sequence[NewNeuronBatch], passes: Passes, outs: Sequence[Tensor] | None = None
) -> tuple[list[NewNeuronBatch], list[Tensor]]:
    """The broods with M and statistics of all batches' samples, and with `outs` the slopes (P, D).

    Every group in one pass, norms as in training.
    """
    sums = [
        _Sums(wanted=b.wanted * 0, slope=torch.zeros_like(b.rows), statistics=b.statistics * 0)
        for b in broods
    ]
    device = broods[0].rows.device

    def work() -> list[Tensor]:
        samples = 0
        for batch in passes:
            samples += batch.captured.samples
            for number, (brood, total) in enumerate(zip(broods, sums, strict=True)):
                width = brood.nursery.width
                for rows in places(brood):
                    out = None if outs is None else filled(outs[number][rows], width)
                    theirs = filled(brood.rows[rows], width)
                    total.add(rows, brood.nursery.learn(theirs, batch.captured, out))
        seen = torch.tensor(float(samples), dtype=torch.float64, device=device)
        return [seen, *(t for one in sums for t in (one.wanted, one.slope, one.statistics))]

    seen, *totals = shards.together(work, device)
    samples = int(seen)
    found, slopes = [], []
    for number, brood in enumerate(broods):
        wanted, slope, statistics = totals[3 * number : 3 * number + 3]
        mean = brood.nursery.mean_statistics(statistics, samples)
        found.append(replace(brood, wanted=wanted / samples, statistics=mean, samples=samples))
        slopes.append(slope / samples)
    return found, slopes


def judged(broods: Sequence[NewNeuronBatch], passes: Passes) -> list[Tally]:
    """The gain (P,) of every newborn with its columns, nats, over the samples of all ranks.

    `-<M, out>` is the finite-step gain: what the newborn adds at its readers is linear in `out`.
    """
    device = broods[0].rows.device
    tallies = [Tally(len(brood), device=device) for brood in broods]

    def work() -> None:
        for batch in passes:
            for brood, tally in zip(broods, tallies, strict=True):
                gains = torch.zeros(len(brood), dtype=torch.float64, device=device)
                for rows in places(brood):
                    theirs, statistics = (
                        filled(t[rows], brood.nursery.width) for t in (brood.rows, brood.statistics)
                    )
                    wanted = brood.nursery.judge(theirs, statistics, batch.captured)
                    out = brood.out[rows]
                    gains[rows] = -(wanted[: len(out)] * out).sum(1).double()
                tally.add(gains, batch.captured.samples)

    completed(tallies, work, device)
    return tallies


def capture(nurseries: Sequence[NewNeuronPool], wires: TracedProgram, loss: Loss) -> Capture:
    """What all nurseries need of a batch."""
    values = {edge for one in nurseries for edge in one.values}
    gradients = {edge for one in nurseries for edge in one.gradients}
    return partial(Capturer(wires.model, values, gradients, wires).capture, loss=loss)


def places(brood: NewNeuronBatch) -> Iterator[slice]:
    """As many newborns at a time as the group has channels."""
    width = brood.nursery.width
    yield from (slice(start, start + width) for start in range(0, len(brood), width))


def filled(some: Tensor, width: int) -> Tensor:
    """Rows for every channel: the first again where there are too few."""
    return torch.cat([some, some[:1].expand(width - len(some), -1)])


def _kinds(nursery: NewNeuronPool) -> Iterator[tuple[str, str]]:
    for layer in nursery.layers:
        for held in layer.tensors:
            if held.columns is not None:
                yield held.path, "row"
            elif held.role == "weight" and "kernel" in dict(layer.options):
                yield held.path, "kernel"
            else:
                added = held.role == "bias" or layer.kind == "add"
                yield held.path, "shift" if added else "scale"


# --- formulas


def unit_length(rows: Tensor) -> Tensor:
    """Every row at length 1; zeros stay."""
    length: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / length.clamp(min=torch.finfo(rows.dtype).tiny)


def typical(rows: Tensor) -> float:
    """Root of the mean square of the rows' lengths."""
    return float(rows.norm(dim=1).square().mean().sqrt()) if rows.numel() else 0.0


def column_size(table: Table) -> float:
    """Typical length of what the group's channels have as columns."""
    return typical(table.theta)


def apart(wanted: Tensor, count: int, news: float = 0.1) -> tuple[Tensor, Tensor]:
    """(chosen, directions): `count` of the rows of M (P, O), and for each a direction (O,) of
    length 1 that those chosen before it do not take.

    Gram-Schmidt in order of what is left of each. Where that is less than the share `news` of the
    largest that remains, all directions are taken, and it begins anew.
    """
    left, free = wanted.clone(), torch.ones(len(wanted), dtype=torch.bool, device=wanted.device)
    lengths = wanted.norm(dim=1)
    chosen, directions = [], []
    for _ in range(min(count, len(wanted))):
        sizes = left.norm(dim=1).masked_fill(~free, -1.0)
        best = int(sizes.argmax())
        if float(sizes[best]) < news * float(lengths.masked_fill(~free, 0.0).max()):
            left = wanted.clone()
            best = int(lengths.masked_fill(~free, -1.0).argmax())
        direction = unit_length(left[best : best + 1])[0]
        left = left - torch.outer(left @ direction, direction)
        free[best] = False
        chosen.append(best)
        directions.append(direction)
    which = torch.tensor(chosen, dtype=torch.long, device=wanted.device)
    return which, torch.stack(directions)
