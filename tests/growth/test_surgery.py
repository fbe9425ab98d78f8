"""Surgery on tensors: each once, shared ones still shared; what is no channel is left alone."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from networks import sample
from subjects import subject
from torch import Tensor, nn

import easearch as ea
from easearch.errors import GraphError
from easearch.growth.channel_mapping import memory_format
from easearch.growth.surgery import resize


def split_all(graph: ea.Graph) -> list[ea.Split]:
    return [ea.Split(group=g.name, channel=c) for g in graph.growable for c in range(g.width)]


def test_shared_modules_and_tensors_stay_shared() -> None:
    for name, shared in (
        ("family tied_weights", [("one.weight", "two.weight")]),
        ("family shared_conv", []),
    ):
        model, x, graph = subject(name)
        wider = ea.apply(model, graph, split_all(graph))
        assert len(list(wider.parameters())) == len(list(model.parameters()))
        assert len(list(wider.modules())) == len(list(model.modules()))
        for one, other in shared:
            found = dict(wider.named_parameters(remove_duplicate=False))
            assert found[one] is found[other]
        assert torch.allclose(wider(x), model(x), rtol=1e-9)


def test_no_old_tensor_of_a_grown_one_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is copied are the tensors that do not change: memory is that of the grown model."""
    model, _, graph = subject("tied")
    copied: list[Tensor] = []
    inner = nn.Parameter.__deepcopy__

    def watched(self: nn.Parameter, memo: dict[int, object]) -> object:
        if id(self) not in memo:
            copied.append(self)
        return inner(self, memo)

    monkeypatch.setattr(nn.Parameter, "__deepcopy__", watched)
    wider = ea.apply(model, graph, split_all(graph))
    same = {
        name
        for name, old in model.named_parameters()
        if old.shape == wider.get_parameter(name).shape
    }
    assert {id(t) for t in copied} == {id(model.get_parameter(name)) for name in same}


def test_what_is_no_channel_is_kept() -> None:
    """Gradients asked for, dtype, mode, memory format."""
    model = copy.deepcopy(subject("tied")[0]).float().to(memory_format=torch.channels_last)
    model.stem[0].weight.requires_grad_(False)
    model.branches[0].eval(), model.branches[1].train()
    graph = subject("tied")[2]
    wider = ea.apply(model, graph, [*split_all(graph), ea.NewNeuron(group="stem.0")])
    assert [n for n, p in wider.named_parameters() if not p.requires_grad] == ["stem.0.weight"]
    assert {p.dtype for p in wider.parameters()} == {torch.float32}
    assert [m.training for m in wider.modules()] == [m.training for m in model.modules()]
    for old, new in zip(model.parameters(), wider.parameters(), strict=True):
        assert memory_format(old) == memory_format(new)
    assert wider.branches[0][0].weight.is_contiguous(memory_format=torch.channels_last)
    maps = [p for p in model.parameters() if p.dim() == 4]
    assert {memory_format(p) for p in maps} == {torch.channels_last}


def test_modules_say_their_new_widths() -> None:
    model, _, graph = subject("tied")
    wider = ea.apply(model, graph, split_all(graph))
    for module in wider.modules():
        if isinstance(module, nn.Conv2d):
            assert module.out_channels == module.weight.shape[0]
            assert module.in_channels == module.weight.shape[1] * module.groups
        elif isinstance(module, nn.BatchNorm2d):
            assert module.num_features == len(module.weight)
        elif isinstance(module, nn.Linear):
            assert (module.out_features, module.in_features) == tuple(module.weight.shape)


def test_resize_makes_frames_larger_and_smaller() -> None:
    model, x, graph = subject("family unet")
    widths = {g.name: w for g, w in zip(graph.growable, (1, 9, 4, 20, 2), strict=True)}
    assert ea.trace(resize(model, graph, widths), x) == graph.with_widths(widths)


def test_the_graph_of_another_model_is_refused() -> None:
    model, _, graph = subject("plain")
    other = ea.trace(ea.apply(model, graph, [ea.Split(group="one", channel=0)]), sample())
    with pytest.raises(GraphError, match="trace this model, use its own graph"):
        ea.apply(model, other, [ea.Split(group="one", channel=0)])
    with pytest.raises(GraphError, match=r"expected a tensor '.*weight'.* got none"):
        ea.apply(nn.Linear(9, 5), graph, [ea.NewNeuron(group="hidden")])


class Gated(nn.Module):
    """The halves of one convolution gate each other: a channel has two places in its rows."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.head = nn.Conv2d(2, 6, 1), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.wide(x).chunk(2, 1)
        return self.head((one * torch.sigmoid(other)).mean((2, 3)))


def test_a_channel_with_two_places_has_its_slices_in_their_order() -> None:
    model, x = Gated().double().eval(), torch.randn(3, 2, 4, 4).double()
    graph = ea.trace(model, x)
    (group,) = graph.growable
    rows = torch.randn(2, 2, 1, 1).double()
    born = ea.NewNeuron(
        group=group.name,
        into={"wide.weight": rows},
        out={"head.weight": torch.tensor([2.0, -1.0]).double()},
    )
    step = torch.randn(2, 2, 1, 1).double()
    moved = ea.Split(group=group.name, channel=1, offsets=({}, {"wide.weight": step}))
    wider = ea.apply(model, graph, [born, moved])
    old, new = model.wide.weight, wider.wide.weight
    assert torch.equal(new[[0, 1, 2, 5, 6, 7]], old)
    assert torch.equal(new[[3, 8]], rows)
    assert torch.equal(new[[4, 9]], old[[1, 4]] + step)
    with torch.no_grad():
        one, other = (F @ x.flatten(2) for F in (rows[0, :, 0, 0], rows[1, :, 0, 0]))
        unit = (one * torch.sigmoid(other)).mean(-1, keepdim=True)
        alone = ea.apply(model, graph, [born])(x)
        assert torch.allclose(alone, model(x) + unit * torch.tensor([[2.0, -1.0]]).double())


def test_a_unit_of_a_grouped_convolution_has_rows_for_all_its_columns() -> None:
    model, x, graph = subject("family grouped")
    grouped = next(layer for layer in graph.layers if layer.kind == "grouped")
    (segment,) = grouped.writes
    path = grouped.tensors[0].path
    own = model.state_dict()[path][: segment.taps]
    assert segment.taps > 1
    into = {path: torch.ones_like(own)}
    wider = ea.apply(model, graph, [ea.NewNeuron(group=segment.group, into=into)])
    assert torch.equal(wider.state_dict()[path][-segment.taps :], torch.ones_like(own))
    assert torch.allclose(wider(x), model(x), rtol=1e-9)
    wrong = ea.NewNeuron(group=segment.group, into={path: own[:1]})
    with pytest.raises(GraphError, match=f"expected {own.numel()} numbers for a channel"):
        ea.apply(model, graph, [wrong])


def test_graphs_and_moves_are_left_as_they_were() -> None:
    model, _, graph = subject("plain")
    before = dataclasses.replace(graph)
    moves = split_all(graph)
    ea.apply(model, graph, moves)
    assert graph == before
    assert [m.channel for m in moves] == [m.channel for m in split_all(graph)]
