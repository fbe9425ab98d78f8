"""Studies over fields of a recipe: many runs, the best that keeps its limits, and the front."""

from easearch.sweeps.results import SweepResult, TrialResult
from easearch.sweeps.study import sweep

__all__ = ["SweepResult", "TrialResult", "sweep"]
