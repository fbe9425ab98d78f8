"""Births: what a newborn owns, and that its norms hold the statistics of its own inputs."""

from __future__ import annotations

import copy

import pytest
import torch
from families import FAMILIES, inputs, settled
from networks import SMOOTH, batches, mean_loss, sample, trained
from torch import nn

import easearch as ea
from easearch.growth.training import recalibrate
from easearch.scoring import CRITERIA
from easearch.scoring.newborn.neuron_batches import born, parts_of
from easearch.scoring.newborn.neuron_pool import NewNeuronPool
from easearch.scoring.samples.traced_program import TracedProgram


def grown_norms(model: nn.Module, before: nn.Module) -> dict[str, nn.Module]:
    """The batch norms of a grown model that have a channel more."""
    old = dict(before.named_modules())
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.num_features > old[name].num_features
    }


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "tied"])
@pytest.mark.parametrize("criterion", ["neurons", "gradmax"])
def test_recalibration_leaves_newborns_where_they_are(name: str, criterion: str) -> None:
    """Norms measured anew on the same batches: a newborn's hold what they held, and with what they
    then hold its gain is what was promised. (Norms behind its readers change too, as after any
    growth: they take out what a newborn adds to their mean and variance.)
    """
    model, data = trained(name), batches(4, 64)
    recalibrate(model, data)
    graph = ea.trace(model, sample())
    found = ea.score(model, graph, data, CRITERIA[criterion](step=0.002, crossfit=False))
    before = mean_loss(model, data)
    worth = [c for c in found if c.gain > 0.1 * found[0].gain]
    ratios = []
    for one in worth[:: max(1, len(worth) // 6)]:
        wider = ea.apply(model, graph, [one.move])
        again = copy.deepcopy(wider)
        recalibrate(again, data)
        norms, anew = grown_norms(wider, model), grown_norms(again, model)
        assert norms
        ratios.append((before - mean_loss(wider, data)) / one.gain)
        for key, norm in norms.items():
            fresh, size = anew[key], anew[key].running_var[-1].sqrt()
            # The network feeds a norm in training and in evaluation a little differently.
            assert abs(norm.running_mean[-1] - fresh.running_mean[-1]) < 0.15 * size
            assert float(norm.running_var[-1] / fresh.running_var[-1]) == pytest.approx(1, abs=0.2)
            norm.running_mean[-1], norm.running_var[-1] = (
                fresh.running_mean[-1],
                fresh.running_var[-1],
            )
        ratios.append((before - mean_loss(wider, data)) / one.gain)
    assert all(ratio == pytest.approx(1, abs=0.05) for ratio in ratios)


def test_without_its_statistics_recalibration_breaks_the_promise() -> None:
    """The law above would fail for norms as they are born by default (mean 0, variance 1)."""
    model, data = trained("mobilenet_v1"), batches(4, 64)
    recalibrate(model, data)
    graph = ea.trace(model, sample())
    changes = []
    for one in [c.move for c in ea.score(model, graph, data, "neurons", crossfit=False)[:4]]:
        into = {key: value for key, value in one.into.items() if "running" not in key}
        assert len(into) < len(one.into)
        wider = ea.apply(model, graph, [ea.NewNeuron(group=one.group, into=into, out=one.out)])
        again = copy.deepcopy(wider)
        recalibrate(again, data)
        norms = zip(
            grown_norms(wider, model).values(), grown_norms(again, model).values(), strict=True
        )
        changes += [float(norm.running_var[-1] / anew.running_var[-1]) for norm, anew in norms]
    assert max(abs(change - 1) for change in changes) > 0.3


@pytest.mark.parametrize("name", SMOOTH)
def test_first_norm_holds_exact_statistics(name: str) -> None:
    """Right behind the writers of one batch: mean and unbiased variance to rounding."""
    model, (x, y) = trained(name), batches(1, 32)[0]
    graph = ea.trace(model, sample())
    found = ea.score(model, graph, [(x, y)], "neurons", crossfit=False)
    first = next(n for n, m in model.named_modules() if "BatchNorm" in type(m).__name__)
    one = next(c.move for c in found if f"{first}.running_mean" in c.move.into)
    wider = ea.apply(model, graph, [one])
    seen = {}
    module = wider.get_submodule(first)
    module.register_forward_hook(lambda m, args, out: seen.update(x=args[0].detach()))
    wider.eval()(x)
    own = seen["x"].movedim(1, 0)[-1].flatten()
    assert torch.allclose(module.running_mean[-1], own.mean(), atol=1e-12)
    assert torch.allclose(module.running_var[-1], own.var(), rtol=1e-10)


def test_rows_at_birth_are_typical() -> None:
    """Rows and kernels as long as the group's, everything else its mean."""
    family = FAMILIES["layer_scale"]
    model = settled(family)
    graph = ea.trace(model, inputs(family))
    wires = TracedProgram(model, (inputs(family),))
    kinds = set()
    for group in graph.growable:
        nursery = NewNeuronPool(model, graph, group, wires)
        brood = born(nursery, 7, torch.Generator().manual_seed(0))
        for part in parts_of(nursery):
            theirs, own = brood.rows[:, part.numbers], nursery.theta[:, part.numbers]
            kinds.add(part.kind)
            if part.kind in ("row", "kernel"):
                size = own.square().sum(1).mean().sqrt()
                assert torch.allclose(theirs.norm(dim=1), size.expand(7))
                assert torch.linalg.matrix_rank(theirs) > 1
            else:
                assert torch.allclose(theirs, own.mean(0).expand(7, -1))
    assert kinds == {"row", "shift", "scale"}
