"""Claims: which process works on which entry. A claim is a file that can be made once; one whose
process has died is taken over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

CLAIM, GUARD = ".claim", ".claims"


@contextlib.contextmanager
def claimed(folder: Path, out: Path) -> Iterator[bool]:
    """Whether this process has the entry's folder to itself, while the block lasts.

    Claims of processes that have died are taken over on their own host; of another host nothing
    can be known here: take the file away by hand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CLAIM
    mine = _made(path) or _taken_over(path, out)
    try:
        yield mine
    finally:
        if mine:
            path.unlink(missing_ok=True)


def _made(path: Path) -> bool:
    """Make the file with all that it says at once; False where there is one."""
    draft = path.with_name(f"{CLAIM}.{socket.gethostname()}.{os.getpid()}")
    content = {"pid": os.getpid(), "host": socket.gethostname(), "began": _began(os.getpid())}
    draft.write_text(json.dumps(content), encoding="utf-8")
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _taken_over(path: Path, out: Path) -> bool:
    """Make the claim in place of a dead one. One process of the host at a time looks: else two
    could find the same dead claim, and the second would take away the first's new one.
    """
    with (out / GUARD).open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not _dead(path):
            return False
        path.unlink(missing_ok=True)
        return _made(path)


def _dead(path: Path) -> bool:
    try:
        claim = json.loads(path.read_text(encoding="utf-8"))
        pid, host, began = int(claim["pid"]), claim["host"], claim.get("began")
    except FileNotFoundError:  # it was let go of meanwhile
        return True
    except (ValueError, KeyError, TypeError):
        return True
    if host != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return began is not None and _began(pid) != began  # another process with a number used again


def _began(pid: int) -> str | None:
    """When a process began, in the system's own ticks; None where that is not told."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return told.rpartition(")")[2].split()[19]
