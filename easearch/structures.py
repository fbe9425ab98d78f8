"""What a model takes and gives, of any structure: how it is called, and the tensors in it.

A tensor is one argument; a tuple or a list, as data loaders give it, are positional arguments; a
mapping is keyword arguments. Inside, and in what a model gives, tensors stand in tuples, lists,
mappings, named tuples and dataclasses, nested at will.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Structure = Any
"""A tensor, or a tuple, list, mapping, named tuple or dataclass of structures and constants."""


def arguments(inputs: Structure) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments that inputs are for a model's forward pass."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, tuple | list):
        return tuple(inputs), {}
    return (inputs,), {}


def call(model: nn.Module | Callable[..., Any], inputs: Structure) -> Structure:
    """What a model gives for inputs: the one place that says how they are given to it.

    It gets copies: some models write into their inputs.
    """
    positional, keywords = arguments(mapped(torch.clone, inputs))
    return model(*positional, **keywords)


def tensors(value: Structure) -> Iterator[Tensor]:
    """All tensors in a structure, in their order."""
    yield from (leaf for _, leaf in leaves(value) if isinstance(leaf, Tensor))


def named(value: Structure) -> dict[str, Tensor]:
    """All tensors in a structure by their paths: `logits`, `0`, `states.1`; "" for a tensor."""
    return {path: leaf for path, leaf in by_path(value).items() if isinstance(leaf, Tensor)}


def by_path(value: Structure) -> dict[str, Any]:
    """All that is no container by its path; of two with one path the second ends in `_2`."""
    found: dict[str, Any] = {}
    for path, leaf in leaves(value):
        number, again = 2, path
        while again in found:
            again, number = f"{path}_{number}", number + 1
        found[again] = leaf
    return found


def mapped(change: Callable[[Tensor], Any], value: Structure) -> Structure:
    """The same structure with every tensor changed; constants stay."""
    return replaced(lambda leaf: change(leaf) if isinstance(leaf, Tensor) else leaf, value)


def moved(value: Structure, device: torch.device | str) -> Structure:
    """The same structure with every tensor on the device."""
    return mapped(lambda tensor: tensor.to(device), value)


def leaves(value: Structure, path: str = "") -> Iterator[tuple[str, Any]]:
    """All that is no container in a structure, with its path."""
    inside = _inside(value)
    if inside is None:
        yield path, value
    else:
        for name, one in inside.items():
            yield from leaves(one, f"{path}.{name}" if path else str(name))


def replaced(change: Callable[[Any], Any], value: Structure) -> Structure:
    """The same structure with everything changed that is no container, in the order of `leaves`."""
    inside = _inside(value)
    if inside is None:
        return change(value)
    return _like(value, {name: replaced(change, one) for name, one in inside.items()})


def _inside(value: Structure) -> dict[Any, Any] | None:
    """What a container holds, by name or place; None where it is none."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if isinstance(value, tuple | list) and not isinstance(value, torch.Size):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return None


def _like(value: Structure, inside: Mapping[Any, Any]) -> Structure:
    """A container of the same type that holds something else."""
    if type(value) is dict:
        return dict(inside)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*inside.values())
    if isinstance(value, tuple | list):
        return type(value)(inside.values())
    made = copy.copy(value)
    if isinstance(value, Mapping):
        for name, one in inside.items():
            made[name] = one
    if dataclasses.is_dataclass(value):
        # also what is both, a mapping with its entries as attributes; frozen ones too
        for field in dataclasses.fields(value):
            if field.name in inside:
                object.__setattr__(made, field.name, inside[field.name])
    return made
