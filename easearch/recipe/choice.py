"""What a sweep may choose for a field."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from easearch.recipe.section import Part, fault

GREATEST = 2**53
"""End of a range to sweep: whole numbers up to it are floats too."""


class Choice(Part):
    """What a sweep may choose for one field: a range (`low`, `high`) or a list (`choices`)."""

    low: int | float | None = Field(
        default=None, ge=-GREATEST, le=GREATEST, description="least value; whole ends sample whole"
    )
    high: int | float | None = Field(
        default=None, ge=-GREATEST, le=GREATEST, description="greatest value"
    )
    log: bool = Field(default=False, description="sample in the logarithm: for rates and decays")
    step: int | float | None = Field(
        default=None, gt=0, le=GREATEST, description="grid of the range; None: none"
    )
    choices: tuple[Any, ...] = Field(
        default=(), max_length=1000, description="values, in place of a range"
    )

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        ends = (self.low, self.high)
        if self.choices:
            if ends != (None, None) or self.step is not None or self.log:
                raise fault("expected a range (low, high) or choices, got both")
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise fault(f"expected choices, or low below high, got low {ends[0]}, high {ends[1]}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise fault("expected low above 0 and no step, because log is true", "log")
        return self
