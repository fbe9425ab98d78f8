"""`pruned`: a larger network, pruned by Torch-Pruning until it just meets the limits, fine-tuned.

The package at its best (`easearch.comparing.making.pruning`); the ratio is bisected on the pruned
network as a whole. Half of the compute goes before, what is left after; gradients that weigh
channels are charged as scoring. At several limits one trunk is trained, the uniform network of the
largest, and pruned to each of them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import nn

from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.making.compute_budget import ComputeBudget, TrainingState, annealed, train
from easearch.comparing.making.fitting import whole_share
from easearch.comparing.making.larger import SHARE, larger, told
from easearch.comparing.making.pruning import KINDS, STEPS, Pruning, held_and_floors, torch_pruning
from easearch.comparing.making.trunk import Branch, front_of
from easearch.errors import BudgetError, nearest
from easearch.graph import Graph
from easearch.growth.compute import Compute, counted
from easearch.growth.events import Phase
from easearch.tracing import trace

HALVINGS = 7
"""Of the ratio: rounding to the grid is coarser than what is left."""
TOP = 0.9
"""The highest ratio that is tried."""
WEIGHING = 0.02
"""Share of the compute that gradients for weighing channels may take, about."""
FEWEST, MOST = 8, 512
"""Images for one gradient."""


def run(contest: Setting) -> Delivered:
    """Train, prune, fine-tune.

    Raises:
        MissingExtraError: Torch-Pruning is not installed.
        BudgetError: no ratio brings the network within the limits, or the compute is too little.
        GraphError: Torch-Pruning cannot prune the network.
    """
    torch_pruning()  # before anything is trained
    purse = ComputeBudget(whole=contest.compute)
    course = larger(contest, purse)
    note = told(course.graph)
    ratio = _prune(contest, course, purse)
    train(course, contest, purse, 1.0, annealed(contest, SHARE))
    return Delivered(
        model=course.model,
        graph=course.graph,
        bill=purse.bill,
        notes=(note, _told(ratio)),
    )


def front(contest: Setting) -> list[Delivered]:
    """One trunk, pruned to every limit; the largest, whose uniform network it is, is left as it is.

    Raises:
        MissingExtraError: Torch-Pruning is not installed.
        BudgetError: no ratio brings the trunk within a limit, or the compute is too little.
        GraphError: Torch-Pruning cannot prune the trunk.
    """
    torch_pruning()

    def cut(alone: Setting, course: TrainingState, purse: ComputeBudget) -> Branch:
        if course.graph.widths == alone.uniform:
            return Branch(course=course)
        return Branch(course=course, notes=(_told(_prune(alone, course, purse)),))

    return front_of(contest, cut)


def refusal(option: str | None) -> str | None:
    """Why this cannot stand behind the colon."""
    if option is None or option in KINDS:
        return None
    return f"unknown importance '{option}'; {nearest(option, KINDS)}"


def _prune(contest: Setting, course: TrainingState, purse: ComputeBudget) -> float:
    """Make a network as narrow as the limits want; the ratio that did."""
    ready = contest.ready
    model, ratio = _narrowed(contest, course, purse)
    course.model, course.graph = model, trace(model, ready.sample.to(ready.device))
    # the package makes new parameters: momentum begins anew
    course.optimizer = ready.training.optimizer(model)
    return ratio


def _told(ratio: float) -> str:
    return f"pruned at a ratio of {ratio:.3f}"


def _narrowed(
    contest: Setting, begun: TrainingState, purse: ComputeBudget
) -> tuple[nn.Module, float]:
    """The network at the lowest ratio found that keeps every limit."""
    ready = contest.ready
    sample = ready.sample.to(ready.device)
    if whole_share(begun.graph, ready.bounds) <= 1:
        return begun.model, 0.0
    held, floors = held_and_floors(begun.graph, ready.growing.widths)
    pruning = Pruning(
        kind=contest.option or KINDS[0],
        sample=sample,
        step=ready.growing.width_step,
        gradients=_gradients(contest, begun.graph, purse),
        held=held,
        floors=floors,
    )
    best: nn.Module | None = None
    low, high, nearest_share = 0.0, TOP, float("inf")
    for _ in range(HALVINGS):
        ratio = (low + high) / 2
        contest.watch(Phase(name="prune", detail=f"a ratio of {ratio:.3f}"))
        model = pruning.at(begun.model, ratio)
        share = whole_share(trace(model, sample), ready.bounds)
        nearest_share = min(nearest_share, share)
        if share <= 1:
            best, high = model, ratio
        else:
            low = ratio
    if best is None:
        raise BudgetError(
            f"expected a pruned network within the limits, got {nearest_share:.3g} times a limit "
            f"at best, at a ratio of {low:.3g}; say a smaller growth.width_step, lower the floors, "
            "or leave the arm 'pruned' out"
        )
    return best, high


def _gradients(contest: Setting, graph: Graph, purse: ComputeBudget) -> Callable[[nn.Module], None]:
    """A function that leaves the gradients of the loss over a few training images in a model.

    Charged as training is: three forward passes.
    """
    passes = HALVINGS * STEPS
    dearest = 3 * Compute.macs_of(graph) * passes
    wanted = min(max(int(WEIGHING * contest.compute / dearest), FEWEST), MOST)

    def gradients(model: nn.Module) -> None:
        model.zero_grad(set_to_none=True)
        # As it trains: statistics from before the pruning would no longer be its own.
        model.train()
        seen = 0
        for inputs, targets in contest.ready.feed.scoring(0):
            some = slice(wanted - seen)
            with counted() as forward:
                outputs = model(inputs[some])
            purse.charge("scoring", 3 * forward.macs)
            loss = F.cross_entropy(outputs, targets[some], reduction="sum")
            (loss / wanted).backward()  # type: ignore[no-untyped-call]
            seen += len(targets[some])
            if seen >= wanted:
                break

    return gradients


PRUNED = Arm(
    run=run,
    about="a larger network, pruned by Torch-Pruning to the limits and fine-tuned",
    refusal=refusal,
    front=front,
    package=("torch_pruning", "prune"),
)
