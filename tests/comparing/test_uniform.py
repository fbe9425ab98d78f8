"""Uniform widths from scratch: one cosine, or a constant rate before it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from contests import Watched, check_entry, contest

import easearch.comparing.making.purse as spending
from easearch.comparing.arms.uniform import UNIFORM, Said


@pytest.mark.parametrize("option", [None, "hold=0.6"])
def test_the_rate_falls_from_where_it_is_held_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str | None
) -> None:
    """Warm-up, constant until the share that is said, then falling to zero: over all steps."""
    watched = Watched()
    monkeypatch.setattr(spending, "train_epoch", watched)
    with contest(tmp_path, option) as setting:
        delivered = UNIFORM.run(setting)
    check_entry(setting, delivered)
    assert dict(delivered.graph.widths) == dict(setting.uniform)
    (rates,) = watched.trainings
    training, count = setting.ready.training, len(rates)
    warm = int(count * training.warmup / training.epochs)
    held = int(count * Said.of(option).hold)
    in_order = [rates[number] for number in range(count)]
    assert abs(in_order.index(max(in_order)) - warm) <= 1
    assert in_order[warm + 1 : held] == [training.rate] * max(held - warm - 1, 0)
    falling = in_order[max(held, warm) + 1 :]
    assert len(falling) > count / 3
    assert all(before > after for before, after in pairwise(falling))
    assert falling[-1] < 0.01 * training.rate


def test_what_may_stand_behind_the_colon() -> None:
    assert Said.of(None) == Said()
    assert Said.of("equal+hold=0.5") == Said(shares="equal", hold=0.5)
    for said in ("", "equl", "hold", "hold=", "hold=1", "hold=-0.1", "hold=nan", "equal,hold=0.5"):
        why = UNIFORM.refusal(said)
        assert why is not None and "expected" in why, said
