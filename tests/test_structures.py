"""Structures: what is inside is found by name, changed, and put back into the same containers."""

from __future__ import annotations

from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from easearch.structures import arguments, call, mapped, named, tensors

Pair = namedtuple("Pair", "low high")


@dataclass(frozen=True)
class Answer:
    scores: Tensor
    hidden: tuple[Tensor, ...] = ()
    note: str = "n"


@dataclass
class Entries(OrderedDict):  # type: ignore[type-arg]
    """A mapping with its entries as attributes, as transformer libraries give it."""

    logits: Any = None
    loss: Any = field(default=None)

    def __post_init__(self) -> None:
        for name in ("logits", "loss"):
            if getattr(self, name) is not None:
                super().__setitem__(name, getattr(self, name))


ONE, TWO = torch.ones(2), torch.full((2,), 2.0)
CASES: dict[str, tuple[Any, list[str]]] = {
    "a tensor": (ONE, [""]),
    "a tuple": ((ONE, None, TWO), ["0", "2"]),
    "a list in a dict": ({"a": [ONE, {"b": TWO}], "n": 3}, ["a.0", "a.1.b"]),
    "a named tuple": (Pair(ONE, TWO), ["low", "high"]),
    "a dataclass": (Answer(ONE, (TWO, ONE)), ["scores", "hidden.0", "hidden.1"]),
    "a mapping with attributes": (Entries(logits=ONE), ["logits"]),
    "another mapping": (UserDict(x=ONE), ["x"]),
    "results of torch": (torch.ones(2, 3).max(1), ["0", "1"]),
    "nothing": ((), []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_inside_is_changed_in_place_of_the_old(case: str) -> None:
    value, paths = CASES[case]
    assert list(named(value)) == paths
    again = mapped(lambda tensor: tensor + 1, value)
    assert type(again) is type(value)
    assert list(named(again)) == paths
    for old, new in zip(tensors(value), tensors(again), strict=True):
        assert torch.equal(new, old + 1)


def test_entries_are_attributes_too() -> None:
    again = mapped(lambda tensor: tensor * 0, Entries(logits=ONE))
    assert torch.equal(again.logits, again["logits"])
    assert not again.logits.any()


class Sum(nn.Module):
    def forward(self, a: Tensor, b: Any = None, *, c: Any = None) -> Tensor:
        return a + sum(one for one in (b, c) if one is not None)


def test_a_model_is_called_by_the_structure() -> None:
    assert arguments([ONE, TWO]) == ((ONE, TWO), {})
    for inputs, expected in ((ONE, 1), ((ONE, TWO), 3), ({"a": ONE, "c": TWO}, 3)):
        assert call(Sum(), inputs)[0] == expected
