"""Counts the bad inputs that were tried: a passed row is one, told by the file that holds it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print `refusals: 60 in test_recipes, ...: 170 in all`."""
    passed = terminalreporter.stats.get("passed", ())
    files = Counter(
        Path(one.nodeid.partition("::")[0]).stem
        for one in passed
        if "tests/refusals/" in one.nodeid
    )
    if files:
        told = ", ".join(f"{count} in {name}" for name, count in sorted(files.items()))
        terminalreporter.write_line(f"refusals: {told}: {files.total()} in all")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No row finds what another one left."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("EASEARCH_CACHE", str(folder))
    return folder
