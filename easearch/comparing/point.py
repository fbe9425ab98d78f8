"""One limit of a front, and the uniform network that just keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Point:
    """What every arm has to deliver a network for. A comparison at one limit has one of these."""

    limits: Mapping[str, float]
    """By meter, in the meter's unit."""
    uniform: Mapping[str, int]
    """Widths of the widest uniform network within the limits."""
    factor: float
    """Multiple of the seed's widths that rounds to these."""
    share: float
    """Of the limit that the uniform network takes."""
    macs: float
    """Multiply-adds of the uniform network's forward pass: where compute is shared by limits, it
    is shared in proportion to these.
    """

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Point:
        """The same, read back.

        Raises:
            TypeError: a field is missing, or unknown.
        """
        return cls(**values)
