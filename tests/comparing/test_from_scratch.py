"""Uniform widths from scratch: the recipe's whole schedule, over all of the compute."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from contests import Watched, check_entry, contest

import easearch.comparing.making.compute_budget as spending
from easearch.comparing.arms.uniform import UNIFORM


@pytest.mark.parametrize("hold", [0.0, 0.6])
def test_the_rate_falls_from_where_it_is_held_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hold: float
) -> None:
    """Warm-up, constant for the share that the recipe says, then falling to zero: all steps."""
    watched = Watched()
    monkeypatch.setattr(spending, "train_epoch", watched)
    how = {"epochs": 10, "batch_size": 50, "rate": 0.05, "hold": hold}
    with contest(tmp_path, training=how) as setting:
        delivered = UNIFORM.run(setting)
    check_entry(setting, delivered)
    assert dict(delivered.graph.widths) == dict(setting.uniform)
    (rates,) = watched.trainings
    training, count = setting.ready.training, len(rates)
    warm, held = int(count * training.warmup / training.epochs), int(count * hold)
    in_order = [rates[number] for number in range(count)]
    assert abs(in_order.index(max(in_order)) - warm) <= 1
    assert in_order[warm + 1 : held] == [training.rate] * max(held - warm - 1, 0)
    falling = in_order[max(held, warm) + 1 :]
    assert len(falling) > count / 3
    assert all(before > after for before, after in pairwise(falling))
    assert falling[-1] < 0.01 * training.rate
