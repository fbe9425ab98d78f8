"""Networks whose inputs and outputs are no single tensors, with a sample and batches for each."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Scores = namedtuple("Scores", "main side")


@dataclass
class Answer:
    logits: Tensor
    hidden: tuple[Tensor, ...] = ()
    loss: Tensor | None = None


class Model(OrderedDict):  # type: ignore[type-arg]
    """A mapping whose entries are attributes."""

    def __init__(self, **entries: Any) -> None:
        super().__init__(entries)
        self.__dict__.update(entries)


class Gives(nn.Module):
    """Two layers, and whatever `give` makes of the values in them."""

    def __init__(self, give: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.stem, self.body, self.head = nn.Linear(5, 6), nn.Linear(6, 7), nn.Linear(7, 4)
        self.give = give

    def forward(self, x: Tensor) -> Any:
        hidden = torch.tanh(self.body(torch.tanh(self.stem(x))))
        return self.give(self.head(hidden), hidden)


class Tokens(nn.Module):
    """Whole numbers in; the mask is optional."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.conv = nn.Embedding(20, 6), nn.Conv1d(6, 5, 3)
        self.head = nn.Linear(5, 4)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.embed(ids)
        if mask is not None:
            x = x * mask[:, :, None]
        return self.head(torch.tanh(self.conv(x.transpose(1, 2))).amax(2))


class Two(nn.Module):
    """Two inputs, the second by name alone."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(5, 7), nn.Linear(3, 7), nn.Linear(7, 4)

    def forward(self, image: Tensor, *, extra: Tensor) -> Tensor:
        return self.head(torch.tanh(self.a(image) + self.b(extra)))


class Nested(nn.Module):
    """One dict with a list inside, a flag beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(5, 7), nn.Linear(3, 7), nn.Linear(7, 4)
        self.side = nn.Linear(5, 2)

    def forward(self, batch: dict[str, Any], double: bool = False) -> dict[str, Any]:
        x, (y, z) = batch["x"], batch["rest"]
        hidden = torch.tanh(self.a(x) + self.b(y + z))
        out = self.head(hidden)
        return {"out": 2 * out if double else out, "more": [self.side(x), None]}


class Fixed(nn.Module):
    """Runs on a batch of four alone."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.head = nn.Linear(5, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.a(x)).reshape(4, -1))


class Alone(Fixed):
    """Runs on a single sample alone."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.a(x))).reshape(1, 4)


@dataclass(frozen=True)
class Case:
    make: Callable[[], nn.Module]
    sample: Callable[[], Any]
    scores: Callable[[Any], Tensor] = lambda outputs: outputs
    """Of the outputs, (N, 4) to which a loss can be taken."""
    inputs: tuple[str, ...] = ("input",)
    """Names in an exported file."""
    outputs: tuple[str, ...] = ("output",)
    dtype: torch.dtype | None = torch.float64


def x(n: int = 6) -> Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(n), dtype=torch.float64)


def y(n: int = 6) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(n + 1), dtype=torch.float64)


def ids(n: int = 6) -> Tensor:
    return torch.randint(0, 20, (n, 9), generator=torch.Generator().manual_seed(n))


def mask(n: int = 6) -> Tensor:
    return torch.arange(9)[None] < torch.arange(3, 3 + n)[:, None]


def _gives(give: Callable[[Tensor, Tensor], Any]) -> Callable[[], nn.Module]:
    return lambda: Gives(give)


PAIR = ("output_0", "output_1")
CASES: dict[str, Case] = {
    "a dict": Case(
        _gives(lambda o, h: {"out": o, "aux": h}), x, lambda g: g["out"], outputs=("out", "aux")
    ),
    "a tuple": Case(_gives(lambda o, h: (o, h)), x, lambda g: g[0], outputs=PAIR),
    "a list": Case(_gives(lambda o, h: [h, o]), x, lambda g: g[1], outputs=PAIR),
    "a named tuple": Case(
        _gives(lambda o, h: Scores(o, h)), x, lambda g: g.main, outputs=("main", "side")
    ),
    "a dataclass": Case(
        _gives(lambda o, h: Answer(o, (h, h + 1))),
        x,
        lambda g: g.logits,
        outputs=("logits", "hidden.0", "hidden.1"),
    ),
    "a mapping with attributes": Case(
        _gives(lambda o, h: Model(logits=o, state=h)),
        x,
        lambda g: g["logits"],
        outputs=("logits", "state"),
    ),
    "booleans and whole numbers": Case(
        _gives(lambda o, h: (o, o > 0, o.argmax(1))),
        x,
        lambda g: g[0],
        outputs=("output_0", "output_1", "output_2"),
    ),
    "tokens": Case(Tokens, ids),
    "tokens and a mask": Case(Tokens, lambda: (ids(), mask()), inputs=("ids", "mask")),
    "tokens by name": Case(Tokens, lambda: {"ids": ids()}, inputs=("ids",)),
    "a keyword-only input": Case(
        Two, lambda: {"extra": y(), "image": x()}, inputs=("image", "extra")
    ),
    "a list of inputs": Case(Tokens, lambda: [ids(), mask()], inputs=("ids", "mask")),
    "a dict as one input": Case(
        Nested,
        lambda: ({"x": x(), "rest": [y(), y(6) + 1]},),
        lambda g: g["out"],
        inputs=("batch.x", "batch.rest.0", "batch.rest.1"),
        outputs=("out", "more.0"),
    ),
    "a flag beside it": Case(
        Nested,
        lambda: ({"x": x(), "rest": (y(), y(6) + 1)}, True),
        lambda g: g["out"],
        inputs=("batch.x", "batch.rest.0", "batch.rest.1"),
        outputs=("out", "more.0"),
    ),
    "a batch of four alone": Case(Fixed, lambda: x(4)),
    "a single sample alone": Case(Alone, lambda: x(1)),
}


def made(case: Case) -> nn.Module:
    """The network in evaluation mode and double precision, its weights always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return case.make().to(case.dtype).eval()
