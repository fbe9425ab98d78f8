"""Firefly: what it promises of the whole over-grown network, of a candidate alone, of a layer."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from families import FAMILIES, inputs, settled
from families_torchvision import TORCHVISION
from networks import SMOOTH, batches, mean_loss, sample, trained
from scipy.stats import spearmanr
from test_untouched import witness
from torch import nn

import easearch as ea
from easearch.errors import ScoringError
from easearch.growth.training import recalibrate
from easearch.scoring.firefly import Firefly
from easearch.scoring.overgrown.contenders import columns
from easearch.scoring.overgrown.gates import Gates
from easearch.scoring.overgrown.network import Overgrown
from easearch.scoring.overgrown.pool import Pool
from easearch.scoring.units.scope import owned

TRIED = {*(FAMILIES.keys() - TORCHVISION.keys()), "shufflenet_v2", "resnext", "convnext", "swin"}
"""The deep ones have no kinds of layers that these have not."""


def decrease(model: nn.Module, graph: ea.Graph, moves: list) -> float:
    return mean_loss(model, batches()) - mean_loss(ea.apply(model, graph, moves), batches())


@pytest.mark.parametrize("name", SMOOTH)
def test_the_gains_sum_to_what_all_candidates_bring_together(name: str) -> None:
    """The three points' rule is exact to third order in the gates."""
    model = trained(name)
    graph = ea.trace(model, sample())
    pool = Pool(Firefly(new=3, step=0.02).blocks(model, graph)[0])
    gates = Gates(Overgrown(model, graph, pool.moves, pool.start), pool, F.cross_entropy)
    numbers = gates.learned(batches(), 1, 0.3)
    gains, middle = gates.gains(numbers, batches(), (1 / 6, 1 / 2, 5 / 6))
    real = decrease(model, graph, pool.moves(numbers))
    assert real > 0
    assert float(gains.mean.sum()) == pytest.approx(real, rel=0.01)
    assert float(middle.mean.sum()) == pytest.approx(real, rel=0.1)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("new", [0, 2])
def test_a_candidate_alone_keeps_its_promise(name: str, new: int) -> None:
    """At a step so small that candidates do not feel each other; splits and neurons apart."""
    model = trained(name)
    graph = ea.trace(model, sample())
    found = ea.score(model, graph, batches(), Firefly(new=new, step=2e-3, crossfit=False))
    kind = ea.NewNeuron if new else ea.Split
    ranked = [c for c in found if isinstance(c.move, kind)]
    worth = [c for c in ranked if c.gain > 0.05 * ranked[0].gain][:10]
    assert len(worth) >= 3
    for candidate in worth:
        real = decrease(model, graph, [candidate.move])
        assert real == pytest.approx(candidate.gain, rel=0.1)


def test_learning_pays() -> None:
    """Directions learned on the loss are worth more than those in which candidates begin."""
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    still = Firefly(new=4, rate=1e-9, crossfit=False)
    begun = sum(c.gain for c in ea.score(model, graph, batches(), still))
    found = ea.score(model, graph, batches(), Firefly(new=4, crossfit=False))
    more = ea.score(model, graph, batches(), Firefly(new=4, crossfit=False, epochs=4))
    assert 3 * abs(begun) < sum(c.gain for c in found) < sum(c.gain for c in more)


@pytest.mark.parametrize("name", ["plain", "mobilenet_v2", "mobilenet_v2 relu"])
def test_a_layer_is_worth_its_neurons(name: str) -> None:
    """Applied alone, of the neurons that it keeps; it fits the network as it is."""
    model = trained(name)
    graph = ea.trace(model, sample())
    how = Firefly(new=4, layers=3, neurons_a_layer=3, step=1e-4, crossfit=False)
    found = ea.score(model, graph, batches(), how)
    assert 1 <= len(found.layers) <= 3
    assert not any(c.move.deepens for c in found)
    assert [c.gain for c in found.layers] == sorted((c.gain for c in found.layers), reverse=True)
    for candidate in found.layers:
        assert isinstance(candidate.move, ea.NewLayer) and 1 <= candidate.move.hidden <= 3
        assert decrease(model, graph, [candidate.move]) == pytest.approx(candidate.gain, rel=0.05)
        wider = ea.apply(model, graph, [candidate.move])
        assert ea.trace(wider, sample()) == graph.after([candidate.move])


def test_candidates_stay_within_their_bounds() -> None:
    """A split's offset relative to what the channel owns, new columns to those beside them."""
    model = trained("mobilenet_v2")
    graph = ea.trace(model, sample())
    found = ea.score(model, graph, batches(), Firefly(new=3, step=0.03, epochs=3, rate=1.0))
    reached = 0.0
    for group in graph.growable:
        theta, out = owned(model, graph, group).theta, columns(model, graph, group).theta
        typical = float(out.square().sum(1).mean().sqrt())
        for move in (c.move for c in found if c.move.group == group.name):
            if isinstance(move, ea.Split):
                one, other = move.offsets
                assert all(torch.equal(one[key], -other[key]) for key in one)
                length, bound = one, float(theta[move.channel].norm())
            else:
                length, bound = move.out, typical
            share = math.sqrt(sum(float(v.square().sum()) for v in length.values())) / bound
            assert share <= 0.03 * (1 + 1e-9)
            reached = max(reached, share)
    assert reached > 0.0299


