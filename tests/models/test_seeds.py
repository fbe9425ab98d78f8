"""Every seed is a traceable network whose arguments are data, of the size its paper says."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from easearch.models import SEEDS, build
from easearch.models.arguments import scaled
from easearch.models.blocks import ACTIVATIONS

FULL = {"layout": "imagenet", "channels": 3, "classes": 1000}
PAPER = {
    "mobilenet_v1": ({**FULL, "activation": "relu"}, 4_231_976),
    "mobilenet_v2": ({**FULL, "activation": "relu6", "last_channels": 1280}, 3_504_872),
}


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_traces_to_the_same_function_without_calling_a_module_twice(name, activation):
    model = build(name, activation=activation, width=0.5).eval()
    traced = torch.fx.symbolic_trace(model)
    x = torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(traced(x), model(x))
    calls = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    leaves = {path for path, module in model.named_modules() if not list(module.children())}
    assert len(calls) == len(set(calls))
    assert set(calls) == leaves


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("layout", ["tiny", "imagenet", [[8, 1, 1], [24, 2, 2]]])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 47), (3, 224, 224)])
def test_takes_any_picture(name, layout, shape):
    model = build(name, channels=shape[0], classes=7, layout=layout, width=0.25).eval()
    assert model(torch.zeros(1, *shape)).shape == (1, 7)


@pytest.mark.parametrize("name", SEEDS)
def test_has_the_parameters_of_the_paper(name):
    arguments, expected = PAPER[name]
    with torch.device("meta"):
        model = build(name, **arguments)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize("name", SEEDS)
def test_arguments_survive_json(name):
    arguments = json.loads(json.dumps({"layout": [[16, 2, 1]], "dropout": 0.1, "width": 0.5}))
    model = build(name, **arguments)
    assert [type(m) for m in model.modules()].count(nn.Dropout) == 1


@pytest.mark.parametrize("name", SEEDS)
def test_same_seed_same_weights_and_gradients_reach_them_all(name):
    torch.manual_seed(3)
    first = build(name)
    torch.manual_seed(3)
    second = build(name)
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    first(torch.randn(8, 1, 28, 28)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in first.parameters())


@pytest.mark.parametrize("name", SEEDS)
def test_width_and_depth_scale_blocks(name):
    base, deep = build(name), build(name, depth=2.0)
    assert len(deep.blocks) == 2 * len(base.blocks)
    assert len(build(name, depth=0.01).blocks) == 3
    assert build(name, width=0.5).stem.conv.out_channels == 16


def test_paths_read_well():
    v1, v2 = (
        dict(build("mobilenet_v1").named_modules()),
        dict(build("mobilenet_v2").named_modules()),
    )
    common = {"stem.conv", "stem.norm", "stem.act", "pool", "flatten", "head"}
    assert common | {"blocks.0.depthwise.conv", "blocks.0.pointwise.conv"} <= set(v1)
    assert common | {"blocks.1.branch.expand.conv", "blocks.1.branch.project.norm"} <= set(v2)
    assert "blocks.0.branch.expand" not in v2
    assert "blocks.1.branch.project.act" not in v2


def test_skips_are_identities():
    blocks = build("mobilenet_v2", layout="imagenet").blocks
    assert sum(block.skip for block in blocks) == 10
    for block in blocks:
        same = block.branch.project.conv.out_channels == block.branch[0].conv.in_channels
        assert block.skip == (same and block.branch.depthwise.conv.stride == (1, 1))


@pytest.mark.parametrize(("wanted", "divisor"), [(w, d) for w in range(1, 200) for d in (1, 4, 8)])
def test_rounded_widths_lose_at_most_a_tenth(wanted, divisor):
    got = scaled(wanted, 1.0, divisor)
    assert got % divisor == 0
    assert got >= 0.9 * wanted


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"widht": 1.0}, "did you mean 'width'"),
        ({"activation": "sillu"}, "did you mean 'silu'"),
        ({"layout": "imagnet"}, "did you mean 'imagenet'"),
        ({"layout": [[16, 1]]}, r"got \[16, 1\]"),
        ({"layout": []}, "at least one stage"),
        ({"width": 0.0}, "above 0"),
        ({"depth": float("nan")}, "above 0"),
        ({"classes": 0}, "at least 1"),
        ({"dropout": 1.0}, "got 1.0"),
    ],
)
def test_refuses_what_makes_no_network(name, arguments, says):
    with pytest.raises(ValueError, match=says):
        build(name, **arguments)


def test_unknown_seed_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'mobilenet_v2'"):
        build("mobilenetv2")
