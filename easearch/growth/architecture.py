"""How to build a saved network: its factory and arguments, one input, the widths of its groups.

The factory is built, its groups are set to the widths, the weights come from another file. Whatever
a file says is checked before memory is taken for it: a file may come from a stranger.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from easearch.errors import FileFormatError, nearest, reason_of
from easearch.factories import Factory, import_path, made
from easearch.graph import Graph
from easearch.growth import sampled
from easearch.growth.deeper import describe, restoring
from easearch.growth.safe_loading import (
    Shapes,
    at_most,
    check_same,
    check_widths,
    file_in,
    shapes_of,
    without_memory,
)
from easearch.growth.surgery import apply, resize
from easearch.models import SEEDS, build
from easearch.structures import Structure, mapped
from easearch.tracing import trace
from easearch.untrusted import read_json

ARCHITECTURE = "architecture.json"
FORMAT = 1
LARGEST_FILE = 2**24
"""Bytes of an architecture: thousands of groups fit."""
LARGEST_INPUT = 2**24
"""Numbers of one input: 3 x 2,300 x 2,300. What runs on it at tracing takes many times as much."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How to build a network: its seed and the widths that it has grown to."""

    factory: str
    """A seed's name, the import path of a user's factory, or "" for one that has none."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    input: tuple[int, ...]
    """Shape of one input, without the batch; of several, of the first."""
    widths: Mapping[str, int] = field(default_factory=dict)
    deeper: tuple[Mapping[str, Any], ...] = ()
    """New layers, in the order in which they are put into the seed (`easearch.growth.deeper`)."""
    form: Mapping[str, Any] | None = None
    """The sample's structure (`easearch.growth.sampled`); None: one tensor of floats."""
    format: int = FORMAT

    def sample(self) -> Structure:
        """An input of the form that was recorded; zeros, batch 1, where it is one of floats."""
        return torch.zeros(1, *self.input) if self.form is None else sampled.made(self.form)

    def to_json(self) -> str:
        """The text of the file.

        Raises:
            FileFormatError: the arguments are not as JSON can hold them.
        """
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        try:
            return json.dumps(fields, indent=1, allow_nan=False) + "\n"
        except (TypeError, ValueError) as error:
            raise FileFormatError(
                "expected arguments as JSON can hold them (numbers, text, lists, mappings): "
                f"{reason_of(error)}"
            ) from None

    def build(self, factory: Factory | None = None, shapes: Shapes | None = None) -> nn.Module:
        """The network at its widths, its weights not yet meaningful.

        Args:
            factory: builds the seed when it is not one of easearch's own.
            shapes: those of the saved weights: a network that differs is refused before it takes
                memory.

        Raises:
            FileFormatError: the seed is unknown, has no such groups, or differs from the weights.
        """
        try:
            with at_most(shapes):
                seed = (
                    build(self.factory, **self.arguments)
                    if factory is None
                    else made(factory, self.arguments, self.factory)
                )
            graph = trace(seed, _as_floats_of(seed, self.sample()))
            layers = restoring(graph, self.deeper)
            deeper = graph.after(layers)
            check_widths(deeper, self.widths, shapes)
            if shapes is not None:
                frame = apply(without_memory(seed), graph, layers)
                check_same(shapes_of(resize(frame, deeper, self.widths)), shapes)
            return resize(apply(seed, graph, layers), deeper, self.widths)
        except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            raise FileFormatError(
                f"{ARCHITECTURE} does not describe a network: {reason_of(error)}"
            ) from error

    def grown(self, graph: Graph) -> Architecture:
        """The same seed at this graph's widths, with its new layers."""
        return replace(self, widths=graph.widths, deeper=describe(graph))


def _as_floats_of(model: nn.Module, sample: Structure) -> Structure:
    """The sample with floating numbers as the model's: another factory may make another type."""
    own = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    return mapped(lambda x: x.to(own) if x.is_floating_point() else x, sample)


def recorded(factory: Factory | str | None) -> str:
    """What an architecture says of a factory: a seed's name, its import path, or ""."""
    if factory is None or isinstance(factory, str):
        return factory or ""
    seeds = {seed: name for name, seed in SEEDS.items()}
    return seeds.get(factory) or import_path(factory)


def read_architecture(folder: Path | str) -> Architecture:
    """The architecture saved in a folder. A field that the file does not have keeps its default.

    Raises:
        FileFormatError: it is missing, or is not one; or the folder is that of a front, which has
            one a limit.
    """
    if networks := networks_of(folder):
        names = ", ".join(one.name for one in networks)
        raise FileFormatError(
            f"expected the folder of one network, got {folder}, which has one for each of "
            f"{len(networks)} limits; name one of these in it: {names}"
        )
    file = file_in(folder, ARCHITECTURE)
    try:
        architecture = _read(read_json(file, LARGEST_FILE))
    except (ValueError, TypeError, OSError) as error:
        raise FileFormatError(f"{file} is not an architecture: {error}") from None
    if architecture.format != FORMAT:
        raise FileFormatError(
            f"{file}: expected format {FORMAT}, got {architecture.format}; "
            "read it with the version of easearch that wrote it"
        )
    for size in (*architecture.input, *architecture.widths.values()):
        if size < 1:
            raise FileFormatError(f"{file}: expected sizes and widths of 1 or more, got {size}")
    if math.prod(architecture.input) > LARGEST_INPUT:
        raise FileFormatError(
            f"{file}: expected an input of {LARGEST_INPUT:,} numbers at most, "
            f"got {list(architecture.input)}"
        )
    return architecture


def networks_of(folder: Path | str) -> list[Path]:
    """The folders of a front's networks in its top folder, smallest limit first; else none."""
    if (Path(folder) / ARCHITECTURE).exists():
        return []
    found = [one.parent for one in Path(folder).glob(f"limit-*/{ARCHITECTURE}")]
    numbered = [one for one in found if one.name.removeprefix("limit-").isdecimal()]
    return sorted(numbered, key=lambda one: int(one.name.removeprefix("limit-")))


def _read(content: Any) -> Architecture:
    if not isinstance(content, dict):
        raise TypeError(f"expected fields with values, got a {type(content).__name__}")
    for name in content:
        if name not in _READERS:
            raise ValueError(f"unknown field {name!r}; {nearest(name, _READERS)}")
    for one in fields(Architecture):
        needed = one.default is MISSING and one.default_factory is MISSING
        if (needed or one.name == "format") and one.name not in content:
            raise ValueError(f"'{one.name}' is missing")
    values = {}
    for name, value in content.items():
        try:
            values[name] = _READERS[name](value)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
    return Architecture(**values)


def _of(kind: type, value: Any) -> Any:
    # a bool is an int to Python, and never meant
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"expected {_WORDS[kind]}, got {str(value)[:40]!r}")
    return value


def _sizes(value: Any) -> tuple[int, ...]:
    return tuple(_of(int, size) for size in _of(list, value))


def _widths(value: Any) -> dict[str, int]:
    return {name: _of(int, width) for name, width in _of(dict, value).items()}


_WORDS = {int: "a whole number", str: "text", list: "a list", dict: "names with values"}
_READERS: dict[str, Callable[[Any], Any]] = {
    "factory": lambda value: _of(str, value),
    "arguments": lambda value: _of(dict, value),
    "input": _sizes,
    "widths": _widths,
    "form": lambda value: None if value is None else sampled.checked(value),
    "deeper": lambda value: tuple(_of(dict, one) for one in _of(list, value)),
    "format": lambda value: _of(int, value),
}
"""How each field of the file is read; a new field of `Architecture` is one line here."""
