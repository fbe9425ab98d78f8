"""Two networks run on one input, with everything that they draw at random the same in both."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from easearch.structures import Structure, call
from easearch.tracing.recording import quiet

DROPPING = ("Dropout", "StochasticDepth", "DropPath", "DropBlock", "RReLU")
"""How names of modules begin that draw in training mode."""


class Constants(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What is drawn at random becomes a constant, whatever the shape asked for."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operator; a drawing one gives ones, halves, zeros or numbers in order."""
        found = func(*args, **(kwargs or {}))
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return found
        name = func._schema.name.split("::")[-1]
        if name == "native_dropout":
            return args[0].clone(), torch.ones_like(found[1])
        for one in found if isinstance(found, tuple | list) else (found,):
            if isinstance(one, Tensor):
                _fill(name, one)
        return found


def _fill(name: str, drawn: Tensor) -> None:
    if "bernoulli" in name:
        drawn.fill_(1)
    elif "randperm" in name:
        drawn.copy_(torch.arange(drawn.numel()).view_as(drawn))
    else:
        drawn.fill_(0.5 if drawn.is_floating_point() else 0)


class Run:
    """A network and a wider one, in one mode."""

    def __init__(self, one: nn.Module, other: nn.Module, training: bool) -> None:
        self._pair, self._training = (one, other), training
        self._dtypes = [{id(t): t.dtype for t in _floating(m)} for m in self._pair]
        named = any(type(m).__name__.startswith(DROPPING) for m in one.modules())
        device = next((t.device.type for t in _floating(one)), "cpu")
        self._draws = device != "cpu" or (training and named)

    def outputs(self, inputs: Structure) -> tuple[Structure, Structure] | None:
        """What both give; None where one of them does not run."""
        try:
            with quiet(), torch.no_grad():
                first = self._output(self._pair[0], inputs)
                return first, self._output(self._pair[1], inputs)
        except Exception:
            return None

    def double(self) -> None:
        """Both in float64."""
        for model in self._pair:
            model.double()

    def single(self) -> None:
        """Both in the precision that most of their tensors had."""
        for model, dtypes in zip(self._pair, self._dtypes, strict=True):
            kinds = list(dtypes.values())
            if kinds:
                model.to(max(set(kinds), key=kinds.count))

    def _output(self, model: nn.Module, inputs: Structure) -> Structure:
        model.train(self._training)
        if not self._draws:
            before = torch.get_rng_state()
            found = self._called(model, inputs)
            if torch.equal(before, torch.get_rng_state()):
                return found
            self._draws = True
        return self._called(model, inputs)

    def _called(self, model: nn.Module, inputs: Structure) -> Structure:
        random.seed(0)
        if (numpy := sys.modules.get("numpy")) is not None:
            numpy.random.seed(0)
        mode: Any = Constants() if self._draws else nullcontext()  # type: ignore[no-untyped-call]
        with mode:
            return call(model, inputs)


def _floating(model: nn.Module) -> Iterator[Tensor]:
    return (t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point())


@contextmanager
def fixed_state(model: nn.Module) -> Iterator[None]:
    """Afterwards every random state is what it was."""
    devices = {t.device for t in _floating(model) if t.device.type == "cuda"}
    numpy = sys.modules.get("numpy")
    states = random.getstate(), numpy.random.get_state() if numpy is not None else None
    with torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            random.setstate(states[0])
            if numpy is not None:
                numpy.random.set_state(states[1])
