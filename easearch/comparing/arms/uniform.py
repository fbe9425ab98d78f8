"""The plain alternative: the widest uniform network within the limits, trained from scratch."""

from __future__ import annotations

from collections.abc import Mapping

from easearch.comparing.arms.arm import Arm, Delivered, Setting
from easearch.comparing.fresh import fresh
from easearch.comparing.purse import Course, Purse, annealed, train
from easearch.tracing import trace


def run(contest: Setting) -> Delivered:
    """One training at the uniform widths."""
    return from_scratch(contest, contest.uniform)


def from_scratch(contest: Setting, widths: Mapping[str, int]) -> Delivered:
    """Fresh weights at these widths, a warm-up and one cosine over all of the compute."""
    ready = contest.ready
    model = fresh(contest, widths)
    graph = trace(model, ready.sample.to(ready.device))
    course = Course(model=model, graph=graph, optimizer=ready.training.optimizer(model))
    purse = Purse(whole=contest.compute)
    train(course, contest, purse, 1.0, annealed(contest, 0.0))
    return Delivered(model=model, graph=graph, bill=purse.bill)


UNIFORM = Arm(run=run, about="the widest uniform network within the limits, from scratch")
