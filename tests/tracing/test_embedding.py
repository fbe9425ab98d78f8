"""Embeddings are priced, keep their width, and let everything behind them grow."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import easearch as ea
from easearch.budget.exported.file import OnnxFile
from easearch.budget.meters import find_meter

ROWS, WIDTH, LENGTH = 30, 6, 8


class Words(nn.Module):
    """A network of one convolution over words, looked up by a module."""

    def __init__(self, **how: float) -> None:
        super().__init__()
        self.table = nn.Embedding(ROWS, WIDTH, **how)  # type: ignore[arg-type]
        self.conv, self.head = nn.Conv1d(WIDTH, 5, 3), nn.Linear(5, 3)

    def look(self, words: Tensor) -> Tensor:
        found: Tensor = self.table(words)
        return found

    def forward(self, words: Tensor) -> Tensor:
        y: Tensor = self.head(torch.relu(self.conv(self.look(words).transpose(1, 2))).amax(2))
        return y


class ByFunction(Words):
    """The same by a function."""

    def look(self, words: Tensor) -> Tensor:
        return F.embedding(words, self.table.weight)


class Branched(Words):
    """Traced by torch.export, where an embedding is an operator."""

    def look(self, words: Tensor) -> Tensor:
        if words.shape[1] > LENGTH:
            words = words[:, :LENGTH]
        return super().look(words)


NETS: dict[str, Callable[[], nn.Module]] = {
    "module": Words,
    "padding": lambda: Words(padding_idx=0),
    "function": ByFunction,
    "operator": Branched,
}


def words() -> Tensor:
    return torch.randint(0, ROWS, (4, LENGTH), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NETS)
def test_an_embedding_is_counted_and_what_reads_it_grows(name: str) -> None:
    torch.manual_seed(0)
    model = NETS[name]().double().eval()
    graph = ea.trace(model, words())
    table = next(layer for layer in graph.layers if layer.kind == "embedding")
    (written,) = table.writes
    assert "embeddings keep their width" in (graph.groups[written.group].frozen or "")
    params = find_meter("params").cost(graph)
    assert params.rows[table.name] == ROWS * WIDTH
    assert params.total == sum(p.numel() for p in model.parameters())
    assert find_meter("macs").cost(graph).total == 6 * 5 * WIDTH * 3 + 5 * 3
    bounds = ea.Budget({"macs": "2x", "memory": "2x", "size": "2x"}).bounds(graph)
    assert len(bounds) == 3
    growing = next(group.name for group in graph.groups.values() if group.frozen is None)
    moves: list[ea.Split | ea.NewNeuron] = [
        ea.Split(group=growing, channel=2),
        ea.NewNeuron(group=growing),
    ]
    wider = ea.apply(copy.deepcopy(model), graph, moves)
    assert torch.allclose(wider(words()), model(words()), rtol=0, atol=1e-12)
    assert ea.trace(wider, words()) == graph.after(moves)


def test_a_table_that_its_reader_changes_is_not_followed() -> None:
    graph = ea.trace(Words(max_norm=1.0), words())
    assert "embedding" not in [layer.kind for layer in graph.layers]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_file_is_as_large_as_it_was_priced(precision: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Words().eval()
    graph = ea.trace(model, words())
    path = tmp_path / "m.onnx"
    calibration = [words()] if precision == "int8" else None
    ea.export(model, words(), path, precision, calibration=calibration, tolerance=1.0)
    size = find_meter("size", precision=precision)
    assert size.on_file(OnnxFile(path, (1, LENGTH))).value == size.cost(graph).total  # type: ignore[attr-defined]
