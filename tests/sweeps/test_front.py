"""The front: what no other feasible trial beats; infeasible trials never count."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from easearch.sweeps.figure import draw_front
from easearch.sweeps.results import SweepResult, TrialResult

trials = st.builds(
    TrialResult,
    number=st.integers(0, 99),
    values=st.just({}),
    accuracy=st.one_of(st.none(), st.floats(0, 1)),
    cost=st.one_of(st.none(), st.floats(0.1, 9)),
    feasible=st.booleans(),
    error=st.one_of(st.none(), st.just("no")),
)


def result(found: list[TrialResult], path: Path = Path()) -> SweepResult:
    return SweepResult(path=path, meter="latency", unit="ms", limit=0.4, trials=tuple(found))


@given(st.lists(trials, max_size=12))
def test_the_front_is_what_no_other_beats(found: list[TrialResult]) -> None:
    study = result(found)
    assert all(trial.feasible and not trial.error for trial in study.front)
    known = [t for t in study.feasible if t.cost is not None and t.accuracy is not None]
    for trial in known:
        assert any(
            (one.cost or 0) <= (trial.cost or 0) and (one.accuracy or 0) >= (trial.accuracy or 0)
            for one in study.front
        )
    costs = [trial.cost for trial in study.front]
    assert costs == sorted(set(costs), key=lambda cost: cost or 0)
    assert study.best is None or study.best in study.feasible


def test_the_figure_shows_every_kind_of_trial(tmp_path: Path) -> None:
    found = [
        TrialResult(number=i, values={}, accuracy=a, cost=c, feasible=f)
        for i, (a, c, f) in enumerate(
            [(0.81, 0.3, True), (0.84, 0.35, True), (0.82, 0.36, True), (0.9, 0.5, False)]
        )
    ]
    draw_front(result(found), tmp_path / "front.svg")
    text = (tmp_path / "front.svg").read_text()
    for words in ("limit", "trial 1: 84.0 %", "misses a limit", "3 within every limit"):
        assert words in text
    draw_front(result([]), tmp_path / "front.svg")
    assert "no trial has ended well" in (tmp_path / "front.svg").read_text()
