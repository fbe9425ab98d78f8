"""Splitting steepest descent: what more copies of each channel would be worth.

A channel is replaced by offspring at `theta + eps delta_k` whose shares sum to one: two halves at
`theta +- eps v`, v the eigenvector of the smallest eigenvalue of its splitting matrix [Liu2019, eq.
5], or up to four of signed shares along both ends of the spectrum [Wu2020]. Published over the
weights of one layer; here, by default, over all that the channel owns and through everything it
passes on its way to the linear readers (docs/methods.md, 3).

Departures from the papers, numbered:
1. The scope is the whole unit, not the activation right behind the convolution (`scope="layer"` is
   as published).
2. The gain is not `-eps^2/2 G` but the finite-step decrease `-E<g, u(after) - u(before)>`
   (docs/methods.md, 4), taken on batches that the direction has not seen. By it, on the directions'
   own batches, the best scheme of each number of offspring is chosen for every channel.
3. The step is relative to the length of what the channel owns: convolutions before a norm have no
   scale (`relative=False` is as published).
4. Where samples can be told apart, the gain is taken to second order in the rest of the network,
   by the empirical Fisher matrix: no pass more, and large steps keep more of their promise.
5. Three offspring may go along both ends at once (signed.py, "mixed").

[Liu2019] Liu, Wu, Wang. Splitting Steepest Descent for Growing Neural Architectures. NeurIPS 2019,
arXiv:1910.02366. [Wang2019] Wang, Li, Wu, Chandra, Liu. Energy-Aware Neural Architecture
Optimization with Fast Splitting Steepest Descent. arXiv:1910.03103. [Wu2020] Wu, Ye, Lei, Lee, Liu.
Steepest Descent Neural Architecture Optimization: Escaping Local Optimum with Signed Neural
Splitting. arXiv:2003.10392.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from easearch.graph import Graph
from easearch.moves import Candidate, Split
from easearch.roles import Batches, Loss
from easearch.scoring.samples.batches import first_inputs, prepared
from easearch.scoring.samples.capture import Capturer
from easearch.scoring.samples.compared import compared
from easearch.scoring.samples.evidence import Tally, rank_correlation
from easearch.scoring.samples.passes import Part, Passes
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.scores import Scores, candidate_of, check_above_zero, scoring_state
from easearch.scoring.spectrum.directions import descend, lockstep
from easearch.scoring.spectrum.eigen import Ends
from easearch.scoring.spectrum.signed import schemes
from easearch.scoring.spectrum.trials import Trial, tried
from easearch.scoring.units.scope import Scope
from easearch.scoring.units.unit import Unit


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """The splitting criterion: a scope, a solver, a bound on shares, a step.

    Attributes:
        scope: "unit", the whole channel-wise part over all that the channel owns; "rows", the same
            over its rows in the writers' weights alone; "layer", as published.
        solver: "lanczos", both ends of the spectrum in a few products; "exact", the whole matrix;
            "rayleigh", the published stochastic descent.
        c: bound on the summed sizes of the shares; 1: positive splits in two [Liu2019], above:
            signed ones in two, three and four [Wu2020], of which selection takes one a channel.
        step: length of the displacement.
        relative: whether the step is in units of the norm of what the channel owns.
        fisher: whether gains are taken to second order in the rest of the network, by the empirical
            Fisher matrix; for losses that are negative log-likelihoods.
        crossfit: directions from every other batch, gains from the rest; False: both from all.
        memory: bytes that may be kept of the batches between the solver's passes over the data;
            what does not fit is computed again in each.
        seed: of the solver's start vectors.
    """

    scope: Scope = "unit"
    solver: Literal["lanczos", "exact", "rayleigh"] = "lanczos"
    c: float = 1.0
    step: float = 0.05
    relative: bool = True
    fisher: bool = True
    crossfit: bool = True
    memory: float = 768e6
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no scoring can be made with."""
        schemes(self.c)
        check_above_zero(step=self.step)

    def score(self, model: nn.Module, graph: Graph, batches: Batches, loss: Loss) -> Scores:
        """Splits of every channel of every growable group, best first: in two, and with `c` above 1
        in three and four where that is worth more.

        Args:
            model: left bit-identical; scored in evaluation mode.
            graph: its graph.
            batches: (inputs, targets), iterated several times.
            loss: mean over the samples.

        Raises:
            ScoringError: a loss that is not finite or not a scalar; batches that cannot be used.
        """
        # Before what overwrites its input is told not to: the program must know of it.
        wires = TracedProgram(model, first_inputs(batches))
        with scoring_state(model):
            # The published descent takes a step a batch, as the batches are.
            micro = self.solver != "rayleigh"
            learning, judging = prepared(batches, model, loss, self.crossfit, micro=micro)
            groups = [group for group in graph.growable if group.readers]
            units = [Unit(model, graph, group, self.scope, wires) for group in groups]
            units = [unit for unit in units if unit.slots]
            compared(model, units, wires, batches)
            if not units:
                return Scores([])
            split = [Part(unit, number) for number, unit in enumerate(units)]
            capture = partial(_capturer(units, wires).capture, loss=loss)
            passes = Passes(capture, learning, self.memory)
            ends = self._directions(split, passes)
            trials = [
                Trial.of(unit, end, self._lengths(unit), self.c)
                for unit, end in zip(units, ends, strict=True)
            ]
            claimed = tried(split, trials, passes, self.fisher)
            unseen = claimed
            if self.crossfit:
                unseen = tried(split, trials, Passes(capture, judging, 0.0), self.fisher)
        return self._scores(trials, claimed, unseen)

    def _directions(self, split: list[Part], passes: Passes) -> list[Ends]:
        generator = torch.Generator().manual_seed(self.seed)
        if self.solver == "rayleigh":
            return descend(split, passes, self.c > 1, generator)
        return lockstep(split, passes, self.solver, generator)

    def _lengths(self, unit: Unit) -> torch.Tensor:
        """(C, 1): how far each channel's offspring may go."""
        size = unit.theta.norm(dim=1, keepdim=True)
        return self.step * (size if self.relative else torch.ones_like(size))

    def _scores(self, trials: list[Trial], claimed: list[Tally], unseen: list[Tally]) -> Scores:
        found: list[Candidate] = []
        kept = total = 0.0
        halves: list[torch.Tensor] = []
        nothing: dict[str, str] = {}
        for trial, own, other in zip(trials, claimed, unseen, strict=True):
            chosen = trial.chosen(own.mean)
            found += _candidates(trial, chosen, other)
            total += float(own.mean[chosen].sum())
            kept += float(other.mean[chosen].sum())
            halves.append(other.halves[:, chosen])
            if not bool(chosen.any()):
                nothing[trial.unit.group.name] = trial.reason
        samples = claimed[0].samples
        pooled = torch.cat(halves, dim=1)
        return Scores(
            found,
            images=samples + (unseen[0].samples if self.crossfit else 0),
            held_out=kept / total if self.crossfit and total > 0 else None,
            rank_correlation=rank_correlation(pooled[0], pooled[1]),
            nothing=nothing,
        )


def _capturer(units: list[Unit], wires: TracedProgram) -> Capturer:
    values = {edge for unit in units for edge in unit.entrances}
    gradients = {edge for unit in units for edge in unit.exits}
    return Capturer(wires.model, values, gradients, wires)


def _candidates(trial: Trial, chosen: torch.Tensor, unseen: Tally) -> Iterator[Candidate]:
    """A channel's splits, of every number of offspring that is worth its channels; the silent one,
    worth nothing, where there is none.
    """
    gains, intervals = unseen.mean.tolist(), unseen.interval.tolist()
    group = trial.unit.group.name
    for channel in range(trial.unit.width):
        schemes_chosen = chosen[:, channel].nonzero()[:, 0].tolist()
        for number in schemes_chosen:
            shares, offsets = trial.offspring(number, channel)
            move = Split(group=group, channel=channel, shares=shares, offsets=offsets)
            yield candidate_of(move, gains[number][channel], intervals[number][channel])
        if not schemes_chosen:
            yield Candidate(move=Split(group=group, channel=channel), gain=0.0, interval=0.0)
