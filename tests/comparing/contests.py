"""Tiny contests on real pictures: what an arm gets, made as the judge makes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import easearch as ea
from easearch.comparing.arm import Delivered, Setting
from easearch.comparing.point import Point
from easearch.growth.compute import Compute
from easearch.growth.events import Event
from easearch.growth.stream import step_compute
from easearch.growth.training import Quality, train_epoch
from easearch.preflight.ready import Ready, make_ready, seeded
from easearch.preflight.uniform import widest_uniform
from easearch.roles import Bound

LIMITS = {"macs": "2.6x", "params": "3x"}


class Untouchable:
    """In place of the test part: whoever looks at it fails."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the test part was looked at: {name}")

    def __len__(self) -> int:
        raise AssertionError("the test part was looked at")


def recipe(**changes: Any) -> ea.Recipe:
    values: dict[str, Any] = {
        "name": "tiny",
        "seed": 3,
        "data": {"name": "fashion-mnist-mini", "validation": 0.8},
        "model": {
            "name": "mobilenet_v1",
            "arguments": {"layout": [[12, 1, 1], [16, 1, 2]], "stem_channels": 8, "stem_stride": 4},
        },
        "budget": {"limits": LIMITS},
        "growth": {"stages": [1.0], "at": [0.5], "images": 128, "width_step": 4},
        "training": {"epochs": 10, "batch_size": 50, "rate": 0.05},
    }
    return ea.Recipe.model_validate({**values, **changes})


@contextmanager
def contest(
    folder: Path, option: str | None = None, events: list[Event] | None = None, **changes: Any
) -> Iterator[Setting]:
    """A setting with torch's generators at its seed; its test part must not be looked at."""
    chosen = recipe(**changes)
    with seeded(chosen):
        ready = make_ready(chosen, lambda event: None)
        blind = dataclasses.replace(ready.data, test=Untouchable())  # type: ignore[arg-type]
        ready = dataclasses.replace(
            ready, data=blind, feed=dataclasses.replace(ready.feed, dataset=blind)
        )
        points = [point_of(ready, bounds) for bounds in ready.points]
    with seeded(chosen):
        yield Setting(
            recipe=chosen,
            ready=ready,
            points=points,
            compute=3.0 * points[-1].macs * ready.feed.samples * ready.training.epochs,
            folder=folder,
            watch=(events if events is not None else []).append,
            option=option,
        )


def point_of(ready: Ready, bounds: Sequence[Bound]) -> Point:
    graph, growing = ready.state.graph, ready.growing
    wide = widest_uniform(graph, bounds, growing.width_step, growing.widths)
    return Point(
        limits={bound.meter.name: bound.limit for bound in bounds},
        uniform=wide.widths,
        factor=wide.factor,
        share=wide.share,
        macs=Compute.macs_of(graph.with_widths(wide.widths)),
    )


def check_entry(contest: Setting, delivered: Delivered) -> None:
    """What every arm owes: limits kept, the grid kept, all of the compute spent and no more."""
    for bound in contest.ready.bounds:
        assert bound.meter.cost(delivered.graph).total <= bound.limit
    assert ea.trace(delivered.model, contest.ready.sample) == delivered.graph
    _check_grid(contest, delivered)
    one = step_compute(Compute.macs_of(delivered.graph), contest.ready.feed)
    assert 0 <= contest.compute - delivered.spent < one


def check_front(contest: Setting, front: Sequence[Delivered]) -> None:
    """What every arm owes at several limits: each kept, and the compute of all to within a step
    each.
    """
    for bounds, delivered in zip(contest.ready.points, front, strict=True):
        for bound in bounds:
            assert bound.meter.cost(delivered.graph).total <= bound.limit
        assert ea.trace(delivered.model, contest.ready.sample) == delivered.graph
        _check_grid(contest, delivered)
    steps = sum(step_compute(Compute.macs_of(d.graph), contest.ready.feed) for d in front)
    # A trunk's branches end on the step that is nearest, which may be half of one too much.
    assert abs(contest.compute - sum(d.spent for d in front)) < steps


def _check_grid(contest: Setting, delivered: Delivered) -> None:
    step = contest.ready.growing.width_step
    assert all(group.width % step == 0 for group in delivered.graph.growable)


def weights(model: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all((first[k] == second[k]).all() for k in first)


@dataclass
class Watched:
    """In place of `train_epoch`: remembers every training, and does it."""

    trainings: list[dict[int, float]] = field(default_factory=list)
    """Step -> rate."""
    momenta: list[int] = field(default_factory=list)
    """How many parameters had a momentum when it began."""

    def __call__(self, model: Any, optimizer: Any, batches: Any, rate: Any, *rest: Any) -> Quality:
        rates: dict[int, float] = {}
        self.trainings.append(rates)
        self.momenta.append(len(optimizer.state))

        def noted(number: int) -> float:
            rates[number] = rate(number)
            return rates[number]

        return train_epoch(model, optimizer, batches, noted, *rest)
