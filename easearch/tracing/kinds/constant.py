"""What a model computes without its inputs: a token spread over the batch, a range of numbers.

No channel passes it, and runtimes work it out once. Parameters that it is made of stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from easearch.graph import Held, Shape
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layouts import Layouts
from easearch.tracing.through import Through


class Constant(Kind):
    """A call on parameters and numbers alone; the walk knows it by that."""

    name = "constant"
    role = Role.MIXES
    takes_sizes = True

    def through(self, call: Call, layouts: Layouts) -> Through:
        """Nothing comes in, and nothing is known of what comes out."""
        return Through(reads=(), in_axis=1, axis=None, writes=())

    def tensors(self, call: Call) -> tuple[Held, ...]:
        """The parameters, and the buffers that are given."""
        paths = [p.path for p in call.parameters] + [path for path, _ in _sizes(call)]
        return tuple(Held(role=f"from {path}", path=path) for path in dict.fromkeys(paths))

    def options(self, call: Call) -> dict[str, Any]:
        """Numbers of every parameter, by its role."""
        return {f"from {path}": numbers for path, numbers in _sizes(call)}

    def params(self, shape: Shape) -> int:
        """Those of the parameters that no layer before it holds."""
        return sum(n for role, n in shape.options if role not in shape.shared)

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """The numbers as they stand in the file."""
        return (Op(type="Identity", inputs=(), weights=(shape.out_shape,)),)


def _sizes(call: Call) -> Iterator[tuple[str, int]]:
    """(path, numbers) of the parameters that the call takes or its module owns."""
    yield from ((p.path, math.prod(p.shape)) for p in call.parameters if p.trained)
    if call.module is not None:
        for name, parameter in call.module.named_parameters():
            yield f"{call.path}.{name}", parameter.numel()
