"""Comparisons at equal compute and equal limits: arms, entries, the judge and its page."""

from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.arms import ARMS
from easearch.comparing.compare import compare
from easearch.comparing.foresight import Foresight, foresee
from easearch.comparing.results import Comparison

__all__ = [
    "ARMS",
    "Arm",
    "Comparison",
    "Delivered",
    "Foresight",
    "Setting",
    "compare",
    "foresee",
]
