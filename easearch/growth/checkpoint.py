"""Saved networks: `architecture.json` says how to build one, `model.safetensors` holds its numbers.
No pickle.

The architecture is a seed's name (or the import path of a user's factory) with its arguments, the
shape of one input, and the width of every channel group: the seed is built, its groups are set to
those widths, the weights are loaded.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from easearch.errors import FileFormatError
from easearch.graph import Graph
from easearch.growth.surgery import resize
from easearch.models import build
from easearch.tracing import trace

ARCHITECTURE = "architecture.json"
WEIGHTS = "model.safetensors"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How to build a network: its seed and the widths that it has grown to."""

    factory: str
    """A seed's name."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    input: tuple[int, ...]
    """Shape of one input, without the batch."""
    widths: Mapping[str, int] = field(default_factory=dict)
    format: int = FORMAT

    def sample(self) -> torch.Tensor:
        """An input of zeros, batch 1."""
        return torch.zeros(1, *self.input)

    def build(self, factory: Callable[..., nn.Module] | None = None) -> nn.Module:
        """The network at its widths, its weights not yet meaningful.

        Raises:
            FileFormatError: the seed is unknown, or has no such groups.
        """
        try:
            seed = (
                build(self.factory, **self.arguments)
                if factory is None
                else factory(**self.arguments)
            )
            graph = trace(seed, self.sample())
            return resize(seed, graph, self.widths)
        except (TypeError, ValueError) as error:
            raise FileFormatError(f"{ARCHITECTURE} does not describe a network: {error}") from error

    def grown(self, graph: Graph) -> Architecture:
        """The same seed at this graph's widths."""
        return Architecture(
            factory=self.factory, arguments=self.arguments, input=self.input, widths=graph.widths
        )


def save(model: nn.Module, architecture: Architecture, folder: Path | str) -> None:
    """Write both files into the folder (made if missing), each at once or not at all."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Copies: the format refuses tensors that share their memory, and tied layers do.
    tensors = {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, t in model.state_dict().items()
    }
    with tempfile.TemporaryDirectory(dir=folder) as drafts:
        save_file(tensors, Path(drafts) / WEIGHTS)
        (Path(drafts) / ARCHITECTURE).write_text(json.dumps(asdict(architecture), indent=1) + "\n")
        for name in (WEIGHTS, ARCHITECTURE):
            (Path(drafts) / name).replace(folder / name)


def load(path: Path | str, *, factory: Callable[..., nn.Module] | None = None) -> nn.Module:
    """The network saved in a run folder, a stage of one, or by `save`; in evaluation mode, on the
    CPU.

    Args:
        path: the folder.
        factory: builds the seed when it is not one of easearch's own; takes the saved arguments.

    Raises:
        FileFormatError: a file is missing, damaged, or the two do not belong together.
    """
    folder = Path(path)
    model = read_architecture(folder).build(factory)
    try:
        tensors = load_file(folder / WEIGHTS)
    except FileNotFoundError:
        raise FileFormatError(f"expected {WEIGHTS} in {folder}, found none") from None
    except SafetensorError as error:
        raise FileFormatError(f"{folder / WEIGHTS} is not a safetensors file: {error}") from None
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    got = {name: tuple(t.shape) for name, t in tensors.items()}
    for name in sorted(expected.keys() | got.keys()):
        if expected.get(name) != got.get(name):
            raise FileFormatError(
                f"{folder / WEIGHTS}: expected {name} of shape {expected.get(name, 'absent')}, "
                f"got {got.get(name, 'absent')}; the two files are not of one network"
            )
    dtypes = {t.dtype for t in tensors.values() if t.is_floating_point()}
    if len(dtypes) == 1:
        model.to(dtypes.pop())
    model.load_state_dict(tensors)
    return model.eval()


def read_architecture(folder: Path | str) -> Architecture:
    """The architecture saved in a folder.

    Raises:
        FileFormatError: it is missing, or is not one.
    """
    file = Path(folder) / ARCHITECTURE
    try:
        content = json.loads(file.read_text())
        architecture = Architecture(
            factory=str(content["factory"]),
            arguments=dict(content["arguments"]),
            input=tuple(int(n) for n in content["input"]),
            widths={str(name): int(width) for name, width in content["widths"].items()},
            format=int(content["format"]),
        )
    except FileNotFoundError:
        raise FileFormatError(f"expected {ARCHITECTURE} in {Path(folder)}, found none") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{file} is not an architecture: {error!r}") from None
    if architecture.format != FORMAT:
        raise FileFormatError(
            f"{file}: expected format {FORMAT}, got {architecture.format}; "
            "read it with the version of easearch that wrote it"
        )
    for size in (*architecture.input, *architecture.widths.values()):
        if size < 1:
            raise FileFormatError(f"{file}: expected sizes and widths of 1 or more, got {size}")
    return architecture
