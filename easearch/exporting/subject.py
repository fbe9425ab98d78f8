"""What is exported: a copy of a model as a function of tensors with names, and what it computes.

The copy is in float32, on the CPU, in torch's plain layout (channels last leaves transposes in the
file), in evaluation mode. What it gives on batches of several sizes is what a file is held against.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from easearch.errors import EasearchError, ExportError, reason_of
from easearch.exporting.parity import (
    Parity,
    Values,
    arrays,
    batched,
    check_inputs,
    check_output,
)
from easearch.reparametrized import copied, plain
from easearch.structures import Structure, leaves, mapped
from easearch.tracing.flat import Flat, Hole, described

BATCH_SIZES = (1, 2, 5)
"""Sizes at which a file is compared, where the model leaves them free."""
INPUT, OUTPUT = "input", "output"
"""Names of a single tensor that has none."""
REPEATED = 1e-6
"""Outputs that differ by more from one call to the next are random."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A model made ready for export.

    Attributes:
        name: the model's type.
        flat: the model as a function of tensors; `flat.module` is exported.
        sample: its input tensors; `inputs` and `outputs` are the names in the file.
        free: whether the first axis of each input is the batch.
        sizes: batch sizes at which it runs: the sample's own alone where it accepts no other.
        checks: inputs and what the model gives for them; the first are the sample.
    """

    name: str
    flat: Flat
    sample: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    free: tuple[bool, ...]
    sizes: tuple[int, ...]
    checks: Sequence[tuple[tuple[Tensor, ...], Values]]

    @property
    def fixed(self) -> bool:
        """Whether the model accepts one batch size alone."""
        return len(self.sizes) == 1

    def run(self, values: Sequence[Tensor]) -> dict[str, Any]:
        """The model's outputs by name."""
        return arrays(self.outputs, _run(self.flat, values))


def subject(model: nn.Module, sample: Structure) -> Subject:
    """The model made ready, and run on checks; the random state is left as it was.

    Raises:
        ExportError: it does not run on the sample, gives no numbers to compare, or draws random
            ones.
    """
    with _random_state_kept():
        try:
            body = copied(plain(model)).cpu().float().eval()
            body.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            given = mapped(_plain, sample)
            flat = Flat(body, given, (Tensor,))
            values = flat.inputs.of(given)
            first = _run(flat, values)
        except EasearchError as error:
            raise ExportError(str(error)) from error
        except Exception as error:
            raise ExportError(
                f"the model does not run on {described(sample)}: {reason_of(error)}; give a sample "
                "of the size and type that the model was made for"
            ) from error
        inputs, outputs = _names(sample, flat)
        if not outputs:
            raise ExportError(
                "expected a model that gives tensors, got "
                f"{described(flat.gave)}; there is nothing to export"
            )
        expected = arrays(outputs, first)
        for name, value in expected.items():
            check_output(name, value)
        _check_repeats(flat, values, expected)
        free = batched(values)
        sizes, checks = _checks(flat, values, free, outputs)
    return Subject(
        name=type(model).__name__,
        flat=flat,
        sample=values,
        inputs=inputs,
        outputs=outputs,
        free=free if len(sizes) > 1 else (False,) * len(free),
        sizes=sizes,
        checks=[(values, expected), *checks],
    )


def _plain(x: Tensor) -> Tensor:
    x = x.detach().to("cpu")
    return x.float() if x.is_floating_point() else x


def _run(flat: Flat, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        given: tuple[Tensor, ...] = flat.module(*(x.clone() for x in values))
        return tuple(x.clone() for x in given)


def _check_repeats(flat: Flat, values: Sequence[Tensor], expected: Mapping[str, Any]) -> None:
    again = Parity()
    again.compare(expected, arrays(tuple(expected), _run(flat, values)))
    if again.difference > REPEATED:
        raise ExportError(
            "expected the same outputs for the same inputs, got others at the second call: the "
            "model draws random numbers or counts its calls in evaluation mode; a file cannot do "
            "that, so make it deterministic in evaluation mode"
        )


def _checks(
    flat: Flat, sample: tuple[Tensor, ...], free: Sequence[bool], outputs: tuple[str, ...]
) -> tuple[tuple[int, ...], list[tuple[tuple[Tensor, ...], Values]]]:
    """Batch sizes at which the model runs, and inputs with outputs at each."""
    own = next((len(x) for x, one in zip(sample, free, strict=True) if one), 1)
    found = [_check(flat, sample, free, size, outputs) for size in BATCH_SIZES]
    done = [one for one in found if one is not None]
    if any(free) and len(done) == len(found):
        return BATCH_SIZES, done
    alone = _check(flat, sample, free, own, outputs)
    return (own,), [] if alone is None else [alone]


def _check(
    flat: Flat, sample: tuple[Tensor, ...], free: Sequence[bool], size: int, names: tuple[str, ...]
) -> tuple[tuple[Tensor, ...], Values] | None:
    """Random inputs, or rows of the sample where the model has no numbers for these, and what it
    gives; None where it does not run at this size.
    """
    for random_ones in (True, False):
        values = check_inputs(sample, free, size, random_ones)
        with contextlib.suppress(Exception):
            given = arrays(names, _run(flat, values))
            for name, value in given.items():
                check_output(name, value)
            return values, given
    return None


def _names(sample: Structure, flat: Flat) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the inputs and outputs in the file."""
    inputs = (INPUT,) if isinstance(sample, Tensor) else flat.inputs.paths
    paths = [path for path, leaf in leaves(flat.gave) if leaf is Hole]
    outputs: list[str] = []
    for path in paths:
        name = path if path and not path[0].isdigit() else f"{OUTPUT}_{path}".rstrip("_")
        name = f"{OUTPUT}_{name}" if name in inputs else name
        again = (f"{name}_{n}" for n in range(2, len(paths) + 2))
        while name in outputs or name in inputs:
            name = next(again)
        outputs.append(name)
    return tuple(inputs), tuple(outputs)


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    python, arrays_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays_state)
