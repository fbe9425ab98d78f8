"""One trial: a run of the recipe with the sampled values, and what the study keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from easearch.errors import RecipeError
from easearch.growth.events import Watcher
from easearch.recipe import Recipe
from easearch.sweeps.folder import trial_folder
from easearch.sweeps.results import SweepResult, TrialResult
from easearch.sweeps.sampling import values_of

if TYPE_CHECKING:
    from easearch.run import Run

PREFERRED = "latency"
"""The meter of the front's axis, where it is limited; else the first limit of the recipe."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the network of a trial costs under one limit."""

    meter: str
    unit: str
    limit: float
    value: float

    @property
    def excess(self) -> float:
        """How far over the limit, as a fraction; negative below it."""
        return self.value / self.limit - 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended."""

    accuracy: float
    """On the validation images, a fraction."""
    costs: tuple[Cost, ...]
    feasible: bool


def refuse_front(recipe: Recipe) -> None:
    """Refuse a recipe of several limits: a trial is one network.

    Raises:
        RecipeError: with what to write instead.
    """
    for key, said in recipe.budget.limits.items():
        if isinstance(said, tuple):
            raise RecipeError(
                f"{recipe.name}: budget.limits.{key}: expected one limit, because a sweep compares "
                f"single networks, got a list, {list(said)}; sweep at one of them "
                f"({key}: {said[-1]}), and put what it finds into the recipe of the front"
            )


def run_trial(
    base: Recipe, number: int, values: Mapping[str, Any], folder: Path, watch: Watcher
) -> Outcome:
    """Grow into `trial-0007`, which must not be there yet.

    Raises:
        RecipeError: something stands there, or the values make no recipe.
        EasearchError: as `grow`; what was trained stays.
    """
    from easearch.run import grow

    recipe = base.changed({**values, "sweep": {}})
    refuse_front(recipe)
    out = trial_folder(folder, number)
    if out.exists() or out.is_symlink():
        raise RecipeError(f"expected '{out}' not to be there yet, got something; move it away")
    return _outcome(grow(recipe, out, watch=watch))


def _outcome(run: Run) -> Outcome:
    told, certificate = run.summary, run.certificate
    proofs = certificate.proofs if certificate is not None else ()
    return Outcome(
        accuracy=float(told["validation"]["accuracy"]),
        costs=tuple(
            Cost(
                meter=proof.meter,
                unit=proof.unit,
                limit=proof.limit,
                value=proof.predicted if proof.measured is None else proof.measured,
            )
            for proof in proofs
        ),
        # without a certificate nothing is proven, and what is not proven must not win
        feasible=certificate is not None and certificate.meets,
    )


def store(trial: optuna.Trial, outcome: Outcome) -> None:
    """Write the outcome into the study, so that a later call can tell of it."""
    for cost in outcome.costs:
        # one above its limit by less than the noise is certified: not a violation
        trial.set_constraint(cost.meter, min(cost.excess, 0) if outcome.feasible else cost.excess)
    if not outcome.feasible and all(cost.excess <= 0 for cost in outcome.costs):
        trial.set_constraint("certificate", 1.0)
    trial.set_user_attr("feasible", outcome.feasible)
    trial.set_user_attr("costs", [cost.__dict__ for cost in outcome.costs])


def results_of(trials: Sequence[FrozenTrial], base: Recipe, folder: Path) -> SweepResult:
    """All trials of the study that ended, as results."""
    ended = [t for t in trials if t.state in {TrialState.COMPLETE, TrialState.FAIL}]
    costs = [{cost["meter"]: Cost(**cost) for cost in t.user_attrs.get("costs", ())} for t in ended]
    known: dict[str, Cost] = {}
    for one in costs:
        known = {**one, **known}
    meter = PREFERRED if PREFERRED in known else next(iter(known), next(iter(base.budget.limits)))
    axis = known.get(meter)
    return SweepResult(
        path=folder,
        meter=meter,
        unit=axis.unit if axis else "",
        limit=axis.limit if axis else None,
        trials=tuple(
            TrialResult(
                number=trial.number,
                values=values_of(trial, base.sweep),
                accuracy=trial.value if trial.state == TrialState.COMPLETE else None,
                cost=one[meter].value if meter in one else None,
                feasible=bool(trial.user_attrs.get("feasible", False)),
                error=trial.user_attrs.get("error"),
            )
            for trial, one in zip(ended, costs, strict=True)
        ),
    )
