"""An ONNX node as a rule sees it: a rule makes of it the torch function that does its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Function = Callable[..., Any]
"""Tensors in (None: left out), a tensor or several out."""
WITHOUT_EFFECT = frozenset(
    {"momentum", "stash_type", "kernel_shape", "storage_order", "extrapolation_value", "seed"}
)
"""Attributes of training, of what the weight's shape tells as well, or of outputs nobody has."""


class NoRule(Exception):
    """What of a model plain torch has no rule for, in words."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One node, with a value for every input: its own if it is known, else one of its shape."""

    type: str
    attributes: Mapping[str, Any]
    values: tuple[Tensor | None, ...]
    """None: an input that is left out."""
    known: tuple[bool, ...]
    """Whether a value is the same at every run."""
    outputs: int = 1
    read: set[str] = field(default_factory=set)
    """The attributes that the rule has looked at."""

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute; texts as `str`."""
        self.read.add(name)
        return self.attributes.get(name, default)

    def only(self, name: str, *allowed: Any) -> None:
        """Refuse an attribute that has another value than these, the first of which is its default.

        Raises:
            NoRule: says the attribute and its value.
        """
        value = self.attribute(name, allowed[0])
        if value not in allowed:
            raise self.refused(f"{name}={value}")

    @property
    def shape(self) -> tuple[int, ...]:
        """The first input's."""
        return self.shape_of(0)

    def shape_of(self, place: int) -> tuple[int, ...]:
        """The shape of an input that is there."""
        value = self.values[place]
        return () if value is None else tuple(value.shape)

    def given(self, place: int) -> bool:
        """Whether an input is there."""
        return place < len(self.values) and self.values[place] is not None

    def numbers(self, place: int) -> list[Any] | None:
        """An input as plain numbers; None where it is left out.

        Raises:
            NoRule: its numbers depend on what the model is given.
        """
        if not self.given(place):
            return None
        if not self.known[place]:
            raise self.refused(f"input {place} computed from the model's input")
        found: list[Any] = self.values[place].flatten().tolist()  # type: ignore[union-attr]
        return found

    def number(self, place: int, default: Any = None) -> Any:
        """An input of one number."""
        found = self.numbers(place)
        return default if found is None else found[0]

    def axis(self, default: int) -> int:
        """The attribute `axis`, counted from the front."""
        axis: int = self.attribute("axis", default)
        return axis % len(self.shape)

    def axes(self) -> list[int] | None:
        """Axes from the second input, or from the attribute that they were before opset 18."""
        return self.numbers(1) if self.given(1) else self.attribute("axes")

    def refused(self, what: str) -> NoRule:
        """An error to raise: the operator with that has no rule."""
        return NoRule(f"{self.type} with {what}")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How an operator runs in torch.

    `make` gives a function of the node's first `tensors` inputs (None: of all); the others are read
    as numbers when it is made, so that no run waits for them.
    """

    make: Callable[[Node], Function]
    tensors: int | None = None


def direct(function: Function) -> Rule:
    """An operator that is a torch function."""
    return Rule(make=lambda _: function)
