"""The training batches of a run as one endless row: epoch after epoch, each in its own order.

The n-th batch of a seed is the same whatever is trained on it, and wherever a growth falls.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from easearch.growth.training import Feed


def stream(feed: Feed, start: int, count: int) -> Iterator[tuple[Any, Any]]:
    """`count` batches from number `start` on."""
    while count > 0:
        epoch, first = divmod(start, feed.steps)
        here = min(count, feed.steps - first)
        yield from islice(feed.training(epoch), first, first + here)
        start, count = start + here, count - here


def step_compute(macs: float, feed: Feed) -> float:
    """Multiply-adds of one training step: three forward passes of every sample in it."""
    return 3.0 * macs * feed.samples / feed.steps
