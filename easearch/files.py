"""Files that stand in their place whole or not at all, with the rights that a new file has."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a folder (made if missing): all drafts first, then each in its place.

    Raises:
        OSError: the folder cannot be made or written; no draft and no new folder is left then.
    """
    made = _missing(folder)
    drafts = {name: folder / f".{name}.{secrets.token_hex(4)}.tmp" for name in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with drafts[name].open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name, draft in drafts.items():
            draft.replace(folder / name)
    except BaseException:
        for draft in drafts.values():
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        for one in made:  # only those that are empty go
            with contextlib.suppress(OSError):
                one.rmdir()
        raise


def _missing(folder: Path) -> list[Path]:
    """The folders on the way that are not there yet, innermost first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]
