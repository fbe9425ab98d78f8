"""Every error that easearch raises on purpose: one root, a kind for each cause."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EasearchError(Exception):
    """The root: `except EasearchError` catches whatever easearch refuses."""


class RecipeError(EasearchError, ValueError):
    """A recipe or a budget says something that cannot be meant."""


class GraphError(EasearchError, ValueError):
    """A model cannot be traced, or a move does not fit its graph."""


class BudgetError(EasearchError, ValueError):
    """A limit cannot be read, or cannot be met."""


class DeviceError(EasearchError, RuntimeError):
    """A device cannot be reached or measured."""


class DataError(EasearchError, ValueError):
    """Data is missing, or is not what its name promises."""


class ScoringError(EasearchError, ValueError):
    """Batches, loss or criterion do not allow a score."""


class ScoringWarning(UserWarning):
    """A scoring whose outcome should not be trusted."""


class FileFormatError(EasearchError, ValueError):
    """A saved file is damaged, incomplete, or not one of ours."""


class ExportError(EasearchError, RuntimeError):
    """The exported file is not the model that was given."""


class MissingExtraError(EasearchError, ImportError):
    """An optional dependency is needed and not installed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant: `did you mean 'unit'?`, or list them all."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}." if names else "none is known."
