"""A whole run folder, for the tests that read or break it."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_folder import write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")
