"""Folders that a run or a study has to itself: claimed before anything is spent.

What others put into a folder is never touched: a folder is claimed only while nothing lies in it,
links are not followed on the way back, and what is taken away again was made by the claim.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from easearch.errors import EasearchError, FolderError, RecipeError

MARK = ".easearch.json"
"""In a folder that somebody works in, or that was left unfinished; locked by who works in it."""
EMPTY = frozenset({MARK, "lost+found"})
"""What may lie in a folder that counts as empty; the second is a file system's own."""


@dataclass(kw_only=True, eq=False)
class Claim:
    """A folder that this process has to itself, until `release` or the end of the process."""

    path: Path
    made: Sequence[Path] = ()
    """Folders that were made for it, outermost first."""
    handle: int
    files: list[str] = field(default_factory=list)
    """Names of files that were written into it, to be taken away by `undo`."""

    def note(self, **facts: object) -> None:
        """Write into the mark what became of the folder."""
        told = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            **facts,
        }
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, (json.dumps(told, allow_nan=False) + "\n").encode(), 0)

    def release(self) -> None:
        """Take the mark away and let go; a folder that was made and is still empty goes too."""
        (self.path / MARK).unlink(missing_ok=True)
        self.leave()
        for folder in reversed(self.made):
            with contextlib.suppress(OSError):
                folder.rmdir()  # where nothing was written into it

    def leave(self) -> None:
        """Let go; the mark stays, and says that the folder is unfinished."""
        os.close(self.handle)

    def undo(self) -> None:
        """Take away what was made, as far as nobody put anything into it."""
        with contextlib.suppress(OSError):
            for name in self.files:
                (self.path / name).unlink(missing_ok=True)
            for left in [*self.path.glob("stage-*"), *self.path.glob("limit-*")]:
                with contextlib.suppress(OSError):
                    left.rmdir()  # of a network that could not be written: it is empty
        self.release()


def claim(path: Path) -> Claim:
    """Claim a folder that is empty or not there yet.

    Raises:
        RecipeError: something lies there, or another process works in it.
        FolderError: it cannot be made or written.
    """
    with writing(path):
        made = _make(path)
        try:
            return _claimed(path, made)
        except BaseException:
            for folder in reversed(made):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise


def claim_numbered(folder: Path, name: str) -> Claim:
    """Claim `<name>-<number>` in a folder, with the first number that is free."""
    number = 1
    while True:
        path = folder / f"{name}-{number}"
        if not os.path.lexists(path):
            with contextlib.suppress(RecipeError):  # another process was first
                return claim(path)
        number += 1


def lock(folder: Path) -> Claim:
    """Have a folder to oneself, whatever lies in it.

    Raises:
        RecipeError: another process works in it.
        FolderError: it cannot be made or written.
    """
    with writing(folder):
        made = _make(folder)
        return Claim(path=folder, made=made, handle=_locked(folder))


def unfinished(folder: Path) -> list[Path]:
    """The folders in this one that were begun, are not finished, and that nobody works in."""
    try:
        inside = sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink())
    except OSError:
        return []
    return [one for one in inside if (one / MARK).is_file() and not _busy(one / MARK)]


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses of this place, as a sentence; other errors pass.

    Raises:
        FolderError: with the system's reason.
    """
    try:
        yield
    except EasearchError:
        raise
    except OSError as error:
        place = Path(os.fsdecode(error.filename)) if error.filename else path
        near = place.is_relative_to(path) or path.is_relative_to(place)
        if not near or (not error.filename and error.errno not in FULL):
            raise
        reason = error.strerror or str(error)
        hint = "free some space" if error.errno in FULL else "choose another folder"
        raise FolderError(f"cannot write '{place}': {reason}; {hint}") from error
    except ValueError as error:  # a NUL in a name
        if "embedded null" not in str(error):
            raise
        raise FolderError(
            f"expected the path of a folder, got {str(path)!r} with a NUL in it; choose another"
        ) from None


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def _make(path: Path) -> list[Path]:
    """Make a folder and those above it; those that were not there."""
    missing = []
    for one in (path, *path.parents):
        if os.path.lexists(one):
            break
        missing.append(one)
    made: list[Path] = []
    try:
        for one in reversed(missing):
            with contextlib.suppress(FileExistsError):  # made by another process meanwhile
                one.mkdir()
                made.append(one)
    except BaseException:
        for one in reversed(made):
            with contextlib.suppress(OSError):
                one.rmdir()
        raise
    if not path.is_dir():
        raise RecipeError(
            f"expected a folder that is empty or not there, got {path}, which is "
            f"{'a link to nothing' if path.is_symlink() else 'no folder'}; choose another"
        )
    return made


def _claimed(path: Path, made: Sequence[Path]) -> Claim:
    if not _empty(path):
        raise RecipeError(
            f"expected a folder that is empty or not there, got {path}; choose another"
        )
    found = Claim(path=path, made=made, handle=_locked(path))
    if not _empty(path):  # another process was here and has gone
        found.leave()
        raise RecipeError(
            f"expected a folder that is empty or not there, got {path}; choose another"
        )
    try:
        found.note()
    except BaseException:
        found.release()
        raise
    return found


def _empty(path: Path) -> bool:
    return all(one.name in EMPTY for one in path.iterdir())


def _locked(folder: Path) -> int:
    """A handle on the folder's mark, which is this process's alone."""
    mark = folder / MARK
    while True:
        handle = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            _flock(handle)
        except BlockingIOError:
            os.close(handle)
            raise RecipeError(
                f"another process is at work in {folder}; wait for it, or choose another folder"
            ) from None
        if _same(handle, mark):
            return handle
        os.close(handle)  # who had it took it away between our two looks


def _flock(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise  # else: a file system without locks, where nobody can be told apart


def _same(handle: int, mark: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(mark))
    except FileNotFoundError:
        return False


def _busy(mark: Path) -> bool:
    try:
        handle = os.open(mark, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
