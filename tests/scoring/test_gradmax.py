"""GradMax: its singular values are those of the virtual kernel's gradient, and its births have the
largest first gradient.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from networks import batches, mean_loss, sample, trained
from torch import Tensor, nn
from torch.func import functional_call

import easearch as ea
from easearch.scoring.gradmax import GradMax
from easearch.scoring.newborn.neuron_batches import capture
from easearch.scoring.newborn.singular import Singular, decomposed
from easearch.scoring.newborn.straight import Straight
from easearch.scoring.samples.passes import Passes
from easearch.scoring.samples.traced_program import TracedProgram


def _convs() -> nn.Module:
    """Biases, a stride, and columns that are not neighbours behind a flatten."""
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, 2, 1),
        nn.SiLU(),
        nn.Conv2d(5, 4, 3, padding=1),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(4 * 9, 3),
    )


def _depthwise() -> nn.Module:
    """A kernel of its own and a norm stand between writer and reader."""
    return nn.Sequential(
        nn.Conv2d(2, 5, 1),
        nn.SiLU(),
        nn.Conv2d(5, 5, 3, 1, 1, groups=5),
        nn.SiLU(),
        nn.Conv2d(5, 4, 3),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def _linear() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 3))


NETS = {
    "convs": (_convs, (2, 6, 6)),
    "depthwise": (_depthwise, (2, 6, 6)),
    "linear": (_linear, (6,)),
}


def net(name: str) -> tuple[nn.Module, ea.Graph, list[tuple[Tensor, Tensor]]]:
    make, shape = NETS[name]
    torch.manual_seed(1)
    model = make().double().eval()
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(12, *shape, generator=generator, dtype=torch.float64)
    data = [(x[:6], torch.arange(6) % 3), (x[6:], torch.arange(6) % 3)]
    return model, ea.trace(model, x), data


def singular(model: nn.Module, graph: ea.Graph, data: list, count: int) -> list:
    wires = TracedProgram(model, (data[0][0],))
    units = [Straight(model, graph, g, wires, published=False) for g in graph.growable]
    passes = Passes(capture(units, wires, F.cross_entropy), data, 1e9)
    counts = [min(count, int(u.steered.sum()), u.columns.numbers) for u in units]
    generator = torch.Generator().manual_seed(0)
    return list(zip(units, decomposed(units, passes, counts, 60, generator), strict=True))


def brute_force(model: nn.Module, graph: ea.Graph, data: list, unit: Straight) -> Tensor:
    """B (O, D): the loss's second derivative between a newborn's columns and its incoming weights,
    both zero, in a network that really has it.
    """
    group = unit.group.name
    zero = torch.zeros(int(unit.columns.numbers), dtype=torch.float64)
    born = ea.NewNeuron(group=group, into=unit.offset(unit.base[0]), out=unit.columns.offset(zero))
    wider = ea.apply(model, graph, [born])
    more = graph.after([born])
    grown = Straight(
        wider, more, more.groups[group], TracedProgram(wider, (data[0][0],)), published=False
    )
    held = {k: v.detach() for k, v in wider.named_parameters()}

    def loss(columns: Tensor, rows: Tensor) -> Tensor:
        """Both are added to the newborn's; columns lie along the old rows, as in a move."""
        tensors = dict(held)
        for table, numbers in ((grown, rows), (grown.columns, columns)):
            whole = torch.cat([numbers.new_zeros(table.width - 1, len(numbers)), numbers[None]])
            for key, value in _laid(table, whole).items():
                tensors[key] = tensors[key] + value
        return sum(
            F.cross_entropy(functional_call(wider, tensors, (x,)), y, reduction="sum")
            for x, y in data
        ) / sum(len(y) for _, y in data)

    rows = torch.zeros(unit.base.shape[1], dtype=torch.float64, requires_grad=True)
    columns = zero.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(columns, rows), columns, create_graph=True)
    found = [torch.autograd.grad(one, rows, retain_graph=True)[0] for one in first]
    return torch.stack(found) * unit.steered


def _laid(table: Straight, packed: Tensor) -> dict[str, Tensor]:
    """`unpack`, differentiably: it is linear."""
    basis = torch.eye(packed.shape[1], dtype=packed.dtype)
    last = packed[-1]
    found: dict[str, Tensor] = {}
    for number, one in enumerate(basis):
        whole = torch.zeros_like(packed.detach())
        whole[-1] = one
        for key, value in table.unpack(whole).items():
            found[key] = found.get(key, 0) + last[number] * value
    return found


@pytest.mark.parametrize("name", NETS)
def test_singular_values_are_the_virtual_kernels(name: str) -> None:
    """Against a dense decomposition of B by brute force, in networks that have the newborn."""
    model, graph, data = net(name)
    for unit, found in singular(model, graph, data, 4):
        if unit.group.name == "2" and name == "linear":
            continue  # behind a ReLU: below
        dense = brute_force(model, graph, data, unit)
        left, sizes, right = torch.linalg.svd(dense)
        count = len(found.sizes)
        assert torch.allclose(found.sizes, sizes[:count], rtol=1e-3, atol=1e-9)
        assert torch.allclose(
            dense @ found.right[0], sizes[0] * found.left[0], atol=1e-4 * sizes[0]
        )
        assert abs(float(found.right[0] @ right[0])) == pytest.approx(1, abs=1e-4)
        assert abs(float(found.left[0] @ left[:, 0])) == pytest.approx(1, abs=1e-4)


