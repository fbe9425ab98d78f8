"""What scoring runs is compared with the model, on a few samples, before anything is scored.

The traced program must give the model's outputs, and every group's part of it, run by itself, must
give what its readers got. A write into part of a tensor, a decision on data, or chance breaks the
one or the other, and gains would be of another network.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from easearch.checks.batches import checked, outputs_of, part_of
from easearch.checks.repeats import alike, check_repeats
from easearch.errors import ScoringError
from easearch.roles import Batches
from easearch.scoring.samples.batches import MICRO
from easearch.scoring.samples.capture import Capturer
from easearch.scoring.samples.traced_program import TracedProgram
from easearch.scoring.units.unit import Run, Unit
from easearch.structures import tensors


def compared(
    model: nn.Module, units: Sequence[Unit], wires: TracedProgram, batches: Batches
) -> None:
    """Refuse to score a program that is not the model, or a part that is not the program's.

    Args:
        model: in evaluation mode.
        units: the parts that will be run by themselves.
        wires: the model's program.
        batches: of which the first one's first samples are looked at.

    Raises:
        ScoringError: with the layer, where it is known.
    """
    inputs, _ = part_of(*checked(batches)[0], slice(0, MICRO))
    exits = {edge for unit in units for edge in unit.exits}
    entrances = {edge for unit in units for edge in unit.values}
    capturer = Capturer(model, exits | entrances, (), wires)
    with torch.no_grad():
        wanted = outputs_of(model, inputs)
        got, values = capturer.seen(inputs)
        check_repeats(model, inputs, wanted)
        if not alike(wanted, got):
            raise ScoringError(
                f"the traced program does not compute what {type(model).__name__} does: "
                f"{_first_fault(model, wires, inputs)}; take writes into tensors and decisions on "
                "data out of the forward pass, or score with 'firefly'"
            )
        for unit in units:
            _replayed(unit, values)


def _replayed(unit: Unit, values: dict[tuple[str, str], Any]) -> None:
    run = unit.go(Run(own=unit.held, edges=values))
    for edge in unit.exits:
        if not alike(run.values[edge[0]], values[edge]):
            raise ScoringError(
                f"the channels of '{unit.group.name}' cannot be scored: what '{edge[0]}' gives is "
                f"changed before '{edge[1] or unit.group.name}' takes it; take writes into tensors "
                "out of the forward pass"
            )


def _first_fault(model: nn.Module, wires: TracedProgram, inputs: Any) -> str:
    """The first module whose output in the program is another one: a phrase."""
    seen: dict[str, Any] = {}
    hooks = [
        module.register_forward_hook(partial(_note, seen, path))
        for path, module in model.named_modules()
        if path in wires.nodes
    ]
    try:
        outputs_of(model, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    calls = [(name, "") for name in wires.nodes if name in seen]
    _, values = Capturer(model, calls, (), wires, fold=False).seen(inputs)
    for name, _ in calls:
        if (name, "") in values and not alike(seen[name], values[name, ""]):
            return f"they differ from '{name}' on"
    return "their outputs differ"


def _note(seen: dict[str, Any], path: str, module: nn.Module, inputs: Any, output: Any) -> None:
    seen.setdefault(path, [tensor.clone() for tensor in tensors(output)])
