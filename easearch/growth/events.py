"""What a run tells while it goes on: events, handed to a watcher. Nothing here prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Phase:
    """The run begins something: measure, train, score, select, grow, export, certify."""

    name: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A training batch is done."""

    stage: int
    stages: int
    epoch: float
    """Epochs done in the whole run, with the fraction of the present one."""
    epochs: float
    loss: float
    """Running mean over this epoch (nats, with label smoothing)."""
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """An epoch is done (or a part of one, before a growth and at the end): one row of
    `history.jsonl`.
    """

    stage: int
    epoch: float
    """Of the run: they pass with the compute that is spent."""
    rate: float
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    costs: Mapping[str, float]
    limits: Mapping[str, float]
    compute: float
    """Multiply-adds spent so far: training, scoring and searching."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one growth round did: one row of `steps.jsonl`. Losses are means in nats."""

    round: int
    epoch: float
    widths_before: Mapping[str, int]
    widths_after: Mapping[str, int]
    costs_before: Mapping[str, float]
    costs_after: Mapping[str, float]
    limits: Mapping[str, float]
    """This stage's limits, in the meters' units."""
    promised: float
    """Sum of the gains of the chosen moves, each at its own step."""
    kept: float
    """Decrease of the loss that was measured at the step that the line search chose."""
    factor: float
    line_search: tuple[tuple[float, float], ...]
    """(factor, loss) of every step tried whose loss is a finite number; factor 0 is the silent
    growth.
    """
    loss_before: float
    loss_after: float
    moves: int
    """On channels; new layers are told apart."""
    solver: str
    gap: float
    binding: str | None
    shadow_price: float
    held_out: float | None
    """Gain on unseen batches over the gain claimed on their own; None: not cross-fitted."""
    images: int
    rank_correlation: float | None = None
    """Of the gains on two disjoint halves of the unseen batches (Spearman's); None: not known."""
    layers: tuple[str, ...] = ()
    """Behind which layers new ones were put."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock of score, select, search, surgery."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something that a reader of the run should know, as a sentence."""

    text: str


Event = Phase | Progress | Epoch | Step | Note
Watcher = Callable[[Event], Any]
