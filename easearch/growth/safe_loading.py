"""What a saved folder from a stranger is not let do: lead elsewhere, or take all memory."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from easearch.errors import FileFormatError
from easearch.graph import Graph
from easearch.reparametrized import loose
from easearch.tracing import KINDS

Shapes = dict[str, tuple[int, ...]]
"""Shape of every tensor of a network, by its name."""
SPARE, SPARE_TENSORS = 2**24, 1000
"""Numbers and tensors that a factory may make beside those of its network."""
APART = "the two files are not of one network"


def file_in(folder: Path | str, name: str) -> Path:
    """The file of that name in the folder itself.

    Raises:
        FileFormatError: it is missing, is no file, or is a link that leads out of the folder.
    """
    folder = Path(folder)
    file = folder / name
    if not file.exists():
        raise FileFormatError(f"expected {name} in {folder}, found none")
    if not file.resolve().is_relative_to(folder.resolve()):
        raise FileFormatError(
            f"expected {name} in {folder}, got a link to {file.resolve()}; put the file there"
        )
    if not file.is_file():  # reading a pipe would wait for ever
        raise FileFormatError(f"expected {file} to be a file, got something else")
    return file


@contextmanager
def at_most(shapes: Shapes | None) -> Iterator[None]:
    """Inside, a factory that makes far more numbers than these shapes hold is stopped beforehand.

    Raises:
        FileFormatError: it wants to.
    """
    if shapes is None:
        yield
    else:
        with _Counting(16 * _numbers(shapes) + SPARE, 16 * len(shapes) + SPARE_TENSORS):
            yield


def check_widths(graph: Graph, widths: Mapping[str, int], shapes: Shapes | None) -> None:
    """Refuse widths that growing cannot give, and those of layers larger than the whole file."""
    for name, width in widths.items():
        group = graph.group(name)
        if group.frozen is not None and width != group.width:
            raise FileFormatError(
                f"expected '{name}' to be {group.width} wide, which cannot change "
                f"({group.frozen}), got {width}; {APART}"
            )
    for layer in graph.layers:
        kind = KINDS.get(layer.kind)
        wanted = kind.params(graph.shape(layer.name, widths)) if kind else 0
        if shapes is not None and wanted > _numbers(shapes):
            raise FileFormatError(
                f"expected widths for {_numbers(shapes):,} numbers, as the weights have, got "
                f"{wanted:,} in '{layer.name}' alone; {APART}"
            )


def check_same(expected: Shapes, got: Shapes, told: str = APART) -> None:
    """Refuse tensors that are missing, additional, or of another shape."""
    for name in sorted(expected.keys() | got.keys()):
        if expected.get(name) != got.get(name):
            raise FileFormatError(
                f"expected {name} of shape {expected.get(name, 'absent')}, "
                f"got {got.get(name, 'absent')}; {told}"
            )


def shapes_of(model: nn.Module) -> Shapes:
    """The shapes of a network's parameters and buffers, as they would be saved."""
    return {name: tuple(t.shape) for name, t in model.state_dict().items()}


def without_memory(model: nn.Module) -> nn.Module:
    """A copy whose tensors have shapes only; those that were one are one."""
    bare: dict[int, Any] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        shape = tensor.detach().to("meta")
        own = isinstance(tensor, nn.Parameter)
        bare[id(tensor)] = nn.Parameter(shape, tensor.requires_grad) if own else shape
    return copy.deepcopy(model, loose(model) | bare)


def _numbers(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the numbers and tensors that are made, before they take memory."""

    def __init__(self, numbers: int, tensors: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers, self.tensors = numbers, tensors

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Every call of torch; those that make tensors of nothing begin with sizes."""
        sizes = args[0] if args else None
        if isinstance(sizes, int):
            sizes = (sizes,)
        if isinstance(sizes, list | tuple) and all(isinstance(n, int) for n in sizes):
            self.numbers -= math.prod(sizes)
            self.tensors -= 1
            if self.numbers < 0 or self.tensors < 0:
                raise FileFormatError(f"its arguments make a far larger network; {APART}")
        return func(*args, **(kwargs or {}))
