"""Splitting steepest descent: what one more copy of each channel would be worth.

A channel is replaced by two halves at `theta +- eps v`, v the eigenvector of the smallest
eigenvalue of its splitting matrix. Published over the weights of one layer [Liu2019, eq. 5]; here,
by default, over all that the channel owns and through everything it passes on its way to the linear
readers (docs/methods.md, 3).

Departures from the papers, numbered:
1. The scope is the whole unit, not the activation right behind the convolution (`scope="layer"` is
   as published).
2. The gain is not `eps^2/2 lambda` but the finite-step decrease `-E<g, u(after) - u(before)>`
   (docs/methods.md, 4), taken on batches that the direction has not seen.
3. The step is relative to the length of what the channel owns: convolutions before a norm have no
   scale.

[Liu2019] Liu, Wu, Wang. Splitting Steepest Descent for Growing Neural Architectures. NeurIPS 2019,
arXiv:1910.02366. [Wang2019] Wang, Li, Wu, Chandra, Liu. Energy-Aware Neural Architecture
Optimization with Fast Splitting Steepest Descent. arXiv:1910.03103.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from easearch.errors import ScoringError
from easearch.graph import Graph
from easearch.moves import Candidate, Split
from easearch.roles import Batches, Loss
from easearch.scoring.batches import first_inputs, parts
from easearch.scoring.capture import Capturer
from easearch.scoring.eigen import SOLVERS, Ends
from easearch.scoring.passes import Part, Passes
from easearch.scoring.scope import Scope
from easearch.scoring.scores import Scores, scoring_state
from easearch.scoring.unit import Unit
from easearch.scoring.wires import Wires


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """The splitting criterion: a scope, a solver, a step.

    Attributes:
        scope: "unit", the whole channel-wise part over all that the channel owns; "layer", as
            published.
        solver: "lanczos", both ends of the spectrum in a few products; "exact", the whole matrix.
        step: length of the displacement, relative to the norm of what the channel owns.
        crossfit: directions from every other batch, gains from the rest; False: both from all.
        memory: bytes that may be kept of the batches between the solver's passes over the data;
            what does not fit is computed again in each.
        seed: of the solver's start vectors.
    """

    scope: Scope = "unit"
    solver: Literal["lanczos", "exact"] = "lanczos"
    step: float = 0.05
    crossfit: bool = True
    memory: float = 768e6
    seed: int = 0

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """A split of every channel of every growable group, best first.

        Args:
            model: left bit-identical; scored in evaluation mode.
            graph: its graph.
            batches: (inputs, targets), iterated several times.
            loss: mean over the samples.

        Raises:
            ScoringError: a loss that is not finite or not a scalar; batches that cannot be used.
        """
        learning, judging = parts(batches, self.crossfit)
        # Before what overwrites its input is told not to: the program must know of it.
        wires = Wires(model, first_inputs(batches))
        with scoring_state(model):
            groups = [group for group in graph.growable if group.readers]
            units = [Unit(model, graph, group, self.scope, wires) for group in groups]
            units = [unit for unit in units if unit.slots]
            if not units:
                return Scores([])
            split = [Part(unit, number) for number, unit in enumerate(units)]
            capture = partial(_capturer(units, wires).capture, loss=loss)
            passes = Passes(capture, learning, self.memory)
            ends = self._directions(split, passes)
            offsets = [_steps(unit, end, self.step) for unit, end in zip(units, ends, strict=True)]
            claimed, samples = _gains(split, offsets, passes)
            held_out, unseen = claimed, samples
            if self.crossfit:
                held_out, unseen = _gains(split, offsets, Passes(capture, judging, 0.0))
        found = [
            _candidate(unit, channel, offset, gain)
            for unit, rows, gains in zip(units, offsets, held_out, strict=True)
            for channel, (offset, gain) in enumerate(zip(rows, gains.tolist(), strict=True))
        ]
        total = sum(float(gains.sum()) for gains in claimed)
        kept = sum(float(gains.sum()) for gains in held_out)
        return Scores(
            found,
            images=samples + (unseen if self.crossfit else 0),
            held_out=kept / total if self.crossfit and total > 0 else None,
        )

    def _directions(self, parts: list[Part], passes: Passes) -> list[Ends]:
        """Both ends of every channel's spectrum; all groups share each pass over the data."""
        generator = torch.Generator().manual_seed(self.seed)
        thetas = [part.unit.theta for part in parts]
        solvers = [SOLVERS[self.solver](*theta.shape, theta, generator) for theta in thetas]
        together = list(zip(parts, solvers, strict=True))
        while not all(solver.done for solver in solvers):
            busy = [(p, s, p.product(s.vectors())) for p, s in together if not s.done]
            samples = 0
            for batch in passes:
                samples += batch.captured.samples
                for part, _, product in busy:
                    batch.multiply(part, product)
            for _, solver, product in busy:
                solver.advance(product.total() / samples)
        return [solver.ends() for solver in solvers]


def _capturer(units: list[Unit], wires: Wires) -> Capturer:
    values = {edge for unit in units for edge in unit.entrances}
    gradients = {edge for unit in units for edge in unit.exits}
    return Capturer(wires.model, values, gradients, wires)


def _steps(unit: Unit, ends: Ends, step: float) -> Tensor:
    """(C, D): `eps_c v_c`; zero where no direction lowers the loss (splitting stable)."""
    eps = step * unit.theta.norm(dim=1, keepdim=True)
    offsets = eps * ends.low_vectors
    if not bool(torch.isfinite(offsets).all()):
        raise ScoringError(
            f"the splitting matrix of '{unit.group.name}' is not finite; check the weights"
        )
    return torch.where((ends.low < 0).to(offsets.device)[:, None], offsets, 0.0)


def _gains(parts: list[Part], offsets: list[Tensor], passes: Passes) -> tuple[list[Tensor], int]:
    """The finite-step gain (C,) of every channel of every unit, in nats, and the samples seen."""
    totals = [torch.zeros(len(rows), dtype=torch.float64) for rows in offsets]
    samples = 0
    for batch in passes:
        samples += batch.captured.samples
        for part, rows, total in zip(parts, offsets, totals, strict=True):
            theta = part.unit.theta
            here = batch.here(part)
            there = batch.phi(part, theta + rows)
            back = batch.phi(part, theta - rows)
            total -= (0.5 * (there - here) + 0.5 * (back - here)).cpu()
    return [total / samples for total in totals], samples


def _candidate(unit: Unit, channel: int, offset: Tensor, gain: float) -> Candidate:
    """The split of one channel; worth nothing where unseen batches see no gain."""
    offsets = (unit.offset(offset), unit.offset(-offset)) if bool(offset.any()) else ()
    move = Split(group=unit.group.name, channel=channel, offsets=offsets)
    return Candidate(move=move, gain=max(gain, 0.0))
