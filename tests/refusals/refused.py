"""What a refusal is: one sentence on one line, a status other than 0, and nothing half-written.

Test files here hold rows, a bad input each, and check them with one of two calls:
`refused(words, folder)` runs a command in this process, `raised(call)` runs a Python callable.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from easearch.cli import main
from easearch.errors import EasearchError

LONGEST = 700
"""Characters of a sentence; what a user wrote is cut in it."""
FOREIGN = ("Traceback", "unexpected", "easearch/", "site-packages", "<class", "<function", " at 0x")
"""What only a programmer could read, or would look for."""
PREFIX = "easearch: "


def check_sentence(text: str) -> str:
    """The text, if it is one sentence on one line that a person can read."""
    assert text.strip(), "expected a sentence, got nothing"
    assert "\n" not in text, text
    controls = {one for one in text if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert not controls, (controls, text)
    found = [word for word in FOREIGN if word in text]
    assert not found, f"{found} in: {text}"
    assert len(text) <= LONGEST, f"{len(text)} characters: {text}"
    return text


def refused(
    words: Sequence[str | Path],
    folder: Path,
    *says: str,
    leaves: Collection[str] = (),
    status: int | None = None,
) -> str:
    """Run `easearch WORDS` in a folder and check that it is refused as it should be.

    Args:
        words: of the command line, without `easearch`.
        folder: where it runs; must be as before when it ends.
        says: regular expressions that the sentence matches, each.
        leaves: names in the folder that may come to be or change (a cache, a run that is kept).
        status: the exit status, where it matters which; otherwise any but 0.

    Returns:
        The sentence, without `easearch: `.
    """
    before, words = listing(folder, leaves), [str(word) for word in words]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), _captured(out, err):
        got = main(words)
    shown = err.getvalue()
    assert got != 0, f"accepted: {words}: {out.getvalue()[:500]}"
    assert status is None or got == status, f"status {got}: {shown}"
    assert "Traceback" not in shown and "\x1b" not in shown, shown
    lines = shown.rstrip("\n").split("\n")
    assert lines[-1].startswith(PREFIX), f"expected a last line that is the sentence, got: {shown}"
    assert sum(line.startswith(PREFIX) for line in lines) == 1, shown
    text = check_sentence(lines[-1].removeprefix(PREFIX))
    _check_says(text, says)
    assert listing(folder, leaves) == before, "the folder is not as it was"
    return text


def raised(
    call: Callable[[], Any],
    *says: str,
    kind: type[EasearchError] | tuple[type[EasearchError], ...] = EasearchError,
    folder: Path | None = None,
    leaves: Collection[str] = (),
) -> str:
    """Call something and check that it raises an `EasearchError` of this kind, in one sentence.

    Args:
        call: of no arguments.
        says: regular expressions that the sentence matches, each.
        kind: of error.
        folder: must be as before when it ends, where there is one.
        leaves: names in the folder that may change.
    """
    before = listing(folder, leaves) if folder is not None else None
    with pytest.raises(EasearchError) as caught:
        call()
    assert isinstance(caught.value, kind), repr(caught.value)
    text = check_sentence(str(caught.value))
    _check_says(text, says)
    if folder is not None:
        assert listing(folder, leaves) == before, "the folder is not as it was"
    return text


def listing(folder: Path, leaves: Collection[str] = ()) -> dict[str, str]:
    """What lies in a folder: path -> kind and contents. Links are not followed."""
    return {
        path.relative_to(folder).as_posix(): _told(path)
        for path in _walk(folder)
        if path.relative_to(folder).parts[0] not in leaves
    }


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink() and os.access(path, os.R_OK | os.X_OK):
            yield from _walk(path)


def _told(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    if stat.S_ISREG(mode):
        readable = os.access(path, os.R_OK)
        return hashlib.sha256(path.read_bytes()).hexdigest() if readable else "unreadable"
    return stat.filemode(mode)[0]


def _check_says(text: str, says: Sequence[str]) -> None:
    missing = [one for one in says if re.search(one, text) is None]
    assert not missing, f"expected {missing} in: {text}"


@contextlib.contextmanager
def _captured(out: io.StringIO, err: io.StringIO) -> Iterator[None]:
    """Both streams of this process, and what is logged."""
    handler = logging.StreamHandler(err)
    root = logging.getLogger("easearch")
    root.addHandler(handler)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        root.removeHandler(handler)
