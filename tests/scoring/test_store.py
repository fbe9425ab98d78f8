"""Room between passes: copies are what they were, never more than there is, and it comes back."""

from __future__ import annotations

import gc

import pytest
import torch

from easearch.scoring.samples import store
from easearch.scoring.samples.store import Room


def given() -> list[torch.Tensor]:
    x = torch.randn(2, 3, 4, 5)
    return [
        x,
        x.contiguous(memory_format=torch.channels_last),
        x.double(),
        torch.arange(7),
        x[:, 1:],
        x > 0,
    ]


def test_copies_are_equal_and_lie_alike() -> None:
    for tensor, copy in zip(given(), Room(1e9).copies(given()) or [], strict=True):
        assert tensor.shape == copy.shape
        assert tensor.dtype == copy.dtype
        assert copy.is_contiguous(memory_format=torch.channels_last) or copy.is_contiguous()
    tensors = given()
    copies = Room(1e9).copies(tensors)
    assert copies is not None
    assert all(torch.equal(a, b) for a, b in zip(tensors, copies, strict=True))
    for tensor in tensors:
        tensor.zero_()
    assert copies[0].abs().sum() > 0


def test_there_is_no_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BLOCK", 256)
    room, one = Room(1000.0), torch.zeros(60)
    assert room.copies([one] * 5) is None
    gc.collect()
    assert room.left >= 1000.0 - 256
    held = [room.copies([one]) for _ in range(4)]
    assert all(copy is not None for copy in held[:3])
    assert held[3] is None
    storages = {c[0].untyped_storage().data_ptr(): c[0].untyped_storage() for c in held if c}
    assert sum(s.nbytes() for s in storages.values()) <= 1000


def test_what_is_let_go_of_comes_back() -> None:
    room = Room(2.0 * store.BLOCK)
    large = torch.zeros(store.BLOCK // 4 + 1)
    first = room.copies([large])
    assert first is not None
    assert room.copies([large]) is None
    del first
    room.copies([torch.zeros(1)])  # the block at hand is another one now
    gc.collect()
    assert room.left >= 0
    assert Room(0.0).copies([torch.zeros(1)]) is None
    assert not Room(3.0).take(4)
