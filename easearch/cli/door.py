"""The one place where errors become sentences and exit statuses."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from easearch.cli.output import print_json
from easearch.errors import EasearchError, printable

TRACEBACK_VARIABLE = "EASEARCH_TRACEBACK"
"""Set it to see where an unexpected error comes from."""
INTERRUPTED = 130
LONGEST = 640
"""Characters of a sentence."""


def run(app: typer.Typer, words: Sequence[str]) -> int:
    """Run the application; whatever is raised ends as one sentence and a status."""
    with _warnings_on_one_line():
        return _run(app, words)


def _run(app: typer.Typer, words: Sequence[str]) -> int:
    as_json = "--json" in words
    try:
        status = app(args=list(words), prog_name="easearch", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except SystemExit:
        return _refuse("ended from within, by code that was imported (SystemExit).", as_json)
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
    return printable(text)


def _is_usage(error: Any) -> bool:
    # some versions of typer bring their own click: the class to ask for has no one place
    return callable(getattr(error, "format_message", None)) and hasattr(error, "exit_code")


def _refuse_usage(error: Any, as_json: bool) -> int:
    """Say what is wrong with the words of the command line, and where its help is."""
    text = printable(error.format_message()).rstrip(".").replace("Input should be", "expected")
    extra = re.fullmatch(r"Got unexpected extra argument\S* \((.*)\)", text)
    if extra is not None:
        text = f"Expected no more words, got {extra[1]}"
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "easearch"
    return _refuse(f"{text}; see {command} --help", as_json, int(error.exit_code))


def _refuse(text: str, as_json: bool, status: int = 1) -> int:
    text = printable(text, LONGEST)
    if as_json:
        print_json({"error": text})
    print(f"easearch: {text}", file=sys.stderr)
    return status


class _OneLine(logging.Formatter):
    """Warnings as a terminal may show them: what they quote comes from files and devices."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextlib.contextmanager
def _warnings_on_one_line() -> Iterator[None]:
    log, handler = logging.getLogger("easearch"), logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_OneLine())
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