def test_a_new_channels_norm_knows_its_input() -> None:
    """Recalibrated after its birth, the norm of the first layer holds the same statistics."""
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    (data,) = batches(1)
    found = ea.score(model, graph, [data], Firefly(new=2, crossfit=False))
    group = graph.growable[0]
    moves = [c.move for c in found if isinstance(c.move, ea.NewNeuron)]
    moves = [move for move in moves if move.group == group.name]
    wider = ea.apply(model, graph, moves)
    norm = next(m for m in wider.modules() if isinstance(m, nn.BatchNorm2d))
    born = copy.deepcopy(norm)
    recalibrate(wider, [data])
    assert len(moves) == 2
    for one, other in (
        (born.running_mean, norm.running_mean),
        (born.running_var, norm.running_var),
    ):
        assert torch.allclose(one[-2:], other[-2:], rtol=1e-9)
        assert not torch.allclose(one[:-2], other[:-2], rtol=1e-2)


@pytest.mark.parametrize("name", sorted(TRIED))
def test_every_group_of_every_family(name: str) -> None:
    """Every growable group has its splits and neurons, or a reason why not; nothing is touched."""
    family = FAMILIES[name]
    model, x = settled(family), inputs(family, 6, seed=7)
    y = torch.arange(6) % family.classes
    graph = ea.trace(model, x)
    check = witness(model)
    found = ea.score(model, graph, [(x, y)], Firefly(new=1, step=0.01, crossfit=False))
    check()
    assert all(math.isfinite(c.gain) and c.gain >= 0 for c in found)
    for group in graph.growable:
        moves = [c.move for c in found if c.move.group == group.name]
        split = sorted(m.channel for m in moves if isinstance(m, ea.Split))
        assert split in ([], list(range(group.width)))
        assert split or not owned(model, graph, group).slots
        assert len(moves) - len(split) == 1 or group.name in found.nothing
        assert group.name in found.nothing or any(
            c.gain > 0 for c in found if c.move.group == group.name
        )


def test_evidence_and_repetition() -> None:
    """Cross-fitted: told of unseen samples, with intervals; twice the same, another seed others."""
    model = trained("plain")
    graph = ea.trace(model, sample())
    one, two = (ea.score(model, graph, batches(8), Firefly(new=3)) for _ in range(2))
    assert one.images == 128 and one.held_out is not None and one.rank_correlation is not None
    assert all(c.interval is not None and c.interval >= 0 for c in one)
    assert [(c.gain, c.interval) for c in one] == [(c.gain, c.interval) for c in two]
    other = ea.score(model, graph, batches(8), Firefly(new=3, seed=1))
    assert [c.gain for c in one] != [c.gain for c in other]
    together = [c for c in one if c.gain > 0]
    apart = ea.score(model, graph, batches(8), Firefly(new=3, crossfit=False))
    assert apart.held_out is None and apart.images == 128
    assert len(together) > 5


def test_held_out_agrees_with_unseen_samples() -> None:
    """More samples, less of the claim is noise."""
    model = trained("plain")
    graph = ea.trace(model, sample())
    few, many = (ea.score(model, graph, batches(n, 32), Firefly(new=3)) for n in (2, 32))
    assert few.held_out is not None and many.held_out is not None
    assert few.held_out < many.held_out < 1.2
    assert many.rank_correlation is not None and many.rank_correlation > 0.8
    real = [decrease(model, graph, [c.move]) for c in many[:60:4]]
    assert spearmanr(real, [c.gain for c in many[:60:4]]).statistic > 0.6


def test_nothing_to_grow_gives_nothing() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 5)).double()
    graph = ea.trace(model, sample())
    found = ea.score(model, graph, batches(1), "firefly")
    assert list(found) == [] and found.layers == ()


def test_other_losses_and_modes() -> None:
    """Any mean loss; a model in training mode is scored as in evaluation mode."""
    model = trained("tied")
    graph = ea.trace(model, sample())

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(outputs, F.one_hot(targets, 5).double())

    quiet = ea.score(model, graph, batches(), Firefly(new=1), loss=loss)
    loud = ea.score(model.train(), graph, batches(), Firefly(new=1), loss=loss)
    assert [c.gain for c in quiet] == [c.gain for c in loud]
    assert model.training


@pytest.mark.parametrize(
    "options",
    [
        *({"step": 0.0}, {"step": float("nan")}, {"rate": -1.0}, {"epochs": 0}),
        *({"new": -1}, {"layers": -1}, {"neurons_a_layer": 0}, {"points": ()}, {"points": (2.0,)}),
    ],
)
def test_options_without_a_meaning_are_refused(options: dict) -> None:
    with pytest.raises(ScoringError, match="expected"):
        Firefly(**options)
