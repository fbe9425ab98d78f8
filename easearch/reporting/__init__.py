"""The report of a run: tables, figures and the HTML page that holds them."""

from __future__ import annotations

from pathlib import Path


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder and return its path; see `page.write_report`, and
    `front.write_report` for a run of several limits.
    """
    # Only now: numbers are formatted all over the CLI, and matplotlib is slow to import.
    from easearch.reporting import front, page
    from easearch.reporting.reading import is_front

    return front.write_report(run) if is_front(Path(run)) else page.write_report(run)


__all__ = ["write_report"]
