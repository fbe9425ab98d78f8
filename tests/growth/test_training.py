"""Training: the schedule, the optimizer's groups, statistics of norms measured anew, evaluation."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from networks import CLASSES, NETWORKS, batches, mean_loss, sample, trained
from torch import nn

from easearch.growth.training import Training, evaluate, recalibrate, train_epoch


@pytest.mark.parametrize("warmup", [0.0, 0.5, 2.0])
def test_the_rate_warms_up_stays_and_falls_once(warmup: float) -> None:
    training = Training(epochs=10, rate=0.3, warmup=warmup)
    moments = [n / 100 for n in range(1001)]
    rates = [training.rate_at(moment, 4.0) for moment in moments]
    early = [r for m, r in zip(moments, rates, strict=True) if m < warmup]
    middle = [r for m, r in zip(moments, rates, strict=True) if warmup <= m <= 4.0]
    late = [r for m, r in zip(moments, rates, strict=True) if m > 4.0]
    assert all(0 < a < b < 0.3 for a, b in pairwise(early))
    assert set(middle) == {0.3}
    assert all(a > b for a, b in pairwise(late))
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert training.rate_at(7.0, 4.0) == pytest.approx(0.15)
    assert training.rate_at(11.0, 4.0) == pytest.approx(0.0, abs=1e-12)
    steps = [abs(a - b) for a, b in pairwise(rates)]
    assert max(steps) < 0.3 * max(0.01 / max(warmup, 0.01), 0.01) * 1.1


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_decayed_norms_and_biases_are_not(name: str) -> None:
    model = NETWORKS[name]()
    optimizer = Training(epochs=1, rate=0.1, weight_decay=0.02).optimizer(model)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert len(decay) == len(list(model.parameters()))
    for module in model.modules():
        for own, parameter in module.named_parameters(recurse=False):
            mixes = isinstance(module, nn.Conv2d | nn.Linear) and own == "weight"
            assert decay[id(parameter)] == (0.02 if mixes else 0.0)
    assert all(g["nesterov"] and g["momentum"] == 0.9 for g in optimizer.param_groups)
    plain = Training(epochs=1, rate=0.1, momentum=0.0).optimizer(model)
    assert not plain.param_groups[0]["nesterov"]


def test_recalibrated_statistics_are_plain_means() -> None:
    """Of the first norm, whose input does not depend on others: the mean of the batches' own."""
    model = trained("tied").train()
    norm, conv = model.stem[1], model.stem[0]
    others = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    others[1].momentum = 0.3
    momenta = [m.momentum for m in others]
    weights = [p.clone() for p in model.parameters()]
    recalibrate(model, batches())
    with torch.no_grad():
        values = [conv(x) for x, _ in batches()]
    means = torch.stack([v.mean((0, 2, 3)) for v in values]).mean(0)
    variances = torch.stack([v.var((0, 2, 3)) for v in values]).mean(0)
    assert torch.allclose(norm.running_mean, means, rtol=1e-10)
    assert torch.allclose(norm.running_var, variances, rtol=1e-10)
    assert [m.momentum for m in others] == momenta
    assert all(int(m.num_batches_tracked) == len(batches()) for m in others)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))


@pytest.mark.parametrize("training", [False, True])
def test_modes_are_as_they_were(training: bool) -> None:
    """Every module's own: a user may have put one norm to sleep."""
    model = trained("tied").train(training)
    model.stem[1].training = not training
    modes = [m.training for m in model.modules()]
    state = {k: v.clone() for k, v in model.state_dict().items()}
    evaluate(model, batches())
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    recalibrate(model, batches())
    assert [m.training for m in model.modules()] == modes


@pytest.mark.parametrize("where", ["evaluate", "recalibrate"])
def test_modes_are_as_they_were_after_a_failure(where: str) -> None:
    model = trained("tied").train()
    model.stem[1].training = False
    modes = [m.training for m in model.modules()]
    momenta = [m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    broken = [*batches(1), (torch.zeros(2, 7, 3, 3).double(), torch.zeros(2).long())]
    with pytest.raises(RuntimeError):
        {"evaluate": evaluate, "recalibrate": recalibrate}[where](model, broken)
    assert [m.training for m in model.modules()] == modes
    assert [m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)] == momenta


def test_evaluation_is_a_mean_over_samples() -> None:
    """Not over batches: the last one is smaller."""
    model = trained("tied")
    (x, y), (u, v), *_ = batches()
    quality = evaluate(model, [(x, y), (u[:3], v[:3])])
    assert quality.loss == pytest.approx(mean_loss(model, [(x, y), (u[:3], v[:3])]), rel=1e-12)
    with torch.no_grad():
        right = (model(torch.cat([x, u[:3]])).argmax(1) == torch.cat([y, v[:3]])).double().mean()
    assert quality.accuracy == pytest.approx(float(right), rel=1e-12)


def test_an_epoch_takes_the_steps_that_it_says() -> None:
    """Against the same steps written out; rates are asked batch by batch, the model learns."""
    model, twin = trained("mobilenet_v1"), trained("mobilenet_v1").train()
    training = Training(epochs=1, rate=0.05, label_smoothing=0.1)
    optimizer, other = training.optimizer(model), training.optimizer(twin)
    seen: list[tuple[int, float]] = []
    quality = train_epoch(
        model, optimizer, batches(), lambda n: 0.01 * (n + 1), 0.1, lambda n, v: seen.append((n, v))
    )
    losses, right = [], 0
    for number, (x, y) in enumerate(batches()):
        for group in other.param_groups:
            group["lr"] = 0.01 * (number + 1)
        other.zero_grad()
        out = twin(x)
        loss = F.cross_entropy(out, y, label_smoothing=0.1)
        loss.backward()
        other.step()
        losses.append(float(loss.detach()))
        right += int((out.argmax(1) == y).sum())
    for (name, one), two in zip(
        model.state_dict().items(), twin.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two), name
    assert [n for n, _ in seen] == list(range(len(losses)))
    means = [sum(losses[: n + 1]) / (n + 1) for n in range(len(losses))]
    assert [v for _, v in seen] == pytest.approx(means, rel=1e-12)
    assert quality.loss == pytest.approx(means[-1], rel=1e-12)
    assert quality.accuracy == right / sum(len(y) for _, y in batches())
    assert math.isfinite(evaluate(model, batches()).loss)
    assert model(sample()).shape == (4, CLASSES)
