"""The over-grown network is what surgery makes, and its gradient is the gradient."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from networks import batches, sample, trained
from subjects import subject
from torch import Tensor, nn

import easearch as ea
from easearch.errors import ScoringError
from easearch.scoring.firefly import Firefly
from easearch.scoring.overgrown.gates import Gates
from easearch.scoring.overgrown.network import Overgrown
from easearch.scoring.overgrown.pool import Pool
from easearch.scoring.units.scope import owned

FAMILIES = (
    *("tied", "plain", "mobilenet_v2 relu6"),
    *(
        f"family {name}"
        for name in (
            *("shufflenet_v2", "resnext", "convnext", "vit", "grouped"),
            *("concat_add", "glu", "flatten_last", "shared_conv", "twice", "tied_weights", "unet"),
            *("needs_export", "transposed", "prelu", "mixer", "attention", "dgcnn", "multi_reader"),
        )
    ),
)
DEEPENED = ("tied", "plain", "family vit", "family concat_add", "family needs_export")


def overgrown(model: nn.Module, graph: ea.Graph, how: Firefly) -> tuple[Overgrown, Pool]:
    pool = Pool(how.blocks(model, graph)[0])
    return Overgrown(model, graph, pool.moves, pool.start), pool


def drawn(pool: Pool) -> Tensor:
    """Any numbers; what norms have measured is a little more than it was."""
    generator = torch.Generator().manual_seed(2)
    random = torch.randn(len(pool.start), generator=generator, dtype=torch.float64)
    return torch.where(pool.bounded, random, pool.start + random.abs())


@pytest.mark.parametrize(
    ("name", "layers"), [*((name, 0) for name in FAMILIES), *((name, 1) for name in DEEPENED)]
)
def test_its_tensors_are_what_surgery_writes(name: str, layers: int) -> None:
    """With any numbers; and what the numbers do not feed is what it is without them."""
    model, x, graph = subject(name)
    over, pool = overgrown(model, graph, Firefly(new=2, layers=layers))
    numbers = drawn(pool)
    made = over.grown(model, numbers)
    found = {**dict(over.model.named_parameters()), **dict(over.model.named_buffers())}
    found.update(over.tensors(numbers))
    expected = {**dict(made.named_parameters()), **dict(made.named_buffers())}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.allclose(found[key], value, rtol=1e-12, atol=1e-12), key
        assert found[key].stride() == value.stride()
    if not layers:
        whole = ea.apply(model, graph, pool.moves(numbers))
        assert all(torch.equal(expected[k], p) for k, p in whole.named_parameters())
    with torch.no_grad():
        functional = torch.func.functional_call(over.model, over.tensors(numbers), (x,))
        assert torch.allclose(functional, made.eval()(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["tied", "plain", "mobilenet_v1 hardswish"])
@pytest.mark.parametrize("point", [0.25, 1.0])
def test_gates_gradients_are_differences_of_the_loss(name: str, point: float) -> None:
    """Brute force: surgery with one candidate's gate a little further and a little less open."""
    model = trained(name)
    graph = ea.trace(model, sample())
    over, pool = overgrown(model, graph, Firefly(new=2, layers=1, step=0.1))
    numbers = torch.where(pool.bounded, 0.3 * drawn(pool) * pool.unit, pool.start)
    gates = Gates(over, pool, F.cross_entropy)
    data = batches(2)
    found, _ = gates.gains(numbers, data, (point,))

    def loss(gate: Tensor) -> float:
        opened = torch.where(pool.gated, gate[pool.owner] * numbers, numbers)
        wide = over.grown(model, opened).eval()
        with torch.no_grad():
            return sum(float(F.cross_entropy(wide(x), y)) for x, y in data) / len(data)

    expected, h = [], 1e-4
    chosen = list(range(0, pool.candidates, max(1, pool.candidates // 8)))
    for candidate in chosen:
        gate = torch.full((pool.candidates,), point, dtype=torch.float64)
        gate[candidate] += h
        further = loss(gate)
        gate[candidate] -= 2 * h
        expected.append((loss(gate) - further) / (2 * h))
    reference = torch.tensor(expected, dtype=torch.float64)
    assert float(reference.abs().max()) > 1e-5
    assert torch.allclose(found.mean[chosen], reference, rtol=1e-4, atol=1e-8)


def test_moves_that_overlap_are_refused() -> None:
    model = trained("plain")
    graph = ea.trace(model, sample())
    (group,) = (g for g in graph.growable if g.name == "hidden")
    rows = owned(model, graph, group)

    def carrying(numbers: Tensor) -> list[ea.Split]:
        own = (numbers[:8] + 2 * numbers[8:],)
        return [ea.Split(group="hidden", channel=0, offsets=(rows.offset(own[0]), {}))]

    assert rows.theta.shape[1] == 8
    with pytest.raises(ScoringError, match="follow from one number"):
        Overgrown(model, graph, carrying, torch.zeros(16, dtype=torch.float64))


def test_channels_last_stays() -> None:
    model = trained("tied").to(memory_format=torch.channels_last)
    graph = ea.trace(model, sample())
    over, pool = overgrown(model, graph, Firefly(new=1))
    weight = over.tensors(pool.start)["stem.0.weight"]
    assert weight.is_contiguous(memory_format=torch.channels_last)
