"""The widths that every stage allows: ceilings always, floors in the end and on the way there."""

from __future__ import annotations

from dataclasses import replace

from test_loop import run, told

from easearch.growth.growth_schedule import GrowthSchedule
from easearch.roles import Range

STAGES = (0.5, 1.0)


def growing(**widths: Range) -> GrowthSchedule:
    return GrowthSchedule(stages=STAGES, at=(1, 2), width_step=2, widths=widths)


def test_before_the_last_growth_floors_are_part_of_the_way_and_wishes() -> None:
    wanted = growing(a=Range(low=32, high=48), b=Range(high=9), c=Range.locked(), d=Range(low=4))
    seed = {"a": 8, "b": 8, "c": 3, "d": 6}
    first, last = (wanted.ranges(stage, seed) for stage in (0, 1))
    assert last == wanted.widths
    assert first == {
        "a": Range(low=20, high=48, firm=False),
        "b": Range(high=9),
        "c": Range.locked(),
        "d": Range(low=6, firm=False),
    }


def test_a_run_keeps_its_widths() -> None:
    """Against the same run without: a lock where it grew, a ceiling, and a floor where it did not
    reach; in every growth and at the end.
    """
    free = run()
    seed, grown = free.seed.widths, free.grower.state.graph.widths
    most = max((n for n in seed if grown[n] > seed[n]), key=lambda n: grown[n] - seed[n])
    least = min((g.name for g in free.seed.growable), key=lambda n: grown[n] - seed[n])
    assert grown[most] >= seed[most] + 4
    low = min(grown[least] + 2, 2 * seed[least])
    for wanted in (
        {most: Range.locked(), least: Range(low=low)},
        {most: Range(high=seed[most] + 2), least: Range(low=low)},
    ):
        found = told()
        found.grower.growing = replace(found.grower.growing, widths=wanted)
        found.grower.run()
        high = wanted[most].high or seed[most]
        assert all(plan.widths[most] <= high for plan in found.chosen.plans)
        assert found.grower.state.graph.widths[most] <= high
        assert found.grower.state.graph.widths[least] >= low
