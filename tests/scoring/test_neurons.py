"""New neurons: what is promised is kept, what a group asks for is spread, what cannot be is left
out.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from families import FAMILIES, inputs, settled
from networks import KINKED, SMOOTH, batches, mean_loss, sample, trained
from scipy.stats import spearmanr
from torch import Tensor, nn

import easearch as ea
from easearch.scoring import CRITERIA
from easearch.scoring.neurons import Neurons
from easearch.scoring.newborn.neuron_batches import apart, unit_length

SMOOTH_FAMILIES = (
    *("efficientnet", "convnext", "swin", "maxvit", "conv1d", "transposed", "grouped"),
    *("multiplier", "group_norm", "instance_norm", "layer_norm_positions", "elu", "gelu"),
    *("softplus", "concat_add", "spatial_gate", "scalars", "layer_scale", "bias_parameter"),
    *("functional", "glu", "split_sizes", "clean_shuffle", "pixel_shuffle", "flatten_last"),
    *("channels_last_linear", "shared_conv", "twice", "tied_weights", "multi_reader", "unet"),
    *("needs_export", "mixer", "attention", "mha"),
)
KINKED_FAMILIES = ("mobilenet_v3", "resnet", "densenet", "squeezenet", "prelu", "pools", "dgcnn")


def kept(model: nn.Module, graph: ea.Graph, move: ea.NewNeuron, data: list) -> float:
    return mean_loss(model, data) - mean_loss(ea.apply(model, graph, [move]), data)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("criterion", ["neurons", "gradmax"])
def test_promise_smooth(name: str, criterion: str) -> None:
    """(loss before - loss after) / gain, with the statistics that the move carries."""
    model = trained(name)
    graph = ea.trace(model, sample())
    how = CRITERIA[criterion](step=0.001, crossfit=False)
    found = ea.score(model, graph, batches(), how)
    worth = [c for c in found if c.gain > 0.02 * found[0].gain]
    assert len(worth) >= 5
    for one in worth[:: max(1, len(worth) // 12)]:
        assert kept(model, graph, one.move, batches()) / one.gain == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", [n for n in KINKED if "v2" not in n])
def test_promise_kinked(name: str) -> None:
    """The ranks agree, at a step that is taken."""
    model = trained(name)
    graph = ea.trace(model, sample())
    found = ea.score(model, graph, batches(), Neurons(step=0.02, crossfit=False))
    worth = [c for c in found if c.gain > 0][::2]
    assert len(worth) >= 10
    real = [kept(model, graph, one.move, batches()) for one in worth]
    assert spearmanr(real, [c.gain for c in worth]).statistic > 0.9


@pytest.mark.parametrize(
    ("criterion", "name"),
    [(c, n) for c in ("neurons", "gradmax") for n in SMOOTH_FAMILIES]
    + [("neurons", n) for n in KINKED_FAMILIES],
)
def test_promise_families(name: str, criterion: str) -> None:
    """Every group that can grow has new neurons or a reason, and the median promise is kept."""
    family = FAMILIES[name]
    model, x = settled(family), inputs(family, 8, seed=7)
    data = [(x, torch.arange(8) % family.classes)]
    graph = ea.trace(model, x)
    how = CRITERIA[criterion](step=0.002, crossfit=False, count=2)
    found = ea.score(model, graph, data, how)
    assert {c.move.group for c in found} | set(found.nothing) == {g.name for g in graph.growable}
    worth = [c for c in found if c.gain > 0.02 * found[0].gain][:: max(1, len(found) // 8)]
    errors = [abs(kept(model, graph, c.move, data) / c.gain - 1) for c in worth]
    assert not errors or sorted(errors)[len(errors) // 2] < 0.05


def test_a_climb_raises_the_gain() -> None:
    """Rows turned towards the slope gain more than those that were born."""
    model = trained("mobilenet_v2")
    graph = ea.trace(model, sample())

    def summed(climbs: int) -> float:
        how = Neurons(climbs=climbs, crossfit=False)
        return sum(c.gain for c in ea.score(model, graph, batches(), how))

    assert summed(1) > 1.2 * summed(0)


def test_newborns_of_a_group_take_directions_of_their_own() -> None:
    """Columns of one group are orthogonal, until all directions are taken."""
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    found = ea.score(model, graph, batches(), Neurons(count=4))
    for group in graph.growable:
        outs = [
            torch.cat([t.flatten() for t in c.move.out.values()])
            for c in found
            if c.move.group == group.name
        ]
        units = unit_length(torch.stack(outs))
        assert torch.allclose(units @ units.T, torch.eye(len(outs)).to(units), atol=1e-9)


def test_directions_begin_anew_when_all_are_taken() -> None:
    wanted = torch.tensor([[3.0, 0], [0, 2.0], [1.0, 0], [2.9, 0.1]], dtype=torch.float64)
    chosen, directions = apart(wanted, 4)
    assert chosen.tolist() == [0, 1, 3, 2]
    assert torch.allclose(directions[2], unit_length(wanted[3:4])[0])
    assert torch.allclose(directions.norm(dim=1), torch.ones(4).to(wanted))


def test_gains_are_of_unseen_batches() -> None:
    """Twice as many samples that are all alike: what is claimed is what unseen ones see. Labels
    drawn anew for those that judge: it is not.
    """
    model = trained("plain")
    graph = ea.trace(model, sample())
    x, y = batches(1)[0]
    same = ea.score(model, graph, [(x, y), (x, y)], Neurons())
    assert same.held_out == pytest.approx(1, abs=0.02)
    assert same.images == 32
    other = ea.score(model, graph, [(x, y), (x, y.roll(1))], Neurons())
    assert other.held_out < 0.5
    assert other[0].interval is None
    many = ea.score(model, graph, batches(8), Neurons())
    assert all(0 < c.interval < float("inf") for c in many)
    assert -1 <= many.rank_correlation <= 1


class Given(nn.Module):
    """A reader whose weight is no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 5)
        self.register_buffer("given", torch.randn(5, 5))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(torch.tanh(self.two(torch.tanh(self.one(x)))), self.given)


def test_groups_without_linear_readers_are_left_out() -> None:
    torch.manual_seed(0)
    model = Given().double()
    x = torch.randn(8, 4, dtype=torch.float64)
    graph = ea.trace(model, x)
    assert {g.name for g in graph.growable} >= {"one"}
    found = ea.score(model, graph, [(x, torch.arange(8) % 5)], Neurons())
    assert {c.move.group for c in found} == {"one"}
    for name in {g.name for g in graph.growable} - {"one"}:
        assert "not a parameter" in found.nothing[name]


def test_splits_and_new_neurons_in_one_list() -> None:
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    found = ea.score(model, graph, batches(), "mixed")
    kinds = {type(c.move) for c in found}
    assert kinds == {ea.Split, ea.NewNeuron}
    assert [c.gain for c in found] == sorted((c.gain for c in found), reverse=True)
    alone = ea.score(model, graph, batches(), "neurons")
    assert [c.gain for c in found if isinstance(c.move, ea.NewNeuron)] == [c.gain for c in alone]
    assert found.held_out <= alone.held_out


@pytest.mark.parametrize("options", [{"step": 0}, {"count": 0}, {"rounds": 0}, {"climbs": -1}])
def test_bad_options(options: dict) -> None:
    with pytest.raises(ea.errors.ScoringError, match="expected"):
        Neurons(**options)
