"""The one place where errors become sentences and exit statuses."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import typer

from easearch.cli.output import print_json
from easearch.errors import EasearchError

TRACEBACK_VARIABLE = "EASEARCH_TRACEBACK"
"""Set it to see where an unexpected error comes from."""
INTERRUPTED = 130


def run(app: typer.Typer, words: Sequence[str]) -> int:
    """Run the application; whatever is raised ends as one sentence and a status."""
    as_json = "--json" in words
    try:
        status = app(args=list(words), prog_name="easearch", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except Exception as error:
        if _is_usage(error):
            return _refuse_usage(error, as_json)
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        return _refuse(sentence(error), as_json)
    if status == INTERRUPTED:
        return _refuse("interrupted; what was finished before stays.", as_json, INTERRUPTED)
    return status if isinstance(status, int) else 0


def sentence(error: Exception) -> str:
    """The error as one line for a person."""
    if isinstance(error, EasearchError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        text = f"{error.strerror}{place}"
    else:
        text = (
            f"unexpected {type(error).__name__}: {error}; "
            f"set {TRACEBACK_VARIABLE}=1 to see where it comes from."
        )
    return " ".join(text.split())


def _is_usage(error: Any) -> bool:
    # some versions of typer bring their own click: the class to ask for has no one place
    return callable(getattr(error, "format_message", None)) and hasattr(error, "exit_code")


def _refuse_usage(error: Any, as_json: bool) -> int:
    """Say what is wrong with the words of the command line, and where its help is."""
    text = " ".join(error.format_message().split()).rstrip(".")
    extra = re.fullmatch(r"Got unexpected extra argument\S* \((.*)\)", text)
    if extra is not None:
        text = f"Expected no more words, got {extra[1]}"
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "easearch"
    return _refuse(f"{text}; see {command} --help", as_json, int(error.exit_code))


def _refuse(text: str, as_json: bool, status: int = 1) -> int:
    if as_json:
        print_json({"error": text})
    print(f"easearch: {text}", file=sys.stderr)
    return status
