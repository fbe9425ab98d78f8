"""Data that several files of tests look at, read once."""

from __future__ import annotations

import pytest

from easearch.data import Dataset, load


@pytest.fixture(scope="session")
def mini() -> Dataset:
    return load("fashion-mnist-mini")
