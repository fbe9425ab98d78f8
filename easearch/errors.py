"""Every error that easearch raises on purpose: one root, a kind for each cause."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

_ESCAPES = re.compile(
    r"\x1b[\]PX^_].*?(?:\x07|\x1b\\)"  # titles, links
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, moves of the cursor
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
"""Sequences that a terminal obeys."""
_WRAPPERS = ("torch.onnx.", "torch._dynamo.", "torch._inductor.")
"""Modules whose errors say that a step failed; their cause says why."""
LONGEST = 240
"""Characters of a foreign message that are quoted."""
MESSAGE = 600
"""Characters of a message of ours."""
VALUE = 40
"""Characters of a value that a message shows."""


class EasearchError(Exception):
    """The root: `except EasearchError` catches whatever easearch refuses."""

    def __str__(self) -> str:
        """The message on one line, without control codes, not longer than one reads."""
        text = printable(super().__str__())
        if len(text) <= MESSAGE:
            return text
        return f"{text[: 2 * MESSAGE // 3]} ... {text[-MESSAGE // 4 :]}"


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


class FolderError(EasearchError, OSError):
    """A folder or a file cannot be written."""


class TrainingError(EasearchError, RuntimeError):
    """A training cannot go on: its loss is no finite number, or no step fits."""


class MissingExtraError(EasearchError, ImportError):
    """An optional dependency is needed and not installed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant: `did you mean 'unit'?`, or list them all."""
    names = sorted(set(known) - {name})  # what was refused is no help
    close = difflib.get_close_matches(name[:LONGEST], names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}." if names else "none is known."


def shown(value: Any, most: int = VALUE) -> str:
    """A value as messages show it: on one line, cut, numbers and texts as they were written."""
    if isinstance(value, str):
        text = printable(value[: 4 * most])
        return f"'{text}'" if len(text) <= most else f"'{text[:most]}...'"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 4 * most:
        return f"a number of about {int(value.bit_length() * 0.30103) + 1:,} digits"
    if value is None:
        return "null"
    if isinstance(value, list | tuple | dict):
        parts = _parts(value, most)
        text = f"{{{parts}}}" if isinstance(value, dict) else f"[{parts}]"
    else:
        text = printable(str(value)[: 4 * most])
    return text if len(text) <= most else f"{text[:most]}..."


def _parts(value: list[Any] | tuple[Any, ...] | dict[Any, Any], most: int) -> str:
    """The members of a list, or of names with values, as many as can be seen."""
    if most <= 0:
        return "..."
    if isinstance(value, dict):
        pairs = list(value.items())[:most]
        return ", ".join(f"{printable(str(k)[:most])}: {shown(v, most // 2)}" for k, v in pairs)
    return ", ".join(shown(one, most // 2) for one in value[:most])


def printable(text: str, limit: int | None = None) -> str:
    """The text on one line without control codes, as it can be shown in a sentence or a terminal.

    Args:
        text: anything, from a stranger too.
        limit: characters at most; what is longer ends in "...".
    """
    plain = "".join(map(_shown, _ESCAPES.sub("", text)))
    line = " ".join(plain.split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 3].rstrip()}..."


def reason_of(error: BaseException, limit: int = LONGEST) -> str:
    """What a foreign error says, to be quoted in a sentence of ours: one line, no final stop.

    Its first line with words, without control codes; that of its cause where the error says only
    which step failed; its type where it says nothing. An error of easearch says all of it.
    """
    if isinstance(error, EasearchError):  # a sentence already
        return printable(str(error)).rstrip(" .")
    while type(error).__module__.startswith(_WRAPPERS) and error.__cause__ is not None:
        error = error.__cause__
    system = error.strerror if isinstance(error, OSError) else None  # without number and file
    lines = filter(None, map(printable, str(system or error).splitlines()))
    line = next(lines, "")
    if line.endswith(":"):
        line = f"{line} {next(lines, '')}".strip()
    line = printable(line, limit).rstrip(" .:;")
    if isinstance(error, KeyError) or not line:
        return f"{type(error).__name__}: {line}" if line else type(error).__name__
    return line


def _shown(character: str) -> str:
    """The character; a space for a control code, nothing for one that changes its surroundings, a
    question mark for what no file can hold.
    """
    kind = unicodedata.category(character)
    return {"Cc": " ", "Zl": " ", "Zp": " ", "Cf": "", "Cs": "?"}.get(kind, character)
