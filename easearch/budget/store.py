"""Where measurements live between runs: a folder a host and runtime; writes are atomic."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from platformdirs import user_cache_dir

CACHE_VARIABLE = "EASEARCH_CACHE"


def cache_folder() -> Path:
    """The user's cache of measurements: `$EASEARCH_CACHE`, else the platform's own place."""
    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_dir("easearch"))


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        draft.chmod(0o644)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
