from __future__ import annotations

import json
import logging
import math

import numpy as np
import pytest

from easearch.budget import find_device, find_step
from easearch.budget.latency.step import STEPS, WIDTHS, staircase, within_levels


@pytest.mark.parametrize("true", STEPS)
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_staircase_is_recognised(true: int, noise: float) -> None:
    draw = np.random.default_rng(true)
    times = [5 + math.ceil(w / true) * true * 0.3 for w in WIDTHS]
    times = [t * (1 + noise * abs(draw.standard_normal())) for t in times]
    found = staircase({step: within_levels(WIDTHS, times, step) for step in STEPS[1:]})
    assert found == true


def test_it_is_kept_and_damage_is_measured_again(caplog: pytest.LogCaptureFixture) -> None:
    step = find_step()
    assert step in STEPS
    path = find_device("host").folder / "step.json"
    path.write_text(json.dumps({"step": 8}))
    assert find_step() == 8
    for text in ("{", "[]", json.dumps({"step": 7}), json.dumps({"step": None})):
        path.write_text(text)
        with caplog.at_level(logging.WARNING):
            assert find_step() in STEPS
        assert "measuring again" in caplog.text
        caplog.clear()
