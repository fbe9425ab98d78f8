"""Models, graphs, moves and candidates, as the public verbs take them: each fits the others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from easearch.checks.batches import told
from easearch.checks.wrappers import check_unwrapped
from easearch.conflicts import check_channels
from easearch.deepening import NewLayer
from easearch.errors import EasearchError, GraphError
from easearch.graph import Graph
from easearch.moves import Candidate, Move, NewNeuron, Plan, Remove, Split
from easearch.reparametrized import plain
from easearch.structures import Structure, tensors

MOVES = (Split, NewNeuron, Remove, NewLayer)


def check_model(model: Any, *, values: bool = True, kind: type[EasearchError] = GraphError) -> None:
    """Refuse what is no module; with `values`, one without numbers.

    Raises:
        EasearchError: of this kind.
    """
    if not isinstance(model, nn.Module):
        made = isinstance(model, type) and issubclass(model, nn.Module)
        raise kind(
            f"expected a model, an nn.Module, got {told(model)}; "
            + ("make one of it first" if made else "pass the module itself")
        )
    check_unwrapped(model, kind=kind)
    if not values:
        return
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_meta:
            raise kind(
                f"expected a model with numbers in it, got '{name}' on the meta device; move it "
                "with to_empty and load its weights"
            )


def check_sample(sample: Structure) -> None:
    """Refuse tensors that nothing can be run on.

    Raises:
        GraphError: a tensor without samples, or that is not dense.
    """
    for x in tensors(sample):
        if x.layout != torch.strided or x.is_nested:
            raise GraphError(f"expected a sample of dense tensors, got one of {x.layout}")
        if x.dim() and not len(x):
            raise GraphError(f"expected at least one sample, got {told(x)}")


def check_finite(model: nn.Module, *, kind: type[EasearchError] = GraphError) -> None:
    """Refuse weights that are not finite: an activation may hide them from the loss.

    Raises:
        EasearchError: of this kind, with the first of them.
    """
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not bool(torch.isfinite(parameter).all()):
            raise kind(
                f"expected finite weights, got some in '{name}' that are not; train it again with "
                "a lower rate"
            )


def check_graph(graph: Any, *, kind: type[EasearchError] = GraphError) -> None:
    """Refuse what is no graph.

    Raises:
        EasearchError: of this kind.
    """
    if not isinstance(graph, Graph):
        raise kind(f"expected a graph, got {told(graph)}; ea.trace(model, sample) makes one")


def check_own(
    model: Any, graph: Any, *, values: bool = False, kind: type[EasearchError] = GraphError
) -> None:
    """Refuse a graph that is not the model's: of another model, or of before it grew.

    Raises:
        EasearchError: of this kind, with the first tensor that differs.
    """
    if isinstance(model, Graph) and isinstance(graph, nn.Module):
        raise kind("expected the model and then its graph, got the graph first; swap the two")
    check_model(model, values=values, kind=kind)
    check_graph(graph, kind=kind)
    model = plain(model)
    tensors = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    for layer in graph.layers:
        for held in layer.tensors:
            own = tensors.get(held.path)
            for axis, layout in ((held.rows, layer.writes), (held.columns, layer.reads)):
                if axis is None or not layout:
                    continue
                check_axis(held.path, own, axis, graph.channels(layout), kind=kind)


def check_axis(
    path: str,
    tensor: Tensor | None,
    axis: int,
    channels: int,
    *,
    kind: type[EasearchError] = GraphError,
) -> None:
    """Refuse a tensor of the model that is missing, or has not so many channels along an axis.

    Raises:
        EasearchError: of this kind.
    """
    if tensor is None or tensor.dim() <= axis or tensor.shape[axis] != channels:
        got = "none" if tensor is None else f"one of shape {tuple(tensor.shape)}"
        raise kind(
            f"expected a tensor '{path}' with {channels} channels along axis {axis}, as in the "
            f"graph, got {got}; trace this model, use its own graph"
        )


def check_moves(moves: Any, graph: Graph) -> None:
    """Refuse what are no moves of this graph, or carry numbers that are not finite.

    Raises:
        GraphError: with what came.
    """
    if isinstance(moves, Plan):
        raise GraphError("expected moves, got a plan; pass plan.moves")
    if isinstance(moves, (*MOVES, Candidate)) or not isinstance(moves, Sequence):
        raise GraphError(f"expected a list of moves, got {told(moves)}; put moves into a list")
    for move in moves:
        if isinstance(move, Candidate):
            raise GraphError(
                "expected moves, got candidates; pass [c.move for c in candidates], or the moves "
                "of a plan"
            )
        if not isinstance(move, MOVES):
            raise GraphError(
                f"expected moves (Split, NewNeuron, Remove, NewLayer), got {told(move)}; make one"
            )
        for name, tensor in _numbers(move):
            if not bool(torch.isfinite(tensor).all()):
                raise GraphError(
                    f"expected moves with finite numbers, got one on '{_place(move)}' whose "
                    f"'{name}' has some that are not; score again"
                )
    graph.after(moves)


def check_candidates(candidates: Any, graph: Graph) -> None:
    """Refuse what are no candidates of this graph, or gains that are not finite.

    Raises:
        GraphError: with what came.
    """
    if isinstance(candidates, str) or not isinstance(candidates, Sequence):
        raise GraphError(
            f"expected a list of candidates, got {told(candidates)}; ea.score makes one"
        )
    for one in candidates:
        if isinstance(one, MOVES):
            raise GraphError(
                "expected candidates, got moves; wrap each: ea.Candidate(move=move, gain=gain)"
            )
        if not isinstance(one, Candidate):
            raise GraphError(f"expected candidates, got {told(one)}; ea.score makes them")
        if isinstance(one.gain, bool) or not isinstance(one.gain, float | int):
            raise GraphError(f"expected gains in nats, numbers, got {told(one.gain)}; use float()")
        if not math.isfinite(one.gain):
            raise GraphError(
                f"expected finite gains, got {one.gain} for a move on '{_place(one.move)}'; score "
                "again, or leave it out"
            )
        _check_place(one.move, graph)


def _check_place(move: Move, graph: Graph) -> None:
    """Refuse a move whose place is not in the graph, or is frozen there."""
    if move.deepens:
        graph.after([move])
        return
    group = graph.group(move.group)
    if group.frozen is not None:
        raise GraphError(f"the channel group '{group.name}' cannot change: {group.frozen}")
    check_channels([move], {group.name: group.width})


def _numbers(move: Any) -> Iterable[tuple[str, Tensor]]:
    """The tensors that a move carries, by name."""
    ends = [getattr(move, "into", None), getattr(move, "out", None)]
    for offset in (*getattr(move, "offsets", ()), *ends):
        yield from (offset or {}).items()


def _place(move: Any) -> str:
    return str(move.behind if move.deepens else move.group)
