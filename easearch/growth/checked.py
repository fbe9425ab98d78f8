"""A graph checked against its model: every group is widened silently, and nothing may change.

What is checked is a narrow copy: every group has a few channels, all tensors are drawn at random,
so that a forward pass is cheap and no two channels are alike. Groups that break the law are found
by halving, and frozen. The model itself is never run and never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor, nn

from easearch.checks.objects import check_model
from easearch.errors import GraphError, reason_of
from easearch.graph import Graph
from easearch.growth.draws import Run, fixed_state
from easearch.growth.surgery import apply, resize
from easearch.growth.thresholds import may_decide_on_widths
from easearch.moves import Split
from easearch.structures import Structure, call, mapped, tensors
from easearch.tracing import trace as walked
from easearch.tracing.flat import described
from easearch.tracing.recording import of_two, quiet

BROKEN = (
    "with another width here the network does not compute the same: its code uses the width in a "
    "way that tracing does not follow"
)
UNCOPIED = "the model cannot be copied, so that no copy can be wider"
LEAST = 3
"""Channels of the narrowest group of the copy."""
SHARES = ((1.5, -0.5), (0.25, 0.5, 0.25), (0.5, 0.5))
"""How the first channels of a group are split; a group has one, two or all three of these."""
FAR, WIDEST = 64, 512
"""Parts of the first channel where widths beyond the model's own are looked at, and the widest
group of which this is done: wider ones would take as long as training steps do.
"""
CLOSE, EXACT, LOOSE = 1e-5, 1e-8, 1e-3
"""Differences, relative to the largest output: of a network in its own precision, which is then
believed; in float64; in its own precision where float64 does not run.
"""
HALF = (torch.float16, torch.bfloat16)
LARGE = 2**16
"""Numbers of a tensor that is left as it is, unless it is constant: it belongs to no narrow group.
"""
DRAWS = 3
"""How often a network is drawn whose outputs do not depend on its inputs."""


def trace(model: nn.Module, sample: Structure, *, check: bool = True) -> Graph:
    """The model's graph, for inputs of the sample's size.

    Args:
        model: any `nn.Module` that torch.fx or torch.export can trace; it is left as it was.
        sample: an input as the model takes it: a tensor (N, C, ...), a tuple or list of positional
            ones, or a mapping of named ones.
        check: whether a narrow copy is widened silently and run, in evaluation and in training
            mode; a group whose widening changes the outputs is frozen, with the reason.

    Raises:
        GraphError: the model cannot be traced, or does not run on the sample; a copy of it does not
            give the same outputs twice.
    """
    if check:
        check_model(model)
    graph = walked(model, sample)
    return checked(model, graph, sample) if check else graph


def checked(model: nn.Module, graph: Graph, sample: Structure) -> Graph:
    """The graph with those groups frozen whose widening changes what the model computes.

    Raises:
        GraphError: even with no group widened a copy does not give the same outputs twice.
    """
    names = [group.name for group in graph.growable]
    if not names:
        return graph
    with fixed_state(model):
        trial = _Trial(model, graph, sample)
        try:
            kept = _kept(trial, names)
            near = [name for name in kept if graph.groups[name].width <= WIDEST]
            if near and may_decide_on_widths(model):
                found = _kept(_Trial(model, graph, sample, far=True), near)
                kept = [name for name in kept if name in found or name not in near]
        except _Uncopied:
            return _frozen(graph, names, UNCOPIED)
    return _frozen(graph, [name for name in names if name not in kept], BROKEN)


def _kept(trial: _Trial, names: Sequence[str]) -> list[str]:
    """Those groups that can be widened together."""
    if trial.holds(names):
        return list(names)
    trial.settle()
    kept: list[str] = []
    _keep(trial, names, kept)
    return kept


def _keep(trial: _Trial, names: Sequence[str], kept: list[str]) -> None:
    """Add to `kept` those groups that can be widened together with what is kept already."""
    if trial.holds([*kept, *names]):
        kept += names
    elif len(names) > 1:
        half = len(names) // 2
        _keep(trial, names[:half], kept)
        _keep(trial, names[half:], kept)


def _frozen(graph: Graph, names: Sequence[str], reason: str) -> Graph:
    groups = tuple(
        replace(group, frozen=reason) if group.name in names else group
        for group in graph.channel_groups
    )
    return replace(graph, channel_groups=groups)


class _Uncopied(Exception):
    """The model refuses to be copied."""


class _Trial:
    """A model, narrow in some groups, beside itself with these groups widened; `far`: at its own
    widths, beside itself four times as wide and more.
    """

    def __init__(
        self, model: nn.Module, graph: Graph, sample: Structure, far: bool = False
    ) -> None:
        self._model, self._graph, self._far = model, graph, far
        self._numbers = {group.name: at for at, group in enumerate(graph.growable)}
        self._samples = (_single(_varied(of_two(sample))), _single(sample))
        self._inputs = self._samples[0]

    def settle(self) -> None:
        """Find inputs on which the model gives the same twice.

        Raises:
            GraphError: there are none.
        """
        for inputs in self._samples:
            self._inputs = inputs
            if self.holds([]):
                return
        self._refuse_what_does_not_run()
        raise GraphError(
            "expected a model that gives the same outputs twice for the same input, got "
            f"{type(self._model).__name__}, whose graph cannot be checked; fix what it draws at "
            "random, or trace it with check=False"
        )

    def _refuse_what_does_not_run(self) -> None:
        sample = self._samples[-1]
        try:
            with quiet(), torch.no_grad():
                call(self._copy({}).eval(), sample)
        except Exception as error:
            raise GraphError(
                f"the model does not run on {described(sample)}: {reason_of(error)}; give a sample "
                "of the size and type that the model was made for"
            ) from error

    def holds(self, names: Sequence[str]) -> bool:
        """Whether groups of other widths, widened silently, leave the outputs as they are."""
        few = [name for name in self._numbers if name not in names] if self._far else names
        widths = {name: LEAST + self._numbers[name] % 3 for name in few}
        moves = [move for name in names for move in self._splits(name)]
        small = self._graph.with_widths(widths)
        for seed in range(DRAWS):
            try:
                narrow = self._copy(widths)
            except Exception as error:
                raise _Uncopied from error
            _draw(narrow, seed)
            found = self._compared(narrow, apply(narrow, small, moves))
            if found is not None:
                return found
        return True

    def _splits(self, name: str) -> list[Split]:
        if self._far:
            return _many(name, self._graph.groups[name].width)
        return _moves(name, self._numbers[name])

    def _copy(self, widths: Mapping[str, int]) -> nn.Module:
        """The model at other widths; in float32 if it has less, which rounds what is split."""
        copy = resize(self._model, self._graph, widths)
        return copy.float() if any(p.dtype in HALF for p in copy.parameters()) else copy

    def _compared(self, narrow: nn.Module, wide: nn.Module) -> bool | None:
        """Whether both give the same in both modes; None where outputs do not depend on inputs."""
        lively = False
        for training in (False, True):
            pair = Run(narrow, wide, training)
            outputs = pair.outputs(self._inputs)
            if outputs is None:
                if training and not self._trains:
                    continue
                return False
            apart = _apart(*outputs)
            if apart > CLOSE and not self._exactly(pair, apart):
                return False
            lively |= _lively(outputs[0])
        return True if lively else None

    def _exactly(self, pair: Run, apart: float) -> bool:
        """The same in float64, where the model runs in it."""
        pair.double()
        outputs = pair.outputs(mapped(_double, self._inputs))
        pair.single()
        return apart <= LOOSE if outputs is None else _apart(*outputs) <= EXACT

    @cached_property
    def _trains(self) -> bool:
        """Whether the model runs in training mode at all, at its own widths."""
        same = self._copy({})
        return Run(same, same, True).outputs(self._inputs) is not None


def _moves(name: str, number: int) -> list[Split]:
    """Silent splits: one to four channels more, as the group's number says."""
    many = 1 + number % len(SHARES)
    return [Split(group=name, channel=c, shares=s) for c, s in enumerate(SHARES[:many])]


