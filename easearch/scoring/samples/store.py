"""Memory for what is kept between passes: so many bytes and no more, in few large blocks.

A tensor of its own for every field makes the system hand out fresh pages of 4 kB one by one, which
takes longer than the arithmetic that fills them (reports/scoring/README.md). numpy asks for large
pages where a block is large enough.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

BLOCK = 2**24
"""Bytes of a block; a larger tensor has one of its own size."""
ALIGNED = 64
"""Bytes: a tensor begins at a multiple."""


class Room:
    """Bytes that may be held between passes; what is let go of comes back."""

    def __init__(self, memory: float) -> None:
        self.left = memory
        self._block = torch.empty(0, dtype=torch.uint8)
        self._used = 0

    def take(self, size: float) -> bool:
        """Whether there was room; then it is taken, for good."""
        fits = size <= self.left
        self.left -= size if fits else 0
        return fits

    def copies(self, tensors: Sequence[Tensor]) -> list[Tensor] | None:
        """The same numbers and strides in the room; None where they do not fit."""
        found: list[Tensor] = []
        for tensor in tensors:
            place = self._place(tensor)
            if place is None:
                return None
            found.append(place.copy_(tensor))
        return found

    def _place(self, tensor: Tensor) -> Tensor | None:
        strides = torch.empty_like(tensor, device="meta").stride()
        size = tensor.numel() * tensor.element_size()
        if self._used + size > len(self._block) or self._block.device != tensor.device:
            block = self._new(size, tensor.device)
            if block is None:
                return None
            self._block, self._used = block, 0
        flat = self._block[self._used : self._used + size].view(tensor.dtype)
        self._used += -(-size // ALIGNED) * ALIGNED
        return flat.as_strided(tensor.shape, strides, flat.storage_offset())

    def _new(self, size: int, device: torch.device) -> Tensor | None:
        if size > self.left:
            return None
        length = int(max(size, min(BLOCK, self.left)))
        self.left -= length
        if device.type != "cpu":
            block = torch.empty(length, dtype=torch.uint8, device=device)
            weakref.finalize(block.untyped_storage(), self._back, length)
            return block
        array = np.empty(length, dtype=np.uint8)
        weakref.finalize(array, self._back, length)
        return torch.from_numpy(array)

    def _back(self, size: int) -> None:
        self.left += size
