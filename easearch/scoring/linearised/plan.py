"""A unit's layers written as steps, norms folded into what stands before them."""

from __future__ import annotations

from easearch.graph import Layer
from easearch.scoring.linearised.rules import PARAMETRIC, Place, parametric, ruled, simple
from easearch.scoring.linearised.steps import Step
from easearch.scoring.units.unit import Unit


def plan(unit: Unit) -> tuple[Step, ...] | None:
    """The steps in the order of execution; None where a layer has no rule."""
    tensors = all(source in unit.graph.by_name for source, _ in unit.entrances)
    if not tensors or not all(ruled(unit, layer) for layer in unit.layers):
        return None
    folds = dict(_folds(unit))
    steps = []
    for layer in unit.layers:
        if layer.name in folds.values():
            continue
        step = _step(unit, layer, folds.get(layer.name))
        if step is None:
            return None
        steps.append(step)
    return tuple(steps)


def _step(unit: Unit, layer: Layer, folded: str | None) -> Step | None:
    """One layer's step; of a norm with `folded`, the layer before it, the step of both."""
    before = None if folded is None else unit.graph.by_name[folded]
    sources = unit.sources(before or layer)
    read = {source for one in unit.layers for (source, _), inner in unit.sources(one) if inner}
    place = Place(
        sources=tuple(edge for edge, _ in sources),
        inner=tuple(inner for _, inner in sources),
        last=layer.name not in read,
    )
    if layer.kind == "batch_norm":
        return parametric(unit, before, layer, place)
    if layer.kind in PARAMETRIC:
        return parametric(unit, layer, None, place)
    return simple(unit, layer, place)


def _folds(unit: Unit) -> list[tuple[str, str]]:
    """(norm, layer before it) where nobody else sees the value between them."""
    inside = {layer.name: layer for layer in unit.layers}
    left = {source for source, _ in unit.exits}
    found = []
    for norm in unit.layers:
        if norm.kind != "batch_norm" or len(norm.inputs) != 1:
            continue
        (before,) = norm.inputs
        alone = unit.graph.consumers.get(before) == (norm.name,) and before not in left
        if alone and before in inside and inside[before].kind in PARAMETRIC:
            found.append((norm.name, before))
    return found
