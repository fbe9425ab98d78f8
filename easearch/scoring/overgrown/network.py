"""The temporary network with every candidate in it, and how its tensors follow from the candidates'
numbers.

What surgery writes is linear in the numbers that its moves carry, and every entry of every tensor
is fed by one of them at most: `tensor = base + coefficient * numbers[index]`. The three are read
off surgery itself, so that nothing here knows how a move acts; one backward pass then gives the
gradient of all candidates, however many they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from easearch.checks.batches import outputs_of
from easearch.checks.losses import finite, loss_at
from easearch.errors import ScoringError
from easearch.graph import Graph
from easearch.growth.surgery import apply
from easearch.moves import Move
from easearch.reparametrized import copied
from easearch.roles import Loss
from easearch.scoring.samples.gradients import gradients

Carrying = Callable[[Tensor], Sequence[Move]]
"""Numbers (n,) -> the same moves with these numbers in them, each as it is or times a constant."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fed:
    """How one tensor of the wide network follows from the numbers, entry by entry."""

    index: Tensor
    """(entries,) whole numbers."""
    coefficient: Tensor
    """(entries,); 0 where an entry follows from none."""


class Overgrown:
    """`apply(model, graph, moves)` in evaluation mode, as a function of the moves' numbers.

    New layers come first and are of the network as it is, widths after them: so a layer's numbers
    are those that it would have alone. Without new layers it is what `apply` makes.

    Attributes:
        model: the wide network, its numbers zero.
        fed: by the name of every tensor that depends on the numbers.
    """

    def __init__(self, model: nn.Module, graph: Graph, carrying: Carrying, start: Tensor) -> None:
        """`start` (n,) gives the numbers' count, type and device.

        Raises:
            ScoringError: the moves are not linear in the numbers, or an entry follows from two.
        """
        self._graph, self._carrying = graph, carrying
        self.model = self.grown(model, torch.zeros_like(start)).eval().requires_grad_(False)
        self._held = _tensors(self.model)
        self.numbers = len(start)
        self.fed = self._read(_without_numbers(model), start)

    def grown(self, model: nn.Module, numbers: Tensor) -> nn.Module:
        """What surgery makes of a model with the graph's shapes."""
        moves = self._carrying(numbers)
        layers = [move for move in moves if move.deepens]
        widths = [move for move in moves if not move.deepens]
        deeper = apply(model, self._graph, layers) if layers else model
        return apply(deeper, self._graph.after(layers), widths)

    def tensors(self, numbers: Tensor) -> dict[str, Tensor]:
        """The tensors that depend on the numbers (n,), by name, as surgery would write them."""
        found = {}
        for name, fed in self.fed.items():
            new = self._held[name].clone()
            more = numbers.index_select(0, fed.index).mul_(fed.coefficient)
            found[name] = new.add_(more.view(new.shape))
        return found

    def adjoint(self, gradients: Mapping[str, Tensor]) -> Tensor:
        """Gradients at the tensors -> the gradient at the numbers (n,)."""
        some = next(iter(self.fed.values())).coefficient
        total = some.new_zeros(self.numbers)
        for name, gradient in gradients.items():
            fed = self.fed[name]
            total.index_add_(0, fed.index, gradient.reshape(-1) * fed.coefficient)
        return total

    def gradient(self, numbers: Tensor, inputs: Any, targets: Any, loss: Loss) -> Tensor:
        """(n,): of the batch's mean loss, all candidates in the network at once.

        Raises:
            ScoringError: a loss that is not a scalar, or not finite.
        """
        tensors = self.tensors(numbers)
        leaves = {k: t.requires_grad_() for k, t in tensors.items() if k in self._learned}
        with torch.enable_grad():
            outputs = outputs_of(self.model, inputs, tensors)
            mean = loss_at(loss, outputs, targets)
            advice = "check the inputs, or score with a smaller step"
            finite(mean, f"with all candidates in the network; {advice}")
            if not mean.requires_grad:
                return torch.zeros_like(numbers)
            found = gradients(mean, list(leaves.values()))
        return self.adjoint(dict(zip(leaves, found, strict=True)))

    @property
    def _learned(self) -> set[str]:
        return self.fed.keys() & dict(self.model.named_parameters()).keys()

    def _read(self, blank: nn.Module, start: Tensor) -> dict[str, Fed]:
        """On a network without numbers of its own, so that rounding cannot blur the candidates'."""
        count = torch.arange(1.0, self.numbers + 1, dtype=torch.float64)
        none = _tensors(self.grown(blank, torch.zeros_like(count)))
        ones = _tensors(self.grown(blank, torch.ones_like(count)))
        ranks = _tensors(self.grown(blank, count))
        probe = torch.sin(count) + 2
        probed = _tensors(self.grown(blank, probe))
        fed = {}
        for name, base in none.items():
            if not base.is_floating_point():
                continue
            coefficient, ranked, seen = ((x[name] - base).flatten() for x in (ones, ranks, probed))
            if not bool(coefficient.any()) and not bool(seen.any()):
                continue
            index = (ranked / coefficient).nan_to_num(1.0, 1.0, 1.0).round().long() - 1
            index = index.clamp(0, self.numbers - 1)
            wrong = (coefficient * probe[index] - seen).abs() > 1e-9 * (1 + seen.abs())
            if bool(wrong.any()):
                raise ScoringError(
                    f"expected every entry of '{name}' to follow from one number of one move, got "
                    f"{int(wrong.sum())} that do not; pass moves that do not overlap"
                )
            fed[name] = Fed(
                index=index.to(start.device, torch.int32 if self.numbers < 2**31 else torch.int64),
                coefficient=coefficient.to(start),
            )
        return fed


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    held = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: tensor.detach() for name, tensor in held.items()}


def _without_numbers(model: nn.Module) -> nn.Module:
    """A copy in double precision, in main memory, with zeros for all that it holds."""
    blank = copied(model).cpu().double()
    with torch.no_grad():
        for tensor in _tensors(blank).values():
            if tensor.is_floating_point():
                tensor.zero_()
    return blank
