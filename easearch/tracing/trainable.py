"""Channels that training could not follow: groups along whose tensors the user has frozen some.

Growth adds rows to what writes and carries a group and columns to what reads it. Where one of these
parameters has `requires_grad=False`, they would never be trained. Buffers do not count.
"""

from __future__ import annotations

from torch import nn

from easearch.graph import Graph


def untrained(model: nn.Module, graph: Graph) -> dict[str, str]:
    """Group -> why training could not follow its growth, of the groups of which that is so."""
    fixed = {
        path
        for path, parameter in model.named_parameters(remove_duplicate=False)
        if parameter.is_floating_point() and not parameter.requires_grad
    }
    reasons: dict[str, str] = {}
    for layer in graph.layers if fixed else ():
        for held in layer.tensors:
            layouts = [
                layout
                for axis, layout in ((held.rows, layer.writes), (held.columns, layer.reads))
                if axis is not None and held.path in fixed
            ]
            for segment in (one for layout in layouts for one in layout):
                reasons.setdefault(segment.group, f"'{held.path}' has requires_grad=False")
    return reasons
