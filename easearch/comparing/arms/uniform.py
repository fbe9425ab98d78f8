"""The plain alternative: the widest uniform network within the limits, trained from scratch.

At several limits each is trained alone. `uniform` shares the compute in proportion to the
multiply-adds, so that all see as many batches; `uniform:equal` shares it equally.
"""

from __future__ import annotations

from collections.abc import Mapping

from easearch.comparing.apart import apart
from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.making.compute_budget import (
    ComputeBudget,
    TrainingState,
    drawn,
    scheduled,
    train,
)

EQUAL = "equal"


def run(contest: Setting) -> Delivered:
    """One training at the uniform widths."""
    return from_scratch(contest, contest.uniform)


def front(contest: Setting) -> list[Delivered]:
    """One training a limit."""
    return apart(run, contest, contest.option or "macs")


def refusal(option: str | None) -> str | None:
    """Why this cannot stand behind the colon."""
    if option in (None, EQUAL):
        return None
    return f"expected nothing behind the colon, or {EQUAL}, got '{option}'"


def from_scratch(contest: Setting, widths: Mapping[str, int]) -> Delivered:
    """Fresh weights at these widths, and the recipe's whole schedule over all of the compute."""
    return trained(contest, drawn(contest.ready, widths))


def trained(contest: Setting, course: TrainingState) -> Delivered:
    """The recipe's whole schedule over all of the compute."""
    purse = ComputeBudget(whole=contest.compute)
    train(course, contest, purse, 1.0, scheduled(contest))
    return Delivered(model=course.model, graph=course.graph, bill=purse.bill)


UNIFORM = Arm(
    run=run,
    about="the widest uniform network within the limits, from scratch",
    refusal=refusal,
    front=front,
)
