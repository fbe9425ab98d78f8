"""Comparisons at equal compute and equal limits: arms, entries, the judge and its page."""

# First: arms and what they are made of import each other's modules, and this order has no loop.
from easearch.comparing.arms import ARMS, Arm, Delivered, Setting
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
