"""A recipe's choices as questions to Optuna."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, Trial

from easearch.recipe import Choice


def sample(trial: Trial, choices: Mapping[str, Choice]) -> dict[str, Any]:
    """A value for every field, chosen by the study's sampler."""
    return {field: _suggest(trial, field, choice) for field, choice in choices.items()}


def values_of(trial: FrozenTrial, choices: Mapping[str, Choice]) -> dict[str, Any]:
    """The values that a trial of an earlier call tried."""
    return {
        field: json.loads(value) if field in choices and choices[field].choices else value
        for field, value in trial.params.items()
    }


def _suggest(trial: Trial, field: str, choice: Choice) -> Any:
    low, high, step = choice.low, choice.high, choice.step
    if choice.choices or low is None or high is None:
        # as text: Optuna keeps scalars only, and a field may be a list
        return json.loads(trial.suggest_categorical(field, [json.dumps(c) for c in choice.choices]))
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int | None):
        return trial.suggest_int(field, low, high, step=step or 1, log=choice.log)
    return trial.suggest_float(field, low, high, step=step, log=choice.log)
