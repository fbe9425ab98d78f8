"""Names that become names of folders: of a run, a study, a device."""

from __future__ import annotations

import re

LONGEST = 100
"""Characters of a name."""
RULE = f"letters, digits, '-', '_' and '.', a letter or digit first, {LONGEST} characters at most"
"""`is_name` in words."""
_NAME = re.compile(r"[^\W_][\w.-]*")
_OTHER = re.compile(r"[^\w.-]+")


def is_name(text: str) -> bool:
    """Whether a text may be such a name: letters, digits, `-_.`, a letter or digit first."""
    return len(text) <= LONGEST and _NAME.fullmatch(text) is not None


def name_of(text: str) -> str:
    """A name made of any text, such as that of a file: what no name has becomes `-`."""
    return _OTHER.sub("-", text).lstrip("-._")[:LONGEST] or "run"
