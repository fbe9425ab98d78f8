"""The sections on what a network may cost: limits on a device, and the front of several of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from easearch.errors import BudgetError, EasearchError, shown
from easearch.recipe.section import Limit, Number, Part, fault, increasing

MOST = 64
"""Networks of a front."""


def _limits(said: Any) -> Any:
    """One limit, or a list of them, one a network of a front."""
    if not isinstance(said, list | tuple):
        return _limit(said)
    if not said:
        raise fault("expected a limit, or a list of two or more for a front, got an empty list")
    if len(said) == 1:
        raise fault(
            f"expected two limits or more in a list, one a network of a front, got {shown(said)}; "
            f"write {shown(said[0])} without brackets for one network"
        )
    if len(said) > MOST:
        raise fault(f"expected {MOST} limits at most in a list, got {len(said)}")
    return tuple(_limit(one, str(number)) for number, one in enumerate(said))


def _limit(said: Any, place: str = "") -> Any:
    if isinstance(said, bool):
        raise fault(f"expected a number, got {str(said).lower()}", place)
    if not isinstance(said, int | float | str):
        raise fault(f"expected a number, or a text such as '2.5x', got {shown(said)}", place)
    if isinstance(said, float) and not math.isfinite(said):
        raise fault(f"expected a finite number, got {said}", place)
    return said


Limits = Annotated[Limit | tuple[Limit, ...], BeforeValidator(_limits)]


class BudgetPart(Part):
    """What the grown network may cost, and where."""

    device: str = Field(default="host", description="where they hold; `host`: this machine")
    precision: Literal["fp32", "int8"] = Field(
        default="fp32",
        description="numbers that the exported network computes with; int8: quantized, calibrated "
        "on training images",
    )
    limits: dict[str, Limits] = Field(
        min_length=1,
        description="meter -> hard limit: `latency_ms: 0.4`, `latency: '0.4 ms'`, or relative to "
        "the seed, `latency: '2.5x'`, so that the recipe runs on any host. A list, smallest first, "
        "`latency: [1.5x, 2x, 3x]`, is a front: a network for each; what is no list holds for all",
    )

    @property
    def points(self) -> tuple[dict[str, Limit], ...]:
        """The limits of every network that the run delivers, smallest first; one, if no meter has
        a list.
        """
        count = max(len(one) if isinstance(one, tuple) else 1 for one in self.limits.values())
        return tuple(
            {key: one[k] if isinstance(one, tuple) else one for key, one in self.limits.items()}
            for k in range(count)
        )

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        from easearch.budget.devices import check_device

        try:
            check_device(self.device)
        except EasearchError as error:
            raise fault(str(error), "device") from None
        for key, said in self.limits.items():
            self._check_meter(key, said)
        _check_lengths(self.limits)
        self._checked(self.points[0], "limits")
        return self

    def _check_meter(self, key: str, said: Limit | tuple[Limit, ...]) -> None:
        """Refuse what is no limit, and a list that does not increase as far as that is known."""
        from easearch.budget.limits import known_limits

        if not isinstance(said, tuple) or key not in known_limits():
            one = said[0] if isinstance(said, tuple) else said
            self._checked({key: one}, f"limits.{key}", f"{key}: ")
            return
        found = [
            self._checked({key: one}, f"limits.{key}.{number}", f"{key}: ")
            for number, one in enumerate(said)
        ]
        for kind in (True, False):  # of a multiple and a number the order shows once it is measured
            values = [one.value for one in found if one.relative is kind]
            if not increasing(values):
                raise fault(
                    f"expected increasing limits, smallest first, got {shown(said)}",
                    f"limits.{key}",
                )

    def _checked(self, limits: Mapping[str, Limit], place: str, known: str = "") -> Any:
        """The first limit as it is understood, where a budget takes them."""
        from easearch.budget import Budget

        try:
            budget = Budget(limits, device=self.device)
        except BudgetError as error:
            raise fault(str(error).removeprefix(known), place) from None
        return next(iter(budget.quantities.values()))


class FrontPart(Part):
    """How a run of several limits shares its compute: a trunk, and a branch for every limit. With
    one limit there is no front, and nothing here is looked at.
    """

    trunk: Number = Field(
        default=0.8,
        gt=0,
        lt=1,
        description="share of the compute at which the trunk ends; the branches get the rest",
    )
    at: tuple[Number, ...] | None = Field(
        default=None,
        max_length=MOST,
        description="when the trunk grows to each limit: shares of the whole compute, increasing, "
        "below `trunk`, one a limit. None: every size, the seed too, takes as much compute",
    )

    start: Literal["seed", "largest"] = Field(
        default="seed",
        description="what the trunk begins as. seed: it grows from the seed; largest: at once the "
        "uniform network within the largest limits, its weights drawn anew",
    )
    smaller: Literal["branch", "cut"] = Field(
        default="cut",
        description="where the smaller networks come from. branch: the trunk as it is at that "
        "size; cut: the trunk's end, cut back by what its channels are worth",
    )

    shares: Literal["equal", "macs"] = Field(
        default="equal",
        description="how the branches share what the trunk leaves. equal: each gets as much "
        "compute, so that small networks see more batches; macs: each sees as many batches",
    )

    @field_validator("at")
    @classmethod
    def _check_order(cls, at: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if at is not None and (not at or at[0] <= 0 or not increasing(at)):
            raise fault(f"expected increasing shares above 0, one a limit, got {shown(at)}")
        return at

    @model_validator(mode="after")
    def _check_end(self) -> Self:
        if self.at is not None and self.at[-1] >= self.trunk:
            raise fault(
                f"expected shares below trunk, {self.trunk:g}, at which the last size leaves it, "
                f"got {shown(self.at)}",
                "at",
            )
        return self

    @model_validator(mode="after")
    def _check_start(self) -> Self:
        if self.start != "largest":
            return self
        if self.smaller == "branch":
            raise fault(
                "expected seed, because a branch is the trunk as it was at that size, got largest; "
                "say smaller: cut, or start: seed",
                "start",
            )
        if self.at is not None:
            raise fault(
                "expected seed, because `at` says when the trunk grows, got largest; leave one out",
                "start",
            )
        return self


def check_front(front: FrontPart, points: Sequence[Mapping[str, Limit]]) -> None:
    """Refuse moments that are not one a limit; with one limit there is no front."""
    if len(points) > 1 and front.at is not None and len(front.at) != len(points):
        raise fault(
            f"expected {len(points)} shares, one a limit, got {shown(front.at)}", "front.at"
        )


def _check_lengths(limits: Mapping[str, Limit | tuple[Limit, ...]]) -> None:
    lists = [(key, said) for key, said in limits.items() if isinstance(said, tuple)]
    for (first, one), (second, other) in pairwise(lists):
        if len(one) != len(other):
            raise fault(
                f"expected lists of one length, a limit for every network of the front, got "
                f"{len(one)} for {first} and {len(other)} for {second}",
                "limits",
            )
