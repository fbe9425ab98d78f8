"""Names of what goes into a file and comes out of it: any text, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnx import helper

from easearch.errors import ExportError


def name_values(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give the inputs and outputs of a file these names, in place.

    What is an output twice, or an input as well, comes out of an operator of its own; inner values
    that have such a name get another.

    Raises:
        ExportError: the file has other inputs or outputs than names.
    """
    graph = model.graph
    for word, values, names in (
        ("inputs", graph.input, inputs),
        ("outputs", graph.output, outputs),
    ):
        if len(values) != len(names):
            raise ExportError(
                f"expected {len(names)} {word} in the file, {', '.join(names)}, got {len(values)}; "
                "torch's exporter left some out, which the outputs do not depend on"
            )
    _part(graph)
    new = dict(zip((v.name for v in graph.input), inputs, strict=True))
    new |= dict(zip((v.name for v in graph.output), outputs, strict=True))
    taken = set(new.values())
    for name in _values(graph):
        if name in taken and name not in new:
            new[name] = _free(f"{name}/inner", taken | set(_values(graph)))
            taken.add(new[name])
    _rename(graph, new)


def _part(graph: Any) -> None:
    """Make every output a value of its own, which no other output is, nor an input or a weight."""
    made = {name for node in graph.node for name in node.output}
    seen: set[str] = set()
    for place, value in enumerate(graph.output):
        if value.name in seen or value.name not in made:
            source, value.name = value.name, _free(f"{value.name}/out{place}", set(_values(graph)))
            graph.node.append(helper.make_node("Identity", [source], [value.name], name=value.name))
        seen.add(value.name)


def _values(graph: Any) -> list[str]:
    named = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    nodes = (name for node in graph.node for name in (*node.input, *node.output) if name)
    return list(dict.fromkeys((*(value.name for value in named), *nodes)))


def _free(name: str, taken: set[str]) -> str:
    number = 2
    again = name
    while again in taken:
        again, number = f"{name}{number}", number + 1
    return again


def _rename(graph: Any, new: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = new.get(value.name, value.name)
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new.get(name, name) for name in names]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    _rename(inner, new)
