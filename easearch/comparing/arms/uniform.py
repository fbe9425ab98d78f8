"""The plain alternative: the widest uniform network within the limits, trained from scratch.

At several limits each is trained alone. `uniform` shares the compute in proportion to the
multiply-adds, so that all see as many batches; `uniform:equal` shares it equally. The rate falls by
one cosine after the warm-up; with `uniform:hold=0.6` it stays constant for that share of the
compute, as it does in growing until the last growth. Both may be said: `uniform:equal+hold=0.6`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from easearch.comparing.apart import apart
from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.making.purse import Purse, annealed, drawn, train

EQUAL, HOLD = "equal", "hold="


@dataclass(frozen=True, kw_only=True)
class Said:
    """What stands behind the colon."""

    shares: str = "macs"
    """How a front's compute is shared (`easearch.comparing.apart`)."""
    hold: float = 0.0
    """The share of the compute until which the rate is constant."""

    @classmethod
    def of(cls, option: str | None) -> Self:
        """Read it.

        Raises:
            ValueError: with a sentence, if it cannot be read.
        """
        shares, hold = "macs", 0.0
        for word in option.split("+") if option is not None else ():
            if word == EQUAL:
                shares = EQUAL
            elif word.startswith(HOLD):
                hold = _share(word.removeprefix(HOLD))
            else:
                raise ValueError(
                    f"expected {EQUAL}, {HOLD}SHARE or nothing behind the colon, got '{word}'"
                )
        return cls(shares=shares, hold=hold)


def run(contest: Setting) -> Delivered:
    """One training at the uniform widths."""
    return from_scratch(contest, contest.uniform, Said.of(contest.option).hold)


def front(contest: Setting) -> list[Delivered]:
    """One training a limit."""
    return apart(run, contest, Said.of(contest.option).shares)


def refusal(option: str | None) -> str | None:
    """Why this cannot stand behind the colon."""
    try:
        Said.of(option)
    except ValueError as error:
        return str(error)
    return None


def from_scratch(contest: Setting, widths: Mapping[str, int], hold: float = 0.0) -> Delivered:
    """Fresh weights at these widths, a warm-up and, from the share `hold` on, one cosine over all
    of the compute.
    """
    course = drawn(contest.ready, widths)
    purse = Purse(whole=contest.compute)
    train(course, contest, purse, 1.0, annealed(contest, hold))
    return Delivered(model=course.model, graph=course.graph, bill=purse.bill)


def _share(said: str) -> float:
    try:
        found = float(said)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1:
        raise ValueError(
            f"hold: expected a share of the compute, 0 or more and below 1, got '{said}'"
        )
    return found


UNIFORM = Arm(
    run=run,
    about="the widest uniform network within the limits, from scratch",
    refusal=refusal,
    front=front,
)
