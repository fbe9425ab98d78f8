"""Tables as text: columns aligned, a rule under the head."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], words: int | None = None) -> list[str]:
    """Lines of equal columns, the second a rule.

    Args:
        rows: the head first.
        words: how many columns are set to the left; the rest are numbers. None: all.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if words is None or i < words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]