def _many(name: str, width: int) -> list[Split]:
    """Silent splits of every channel: into four, the first into `FAR`."""
    parts = [FAR, *[4] * (width - 1)]
    return [Split(group=name, channel=c, shares=(1 / n,) * n) for c, n in enumerate(parts)]


def _varied(inputs: Structure) -> Structure:
    """Inputs of which no two numbers are alike: a sample of zeros would hide mistakes."""
    generator = torch.Generator().manual_seed(0)

    def one(x: Tensor) -> Tensor:
        if not x.is_floating_point() or not x.numel():
            return x
        drawn = torch.randn(x.shape, generator=generator).to(x)
        constant = bool(x.min() == x.max())
        return drawn if constant else x * (1 + 0.5 * drawn.clamp(-1.5, 1.5))

    return mapped(lambda x: one(x.detach()), inputs)


def _single(inputs: Structure) -> Structure:
    """Inputs with no less than float32."""
    return mapped(lambda x: x.float() if x.dtype in HALF else x, inputs)


def _double(x: Tensor) -> Tensor:
    return x.double() if x.is_floating_point() else x


@torch.no_grad()
def _draw(model: nn.Module, seed: int) -> None:
    """Fill a model's tensors with numbers of a size that lets signals pass."""
    generator = torch.Generator().manual_seed(seed)
    for path, tensor in model.named_parameters():
        if tensor.is_floating_point() and (tensor.numel() < LARGE or _constant(tensor)):
            tensor.copy_(_drawn(path, tensor.shape, generator))
    for path, buffer in model.named_buffers():
        if path.endswith("running_mean"):
            buffer.copy_(0.3 * torch.randn(buffer.shape, generator=generator))
        elif path.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


