"""Where a comparison lies: `OUT/terms.json`, a folder an arm, in it a folder a seed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easearch import untrusted
from easearch.comparing.words import parted
from easearch.errors import FileFormatError

TERMS = "terms.json"
ENTRY = "entry.json"
"""Written last: an entry whose folder has it is done."""
FAILED = "failed.json"
"""Why an entry failed; the next call tries it again."""
PAGE, RESULTS = "comparison.html", "results.json"
EVIDENCE = "evidence.json"
"""What the report of a run shows of it, where a recipe's `evidence` names it."""


@dataclass(frozen=True, kw_only=True, order=True)
class Entry:
    """One arm at one seed."""

    seed: int
    arm: str
    """With what stands behind its colon."""

    @property
    def name(self) -> str:
        """Of the arm alone."""
        return self.arm.partition(":")[0]

    @property
    def said(self) -> str | None:
        """What stands behind the colon; None where there is none."""
        _, colon, said = self.arm.partition(":")
        return said if colon else None

    @property
    def option(self) -> str | None:
        """What of it the arm reads."""
        return None if self.said is None else parted(self.said)[0]

    @property
    def own(self) -> tuple[str, ...]:
        """The words of it that say how this arm alone is trained."""
        return () if self.said is None else parted(self.said)[1]

    def folder(self, out: Path) -> Path:
        """Where it lies; no colon and the like, which not every file system takes."""
        return out / re.sub(r"[^\w.,=+\[\]-]", "-", self.arm) / f"seed-{self.seed}"

    def done(self, out: Path) -> bool:
        """Whether it has its result."""
        return (self.folder(out) / ENTRY).exists()

    def failed(self, out: Path) -> bool:
        """Whether it was given up in this call."""
        return (self.folder(out) / FAILED).exists()

    def __str__(self) -> str:
        """`grow, seed 3`."""
        return f"{self.arm}, seed {self.seed}"


def part_folder(folder: Path, number: int, count: int) -> Path:
    """Where the files of one of an entry's networks lie: in the entry's folder, or in one of their
    own, `limit-1`, where there are several.

    Args:
        folder: the entry's.
        number: which of its limits, counted from 0.
        count: how many there are.
    """
    return folder if count == 1 else folder / f"limit-{number + 1}"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        FileFormatError: it is damaged.
    """
    try:
        content = untrusted.read_json(path)
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"{path}: expected a JSON object, got {error}; take the file away, and what it held is "
            "made anew"
        ) from None
    if not isinstance(content, dict):
        raise FileFormatError(f"{path}: expected a JSON object, got a {type(content).__name__}")
    return content


def entries_in(out: Path) -> list[dict[str, Any]]:
    """The results of all entries that are done, by seed and arm."""
    found = [read_json(path) for path in sorted(out.glob(f"*/seed-*/{ENTRY}"))]
    return sorted(found, key=lambda one: (one["seed"], one["arm"]))
