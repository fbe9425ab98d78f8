"""What a study found: a result a trial, the best one, and the front of cost and accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One run of the study."""

    number: int
    values: Mapping[str, Any]
    """Dotted field -> the value that was tried."""
    accuracy: float | None = None
    """On the validation images, a fraction; None: the trial failed."""
    cost: float | None = None
    """Under the study's meter, measured where that can be."""
    feasible: bool = False
    """Whether the certificate keeps every limit."""
    error: str | None = None
    """Why the trial failed, as a sentence."""


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """All trials of a study, those of earlier calls too."""

    path: Path
    meter: str
    unit: str
    limit: float | None
    trials: tuple[TrialResult, ...]

    @property
    def feasible(self) -> tuple[TrialResult, ...]:
        """The trials that ended and keep every limit."""
        return tuple(trial for trial in self.trials if trial.feasible and not trial.error)

    @property
    def best(self) -> TrialResult | None:
        """The feasible trial of the highest accuracy; the cheaper, then the earlier, of equals."""
        return min(
            self.feasible,
            key=lambda t: (-(t.accuracy or 0.0), _cost(t), t.number),
            default=None,
        )

    @property
    def front(self) -> tuple[TrialResult, ...]:
        """The feasible trials that no other beats in accuracy and cost, cheapest first."""
        return front(self.feasible)

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for `json.dumps`."""
        on_front = {trial.number for trial in self.front}
        best = self.best
        return {
            "meter": self.meter,
            "unit": self.unit,
            "limit": self.limit,
            "best": best.number if best else None,
            "front": [trial.number for trial in self.front],
            "trials": [
                {**asdict(trial), "on_front": trial.number in on_front} for trial in self.trials
            ],
        }


def front(trials: Sequence[TrialResult]) -> tuple[TrialResult, ...]:
    """The trials that no other beats in accuracy and cost, cheapest first."""
    kept: list[TrialResult] = []
    for trial in sorted(trials, key=lambda t: (_cost(t), -(t.accuracy or 0.0), t.number)):
        if trial.cost is None or trial.accuracy is None:
            continue
        if not kept or trial.accuracy > (kept[-1].accuracy or 0.0):
            kept.append(trial)
    return tuple(kept)


def _cost(trial: TrialResult) -> float:
    return trial.cost if trial.cost is not None else float("inf")
