"""Widths on which Python decides: seen also where only a much wider network takes another side."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from networks import Plain
from torch import Tensor, nn

import easearch as ea
from easearch.errors import GraphError
from easearch.growth.thresholds import may_decide_on_widths
from easearch.moves import Split


class Decides(nn.Module):
    """A hidden layer of eight, and a number that its width decides on."""

    def __init__(self, how: Callable[[nn.Module, Tensor], float | Tensor]) -> None:
        super().__init__()
        self.a, self.o, self.how = nn.Linear(6, 8), nn.Linear(8, 2), how

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        return self.o(h) * self.how(self, h)


class Largest(Decides):
    def __init__(self) -> None:
        super().__init__(lambda net, h: 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        return self.o(h) / max(h.shape[1], 12)


class Branch(Largest):
    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        if h.shape[1] > 20:
            h = h * 2
        return self.o(h)


class Attribute(Largest):
    def forward(self, x: Tensor) -> Tensor:
        return self.o(F.relu(self.a(x))) * (2 if self.a.out_features > 20 else 1)


class Whole(Largest):
    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        return self.o(h) * (1 + h.shape[1] // 32)


class Refuses(Largest):
    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        if h.shape[1] > 16:
            raise ValueError("too wide")
        return self.o(h)


def _scale(layer: nn.Linear) -> float:
    return 2.0 if layer.out_features > 40 else 1.0


class Helped(Largest):
    def forward(self, x: Tensor) -> Tensor:
        return self.o(F.relu(self.a(x))) * _scale(self.a)


class Harmless(Largest):
    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        if h.shape[1] < 2:
            raise ValueError("too narrow")
        return self.o(h)


@pytest.mark.parametrize("kind", [Largest, Branch, Attribute, Whole, Refuses, Helped])
def test_a_width_on_which_code_decides_cannot_change(kind: type[Largest]) -> None:
    model = kind().eval()
    graph = ea.trace(model, torch.randn(3, 6))
    assert graph.group("a").frozen is not None
    assert may_decide_on_widths(model)


def test_one_on_which_it_decides_nothing_can() -> None:
    model, x = Harmless().double().eval(), torch.randn(3, 6).double()
    graph = ea.trace(model, x)
    assert graph.group("a").frozen is None
    wider = ea.apply(model, graph, [Split(group="a", channel=0, shares=(0.5, 0.5))])
    assert torch.allclose(wider(x), model(x), atol=1e-9)


def test_other_networks_are_not_looked_at_twice() -> None:
    assert not may_decide_on_widths(Plain())


def test_inputs_are_left_alone_by_models_that_write_into_them() -> None:
    class Writes(Largest):
        def forward(self, x: Tensor) -> Tensor:
            x -= 0.5
            x /= 2
            return self.o(F.relu(self.a(x)))

    model, x = Writes().eval(), torch.randn(8, 6)
    kept = x.clone()
    graph = ea.trace(model, x)
    assert graph.group("a").frozen is None
    batches = [(x, torch.arange(8) % 2)]
    found = ea.score(model, graph, batches, "neurons", crossfit=False)
    step = ea.take_step(model, graph, [found[0].move], batches)
    assert step.loss_after <= step.loss_before + 1e-6
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (torch.zeros(0, 6), "at least one sample"),
        (torch.eye(6).to_sparse(), "dense tensors"),
        (torch.nested.nested_tensor([torch.zeros(6), torch.zeros(6)]), "dense tensors"),
    ],
    ids=["empty", "sparse", "nested"],
)
def test_samples_that_nothing_runs_on(sample: Tensor, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        ea.trace(Harmless(), sample)


def test_a_model_without_numbers_is_traced_unchecked() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)).to("meta")
    with pytest.raises(GraphError, match="meta device"):
        ea.trace(model, torch.zeros(2, 6))


def test_a_sample_of_another_type_is_said() -> None:
    with pytest.raises(GraphError, match=r"does not run on .*float64.*same dtype"):
        ea.trace(
            nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)), torch.zeros(2, 6).double()
        )
