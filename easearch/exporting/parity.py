"""Whether a file computes what a model does: checked on several batches, output by output.

A comparison counts only where it could have failed: numbers that are not finite, outputs that are
empty or of another shape or type, and outputs of nothing but zeros prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easearch.errors import ExportError

Values = Mapping[str, NDArray[np.generic]]
"""Outputs by name."""
SAME = 0.999
"""Share of whole numbers and booleans that must be equal: those that come of a threshold on floats
may differ where a value lies on it.
"""
_KINDS = {"f": "floating", "i": "whole", "u": "whole", "b": "boolean", "c": "complex"}


@dataclass
class Parity:
    """Outputs compared so far."""

    differences: dict[str, float] = field(default_factory=dict)
    """Largest difference of every floating output."""
    scales: dict[str, float] = field(default_factory=dict)
    """Its largest absolute value in the model."""
    squares: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Sums of squares of its differences and its values."""
    equal: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of every other output, how many entries are equal, and of how many."""

    def compare(self, expected: Values, got: Values) -> None:
        """Hold a file's outputs for one batch against the model's.

        Raises:
            ExportError: another number of outputs, other shapes or types, nothing in an output, or
                numbers that are not finite.
        """
        if list(expected) != list(got):
            raise ExportError(
                f"expected the file to give {_listed(expected)}, got {_listed(got)}; this model "
                "cannot be exported as it is"
            )
        for name, ours in expected.items():
            check_output(name, ours)
            self._compare(name, ours, got[name])

    def _compare(self, name: str, ours: NDArray[np.generic], theirs: NDArray[np.generic]) -> None:
        if theirs.shape != ours.shape:
            raise ExportError(
                f"expected '{name}' of shape {ours.shape} from the file, got {theirs.shape}"
            )
        if _kind(theirs) != _kind(ours):
            raise ExportError(
                f"expected {_kind(ours)} numbers in '{name}' from the file, got {_kind(theirs)} "
                f"ones ({theirs.dtype})"
            )
        if _kind(ours) != "floating":
            right, of = self.equal.get(name, (0, 0))
            self.equal[name] = (right + int((theirs == ours).sum()), of + ours.size)
            return
        if not np.isfinite(theirs).all():
            raise ExportError(
                f"expected finite numbers in '{name}' from the file, as the model gives, got "
                "infinite ones or NaN"
            )
        a, b = ours.astype(np.float64), theirs.astype(np.float64)
        self.differences[name] = max(self.differences.get(name, 0.0), float(np.abs(b - a).max()))
        self.scales[name] = max(self.scales.get(name, 0.0), float(np.abs(a).max()))
        error, size = self.squares.get(name, (0.0, 0.0))
        self.squares[name] = (error + float(((b - a) ** 2).sum()), size + float((a**2).sum()))

    @property
    def proves(self) -> bool:
        """Whether anything but zeros and entries that never change was compared."""
        return any(self.scales.values()) or (not self.scales and bool(self.equal))

    @property
    def difference(self) -> float:
        """Largest difference of a floating output, relative to its largest value; infinite where
        other entries are not equal, or an output should be zero and is not.
        """
        equal = all(right >= SAME * of for right, of in self.equal.values())
        return max(self.ratios.values(), default=0.0) if equal else float("inf")

    @property
    def ratios(self) -> dict[str, float]:
        """Largest difference of every floating output, relative to its largest value."""
        return {name: _ratio(self.differences[name], self.scales[name]) for name in self.scales}

    @property
    def errors(self) -> dict[str, float]:
        """Of every output, the root mean square of the difference relative to that of its values,
        or the share of entries that differ.
        """
        roots = {
            name: _ratio(float(np.sqrt(error)), float(np.sqrt(size)))
            for name, (error, size) in self.squares.items()
        }
        return roots | {name: 1 - right / of for name, (right, of) in self.equal.items()}

    def worst(self) -> str:
        """The output that differs most, for people."""
        for name, (right, of) in self.equal.items():
            if right < SAME * of:
                return f"'{name}', of which {of - right} of {of} entries differ"
        name = max(self.ratios, key=lambda one: self.ratios[one])
        return f"a difference of {self.ratios[name]:.2g} in '{name}'"


def check_output(name: str, value: NDArray[np.generic]) -> None:
    """Refuse an output of the model with which nothing can be compared.

    Raises:
        ExportError: it is empty, or holds infinite numbers or NaN.
    """
    if not value.size:
        raise ExportError(
            f"expected numbers in every output, got '{name}' of shape {value.shape}, which is "
            "empty; leave it out of what the model gives"
        )
    if value.dtype.kind in "fc" and not np.isfinite(value).all():
        raise ExportError(
            f"expected finite numbers in '{name}', got infinite ones or NaN from the model itself; "
            "nothing can be compared with them"
        )


def check_inputs(
    sample: Sequence[Tensor], free: Sequence[bool], size: int, random: bool
) -> tuple[Tensor, ...]:
    """Inputs for one check, like those of the sample.

    Args:
        sample: the model's input tensors.
        free: whether the first axis of each is the batch.
        size: samples.
        random: standard normal numbers, and whole ones in the range of the sample; else, and for
            booleans, rows of the sample, the same of all inputs.
    """
    generator = torch.Generator().manual_seed(size)
    lengths = {len(x) for x, batched in zip(sample, free, strict=True) if batched}
    rows = torch.randint(0, max(lengths, default=1), (size,), generator=generator)

    def made(x: Tensor, batched: bool) -> Tensor:
        shape = (size, *x.shape[1:]) if batched else x.shape
        if random and x.is_floating_point():
            return torch.randn(shape, generator=generator).to(x.dtype)
        if random and x.dtype != torch.bool and not x.is_complex() and x.numel():
            low, high = int(x.min()), int(x.max())
            return torch.randint(low, high + 1, shape, generator=generator).to(x.dtype)
        return x[rows] if batched else x

    return tuple(made(x, batched) for x, batched in zip(sample, free, strict=True))


def batched(sample: Sequence[Tensor]) -> tuple[bool, ...]:
    """Which of the inputs have as many rows as the first one that has any."""
    size = next((len(x) for x in sample if x.dim()), None)
    return tuple(bool(x.dim()) and len(x) == size for x in sample)


def arrays(names: Sequence[str], values: Sequence[Tensor]) -> dict[str, NDArray[np.generic]]:
    """Tensors as the runtime takes and gives them."""
    pairs: Iterator[tuple[str, Tensor]] = zip(names, values, strict=True)
    return {
        name: (x.float() if x.dtype == torch.bfloat16 else x).detach().cpu().contiguous().numpy()
        for name, x in pairs
    }


def _ratio(difference: float, scale: float) -> float:
    if scale > 0:
        return difference / scale
    return 0.0 if difference == 0 else float("inf")


def _kind(value: NDArray[np.generic]) -> str:
    return _KINDS.get(value.dtype.kind, str(value.dtype))


def _listed(values: Values) -> str:
    return f"{len(values)} outputs ({', '.join(values)})" if values else "no outputs"