def _constant(tensor: Tensor) -> bool:
    some = tensor.flatten()[:64]
    return bool(some.min() == some.max())


def _drawn(path: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Weights by their fan-in, biases small, scales around 1."""
    numbers = shape.numel()
    if path.endswith("bias"):
        return 0.3 * torch.randn(shape, generator=generator)
    if numbers == max((1, *shape)):
        return 0.5 + torch.rand(shape, generator=generator)
    size: float = (1.5 * shape[0] / numbers) ** 0.5
    return size * torch.randn(shape, generator=generator)


def _apart(one: Structure, other: Structure) -> float:
    """The largest difference of outputs relative to the largest output; infinite where they have
    other shapes.
    """
    pairs = list(zip(tensors(one), tensors(other), strict=False))
    if len(list(tensors(one))) != len(list(tensors(other))):
        return float("inf")
    return max((_difference(a, b) for a, b in pairs), default=0.0)


def _difference(one: Tensor, other: Tensor) -> float:
    if one.shape != other.shape or one.dtype != other.dtype:
        return float("inf")
    if not one.is_floating_point():
        return 0.0 if torch.equal(one, other) else float("inf")
    same = (one == other) | (one.isnan() & other.isnan())
    if bool(same.all()):
        return 0.0
    apart = (one - other)[~same].abs().max()
    largest = one[one.isfinite()].abs().max() if bool(one.isfinite().any()) else apart
    found = float(apart / largest.clamp_min(torch.finfo(one.dtype).tiny))
    return found if found == found else float("inf")


def _lively(outputs: Structure) -> bool:
    """Whether some output is finite and differs between samples."""
    return any(
        x.is_floating_point() and bool(x.isfinite().all()) and bool((x[:1] != x[-1:]).any())
        for x in tensors(outputs)
        if x.dim() and x.numel()
    )
