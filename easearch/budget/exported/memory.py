"""Peak of living values over operators, where views and in-place ones share storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

VIEWS = ("Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Dropout")
ACTIVATIONS = (
    *("Relu", "Clip", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "LeakyRelu", "Gelu", "PRelu"),
    *("Elu", "Selu", "Celu", "Mish", "Softplus", "Softsign", "Shrink", "Abs", "Neg", "Exp", "Log"),
    *("Sqrt", "Erf", "Sin", "Cos", "Reciprocal", "Pow"),
)
ARITHMETIC = ("Add", "Sub", "Mul", "Div")
"""With weights and constants, these are element-wise functions of one value."""
MATRIX = ("Conv", "Gemm", "MatMul")


class Step(NamedTuple):
    """One operator: what it is, the values that it reads (no weights), the values that it makes."""

    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def peak(
    steps: Sequence[Step],
    sizes: Mapping[str, int],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> int:
    """The most bytes alive at once, by the rules of the memory meter.

    Args:
        steps: the operators in the order of execution.
        sizes: bytes of every value.
        inputs: values that are there from the start.
        outputs: values that live to the end.
    """
    owner = _owners(steps, inputs)
    born = dict.fromkeys(inputs, -1)
    died = dict.fromkeys(inputs, -1)
    for now, step in enumerate(steps):
        for name in step.outputs:
            born.setdefault(owner[name], now)
        for name in (*step.inputs, *step.outputs):
            died[owner.get(name, name)] = now
    for name in outputs:
        died[owner[name]] = len(steps)
    alive = (
        sum(sizes[name] for name in died if born[name] <= now <= died[name])
        for now in range(-1, len(steps))
    )
    return max(alive, default=0)


def _owners(steps: Sequence[Step], inputs: Sequence[str]) -> dict[str, str]:
    maker = {name: step for step in steps for name in step.outputs}
    users: dict[str, list[Step]] = {}
    for step in steps:
        for name in dict.fromkeys(step.inputs):
            users.setdefault(name, []).append(step)
    owner = {name: name for name in inputs}
    for step in steps:
        for name in step.outputs:
            source = _overwrites(step, maker, users)
            owner[name] = owner[source] if source else name
    return owner


def _overwrites(
    step: Step, maker: Mapping[str, Step], users: Mapping[str, list[Step]]
) -> str | None:
    """The input whose storage the step's output takes over, if any."""
    if not step.inputs:
        return None
    source = step.inputs[0]
    if step.type in VIEWS:
        return source
    if source not in maker:
        return None
    if step.type == "Mul" and len(step.inputs) == 2:
        return _gated(step, maker, users)
    alone = _alone(source, maker, users)
    if step.type in ARITHMETIC:
        return source if alone and len(step.inputs) == 1 else None
    if step.type in ACTIVATIONS:
        return source if alone or _gate_of(step, users) else None
    behind_matrix = step.type == "BatchNormalization" and maker[source].type in MATRIX
    return source if alone and behind_matrix else None


def _alone(name: str, maker: Mapping[str, Step], users: Mapping[str, list[Step]]) -> bool:
    """Whether one step alone uses a value, or anything that it is a view of; inputs stay."""
    while name in maker and maker[name].type in VIEWS and len(users[name]) == 1:
        if not maker[name].inputs:  # a view of a weight
            return False
        name = maker[name].inputs[0]
    return name in maker and len(users[name]) == 1


def _gate_of(step: Step, users: Mapping[str, list[Step]]) -> bool:
    # x * f(x) is one activation in two operators (SiLU): fused, f(x) never lives beside x.
    next_steps = users.get(step.outputs[0], [])
    both = users[step.inputs[0]]
    return (
        len(next_steps) == 1
        and next_steps[0].type == "Mul"
        and set(next_steps[0].inputs) == {step.inputs[0], step.outputs[0]}
        and len(both) == 2
    )


def _gated(step: Step, maker: Mapping[str, Step], users: Mapping[str, list[Step]]) -> str | None:
    for x, gate in (step.inputs, step.inputs[::-1]):
        made = maker.get(gate)
        if made and made.type in ACTIVATIONS and made.inputs == (x,) and _gate_of(made, users):
            return x
    return None
