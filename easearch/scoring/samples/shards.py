"""Sums over the ranks of a torch.distributed run, each of which scores a shard of the samples.

Without a process group, or with one rank, everything is as it is. Every rank ends with the same
bits: the sums are taken once, on the first rank, and handed to all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from easearch.errors import ScoringError


def alone() -> bool:
    """Whether this process scores by itself."""
    return not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)


def summed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Every tensor's sum over the ranks: in double precision, of the same type as before."""
    if alone() or not tensors:
        return list(tensors)
    flat = torch.cat([tensor.detach().double().flatten() for tensor in tensors])
    dist.reduce(flat, dst=0)
    dist.broadcast(flat, src=0)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    return [part.reshape(t.shape).to(t.dtype) for part, t in zip(parts, tensors, strict=True)]


def total(number: int, device: torch.device | str) -> int:
    """A count's sum over the ranks."""
    (found,) = summed([torch.tensor(float(number), dtype=torch.float64, device=device)])
    return int(found)


def together(work: Callable[[], list[Tensor]], device: torch.device) -> list[Tensor]:
    """What the ranks' work adds up to. One rank's failure is everybody's: none waits for it.

    Raises:
        ScoringError: on every rank, if the work of any raised it.
    """
    if alone():
        return work()
    failure: ScoringError | None = None
    found: list[Tensor] = []
    try:
        found = work()
    except ScoringError as error:
        failure = error
    failed = total(failure is not None, device)
    if failure is not None:
        raise failure
    if failed:
        raise ScoringError(f"scoring failed on {failed} other rank(s); their messages say why")
    return summed(found)