def test_a_slope_that_jumps_counts_from_above() -> None:
    """Behind a ReLU the virtual kernel's gradient is the plain outer product."""
    model, graph, data = net("linear")
    found = next(s for u, s in singular(model, graph, data, 3) if u.group.name == "2")
    assert isinstance(found, Singular)
    seen: dict[str, Tensor] = {}
    model[2].register_forward_hook(lambda m, args, out: seen.update(h=args[0].detach()))
    model[4].register_forward_hook(lambda m, args, out: out.retain_grad() or seen.update(y=out))
    total = 0.0
    for x, y in data:
        F.cross_entropy(model(x), y, reduction="sum").backward()
        total = total + seen["y"].grad.T @ seen["h"]
    sizes = torch.linalg.svdvals(total / 12)
    assert torch.allclose(found.sizes, sizes[: len(found.sizes)], rtol=1e-4, atol=1e-12)


def gradient_at_into(model: nn.Module, graph: ea.Graph, move: ea.NewNeuron, data: list) -> float:
    """Length of the gradient at a newborn's incoming weights, of one writer."""
    wider = ea.apply(model, graph, [move])
    (writer,) = graph.groups[move.group].writers
    weight = wider.get_parameter(f"{writer}.weight")
    loss = sum(F.cross_entropy(wider(x), y) for x, y in data) / len(data)
    return float(torch.autograd.grad(loss, weight)[0][-1].norm())


@pytest.mark.parametrize("name", ["convs", "linear"])
def test_a_published_birth_has_the_largest_first_gradient(name: str) -> None:
    """Zero incoming weights, the function as it was, and no random columns of the same length have
    a larger gradient; its length is `length of the columns x singular value`, as the gain says.
    """
    model, graph, data = net(name)
    step = 0.1
    how = GradMax(published=True, step=step, count=3, iterations=30, crossfit=False)
    found = ea.score(model, graph, data, how)
    before = mean_loss(model, data)
    best = {
        group.name: [c for c in found if c.move.group == group.name] for group in graph.growable
    }
    generator = torch.Generator().manual_seed(3)
    for mine in best.values():
        move = mine[0].move
        assert mean_loss(ea.apply(model, graph, [move]), data) == pytest.approx(before, abs=1e-12)
        length = gradient_at_into(model, graph, move, data)
        kinked = move.group == "2" and name == "linear"
        if kinked:
            continue  # torch's slope at the kink is zero: no first gradient at all
        assert mine[0].gain == pytest.approx(step * length**2, rel=1e-3)
        for _ in range(20):
            out = {}
            for key, value in move.out.items():
                random = torch.randn(value.shape, generator=generator, dtype=torch.float64)
                out[key] = random * value.norm() / random.norm()
            other = ea.NewNeuron(group=move.group, into=move.into, out=out)
            assert gradient_at_into(model, graph, other, data) < length


def test_norms_are_born_as_the_identity() -> None:
    """What comes into a newborn's norms on the scoring batches comes out of them."""
    model = trained("mobilenet_v1")
    graph = ea.trace(model, sample())
    move = next(
        c.move
        for c in ea.score(model, graph, batches(), GradMax(crossfit=False))
        if sum("running_var" in key for key in c.move.into) == 2
    )
    wider = ea.apply(model, graph, [move]).eval()
    norms = [k.removesuffix(".running_var") for k in move.into if k.endswith("running_var")]
    seen = []
    for name in norms:
        wider.get_submodule(name).register_forward_hook(
            lambda m, args, out: seen.append((args[0][:, -1].detach(), out[:, -1].detach()))
        )
    wider(batches()[0][0])
    assert len(seen) == 2
    for x, y in seen:
        assert torch.allclose(x, y, atol=1e-12)


def test_what_is_not_silent_at_zero_is_left_out() -> None:
    model = trained("plain")
    graph = ea.trace(model, sample())
    found = ea.score(model, graph, batches(), "gradmax")
    assert set(found.nothing) == {"hidden"}
    assert "not silent" in found.nothing["hidden"]


@pytest.mark.parametrize("options", [{"step": 0}, {"count": 0}, {"iterations": 0}])
def test_bad_options(options: dict) -> None:
    with pytest.raises(ea.errors.ScoringError, match="expected"):
        GradMax(**options)


def test_a_kernel_is_one_in_its_centre() -> None:
    model, graph, data = net("depthwise")
    wires = TracedProgram(model, (data[0][0],))
    unit = Straight(model, graph, graph.growable[0], wires, published=False)
    kernel = unit.offset(unit.base[0])["2.weight"].reshape(3, 3)
    assert torch.equal(kernel, F.pad(torch.ones(1, 1), (1, 1, 1, 1)).to(kernel))
