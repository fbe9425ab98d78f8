"""Plain eager torch as a runtime: on a CUDA GPU, or on this machine's CPU.

For networks that will run under torch itself. Nothing is compiled or captured: a small network
takes as long as Python and the launches take, as it will there.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from easearch.budget.devices import runner
from easearch.budget.devices.host import Host
from easearch.budget.devices.timing import Model, Timing
from easearch.budget.devices.torch_program import Program
from easearch.errors import DeviceError


@dataclass(frozen=True, kw_only=True)
class Torch:
    """Plain torch in this process. `provider` is "cuda", "cuda:1", ... or "cpu"."""

    threads: int = 1
    provider: str = "cuda"

    def facts(self) -> Host:
        """The GPU, or this machine's processor.

        Raises:
            DeviceError: there is no such GPU.
        """
        return torch_host(self.threads, self.provider)

    def time(
        self,
        models: Sequence[Model],
        *,
        rounds: int = 12,
        sessions: int = 1,
        sample: Sequence[int] | None = None,
        cold: bool = False,
    ) -> list[Timing]:
        """See `Stopwatch`. A run ends when the GPU has finished it."""
        device = torch_device(self.provider)
        with torch.inference_mode(), threads_set(self.threads):
            answers = runner.in_turns(
                [str(one) if isinstance(one, Path) else one for one in models],
                lambda model: _call(Program(model, device, sample)),
                rounds=rounds,
                sessions=sessions,
                evict=_evict(device) if cold else None,
            )
        return [Timing.of(one) for one in answers]


def torch_device(provider: str) -> torch.device:
    """The torch device of that name.

    Raises:
        DeviceError: it is no name of a CPU or a CUDA GPU, or there is no such GPU.
    """
    if not re.fullmatch(r"cpu|cuda(:\d+)?", provider):
        raise DeviceError(
            f"expected `provider: cuda` or `provider: cpu` with `reach: torch`, got '{provider}'"
        )
    device, there = torch.device(provider), torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= there:
        raise DeviceError(
            f"expected a CUDA GPU for `provider: {provider}`, torch {torch.__version__} sees "
            f"{there or 'none'} here; use `provider: cpu`, or a CUDA build of torch on a machine "
            "with the GPU"
        )
    return device


@cache
def torch_host(threads: int = 1, provider: str = "cuda") -> Host:
    """The GPU or processor, with torch set up so.

    Raises:
        DeviceError: there is no such GPU.
    """
    device = torch_device(provider)
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        cpu = torch.cuda.get_device_name(device)
        instructions = ["sm_" + "".join(map(str, capability))]
    else:
        found = runner.processor()
        cpu, instructions = found["cpu"], found["instructions"]
    return Host(
        cpu=cpu,
        instructions=tuple(instructions),
        threads=threads,
        runtime=f"torch {torch.__version__}",
        provider=provider,
    )


@contextlib.contextmanager
def threads_set(threads: int) -> Iterator[None]:
    """As many threads of torch on the CPU, until the end of the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _call(program: Program) -> Callable[[], None]:
    wait = _waiting(program.device)

    def call() -> None:
        program.run()
        wait()

    call()
    return call


def _waiting(device: torch.device) -> Callable[[], None]:
    """What waits until the device has nothing left to do."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


def _evict(device: torch.device) -> Callable[[], None]:
    """What empties the device's caches."""
    if device.type != "cuda":
        return runner.evict
    cached = torch.cuda.get_device_properties(device).L2_cache_size
    walk = torch.zeros(max(runner.EVICTED, 2 * cached), dtype=torch.uint8, device=device)
    wait = _waiting(device)

    def evict() -> None:
        walk.add_(1)
        wait()

    return evict
