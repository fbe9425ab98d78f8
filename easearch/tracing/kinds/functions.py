"""What is known of an element-wise function: how it is written, its parameters, the places where
its slope jumps, its ONNX operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from easearch.tracing.kind import Op

Values = Mapping[str, Any]
"""Parameters of a function by name."""
Jumps = tuple[tuple[float, float], ...]
"""Where a slope jumps: (position, jump)."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """One element-wise function; `calls[0]` computes it from a tensor and its parameters by name.

    `spelled` are further ways to call it, with the names of their arguments: a function, or the
    name of a method. `bends` and `exported` are of the parameters.
    """

    name: str
    calls: tuple[Callable[..., Any], ...]
    defaults: Values = field(default_factory=dict)
    module: type[nn.Module] | None = None
    spelled: Mapping[Any, tuple[str, ...]] = field(default_factory=dict)
    exported: Callable[[Values], Sequence[Op]]
    bends: Callable[[Values], Sequence[tuple[float, float]]] = lambda _: ()

    @property
    def jumps(self) -> Jumps:
        """Where the slope jumps at the parameters that nobody has set."""
        return self.bends_at(self.defaults)

    def bends_at(self, values: Values) -> Jumps:
        """Where the slope jumps, by position; what does not jump is left out."""
        return tuple(sorted((at, jump) for at, jump in self.bends(values) if jump))

    def evaluate(self, z: Tensor, values: Values) -> Tensor:
        """The function of z."""
        result: Tensor = self.calls[0](z, **values)
        return result

    def spellings(self) -> Iterator[tuple[Any, tuple[str, ...]]]:
        """Every function, method and ATen operator with the names of its arguments."""
        names = ("input", *self.defaults)
        for call in self.calls:
            yield call, names
        for method in (self.name, f"{self.name}_"):
            if hasattr(Tensor, method):
                yield method, names
        for target in (*aten(self.name), *aten(f"{self.name}_")):
            yield target, names
        yield from self.spelled.items()


def aten(name: str) -> tuple[Any, ...]:
    """The plain ATen operator of that name, if there is one."""
    packet = getattr(torch.ops.aten, name, None)
    return (packet.default,) if packet is not None and "default" in packet.overloads() else ()
