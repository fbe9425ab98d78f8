"""What new channels' norms would have measured: the statistics of their own inputs on the data.

Without them a new neuron changes as soon as the norms are recalibrated after its growth, and its
gain with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from easearch.checks.batches import outputs_of
from easearch.errors import ScoringError
from easearch.roles import Batches
from easearch.scoring.overgrown.network import Overgrown
from easearch.scoring.samples.shards import together


class _Norm:
    """One batch norm of the wide network, and which of its entries are new channels'."""

    def __init__(self, path: str, over: Overgrown, tensors: dict[str, Tensor]) -> None:
        self.mean, self.var = (f"{path}.{name}" for name in ("running_mean", "running_var"))
        fed = over.fed[self.mean]
        self.channels = fed.coefficient.nonzero()[:, 0]
        self.numbers = [over.fed[key].index[self.channels].long() for key in (self.mean, self.var)]
        self._tensors = tensors
        self.sums = torch.zeros(
            3, len(self.channels), dtype=torch.float64, device=self.channels.device
        )
        """Of values, of their squares, and how many there were."""

    def see(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Before the norm runs: count its input in, and let it run with what is known by then."""
        own = inputs[0].index_select(1, self.channels).movedim(1, 0).flatten(1)
        var, mean = torch.var_mean(own.double(), dim=1, correction=0)
        counts = torch.full_like(mean, own.shape[1])
        self.sums += torch.stack([counts * mean, counts * (var + mean.square()), counts])
        for key, value in zip((self.mean, self.var), self.found(self.sums), strict=True):
            self._tensors[key][self.channels] = value.to(self._tensors[key])

    def found(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each new channel, the latter as torch's norms measure it."""
        total, squares, counts = sums
        mean = total / counts
        var = (squares / counts - mean.square()).clamp(min=0) * counts / (counts - 1).clamp(min=1)
        return mean, var


def measured(over: Overgrown, numbers: Tensor, batches: Batches) -> Tensor:
    """The numbers (n,) with the statistics of all new channels as the data give them.

    In the order of execution, so that a norm behind another sees it as it will be. New channels
    count alone; what was there before keeps its own.
    """
    tensors = over.tensors(numbers)
    norms = {module: _Norm(path, over, tensors) for path, module in _with_new_channels(over)}
    if not norms:
        return numbers

    def work() -> list[Tensor]:
        with ExitStack() as stack, torch.no_grad():
            for module, norm in norms.items():
                stack.enter_context(module.register_forward_pre_hook(norm.see))
            for inputs, _ in batches:
                outputs_of(over.model, inputs, tensors)
        return [norm.sums for norm in norms.values()]

    result = numbers.clone()
    for norm, sums in zip(norms.values(), together(work, numbers.device), strict=True):
        if not bool((sums[2] > 0).all()):
            raise ScoringError(
                f"expected every norm to run in every forward pass, '{norm.mean}' did not; give "
                "batches that reach it"
            )
        for index, value in zip(norm.numbers, norm.found(sums), strict=True):
            result[index] = value.to(result)
    return result


def _with_new_channels(over: Overgrown) -> Iterator[tuple[str, nn.Module]]:
    for path, module in over.model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            if {f"{path}.running_mean", f"{path}.running_var"} <= over.fed.keys():
                yield path, module
