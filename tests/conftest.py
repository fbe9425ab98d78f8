"""Tests run stricter than users: a cache of their own, float64 for laws, fixed seeds."""

from __future__ import annotations

import os
import tempfile

import pytest
import torch

os.environ["EASEARCH_CACHE"] = tempfile.mkdtemp(prefix="easearch-tests-")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
