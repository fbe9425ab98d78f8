"""Element-wise functions, with the places where their slope jumps.

A jump is curvature that automatic differentiation does not see: `sigma'' = jump * delta(z - at)`.
Scoring smooths it; the published surrogate for ReLU, softplus with beta 3, is the case (0,
1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from easearch.graph import Shape
from easearch.tracing.call import Call, Value
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.kinds.function_table import BY_NAME, FUNCTIONS
from easearch.tracing.kinds.functions import Function, Jumps

__all__ = ["FUNCTIONS", "Activation", "evaluate", "jumps_of"]

_ALIKE = {"min_val": "min", "max_val": "max"}
_SPELLED = [
    (target, names, function) for function in FUNCTIONS for target, names in function.spellings()
]
_BY_TARGET: dict[Any, Function] = {target: function for target, _, function in _SPELLED}
# By exact type: ReLU6 is a subclass of Hardtanh, user subclasses may compute something else.
_BY_MODULE: dict[type[nn.Module], Function] = {f.module: f for f in FUNCTIONS if f.module}
_SAME: Mapping[tuple[Any, ...], str] = {(0.0, None): "relu", (0.0, 6.0): "relu6"}
"""Bounds of a clamp that have a name."""


class Activation(Kind):
    """An element-wise function, its parameters constants."""

    name = "activation"
    role = Role.FOLLOWS
    modules = tuple(_BY_MODULE)
    functions: ClassVar = {t: names for t, names, _ in _SPELLED if not isinstance(t, str)}
    methods: ClassVar = {t: names for t, names, _ in _SPELLED if isinstance(t, str)}

    def accepts(self, call: Call) -> bool:
        """One tensor, and numbers; a bound that is a tensor is none."""
        if call.module is not None:
            return True
        given = self.arguments(call)
        return (
            isinstance(given.get("input"), Value)
            and len(call.values) == 1
            and not call.parameters
            and all(given.get(scale, 1) == 1 for scale in ("scale", "input_scale"))
            and given.get("out") is None
        )

    def options(self, call: Call) -> dict[str, Any]:
        """Which function, and its parameters."""
        if call.module is not None:
            function = _BY_MODULE[type(call.module)]
            hidden = {"min": "min_val", "max": "max_val"} if function.name == "clamp" else {}
            given = {n: getattr(call.module, hidden.get(n, n)) for n in function.defaults}
        else:
            function = _BY_TARGET[call.target]
            named = self.arguments(call)
            # The bounds of a hardtanh have values where nobody sets them, those of a clamp none.
            if "min_val" in (*self.functions.get(call.target, ()), *named):
                named = {"min": -1.0, "max": 1.0, **named}
            given = {_ALIKE.get(n, n): value for n, value in named.items()}
        values = {n: given.get(n, default) for n, default in function.defaults.items()}
        plain = {n: float(v) if isinstance(v, int) else v for n, v in values.items()}
        if function.name == "clamp" and tuple(plain.values()) in _SAME:
            return {"function": _SAME[tuple(plain.values())]}
        return {"function": function.name, **plain}

    def ops(self, shape: Shape) -> tuple[Op, ...]:
        """The function's own operators."""
        options = dict(shape.options)
        return tuple(BY_NAME[options["function"]].exported(_parameters(options)))


def evaluate(options: Mapping[str, Any], z: Tensor) -> Tensor:
    """The function of a layer's options, at z."""
    return BY_NAME[options["function"]].evaluate(z, _parameters(options))


def jumps_of(options: Mapping[str, Any]) -> Jumps:
    """Where the slope of the function of a layer's options jumps: (position, jump)."""
    return BY_NAME[options["function"]].bends_at(_parameters(options))


def _parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    names = BY_NAME[options["function"]].defaults
    return {name: options[name] for name in names if name in options}
