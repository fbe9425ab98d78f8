"""The report of a run: tables, figures and the HTML page that holds them."""

from __future__ import annotations

from pathlib import Path


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder and return its path; see `page.write_report`."""
    # Only now: numbers are formatted all over the CLI, and matplotlib is slow to import.
    from easearch.reporting import page

    return page.write_report(run)


__all__ = ["write_report"]
