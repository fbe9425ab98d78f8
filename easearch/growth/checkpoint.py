"""Saved networks: `architecture.json` says how to build one, `model.safetensors` holds its numbers.
No pickle, and nothing that a file names is imported by itself: a folder may come from a stranger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialized
from torch import Tensor, nn

from easearch import reparametrized
from easearch.checks.objects import check_model
from easearch.claims import writing
from easearch.errors import FileFormatError, GraphError, nearest, reason_of
from easearch.factories import FORM, Factory, find_factory, is_import_path
from easearch.files import write_files
from easearch.graph import Graph
from easearch.growth import sampled
from easearch.growth.architecture import (
    ARCHITECTURE,
    Architecture,
    read_architecture,
    recorded,
)
from easearch.growth.safe_loading import Shapes, check_same, file_in, shapes_of
from easearch.models import SEEDS
from easearch.structures import Structure, tensors
from easearch.tracing import trace

__all__ = ["ARCHITECTURE", "WEIGHTS", "Architecture", "load", "read_architecture", "save", "write"]

WEIGHTS = "model.safetensors"


def save(
    model: nn.Module,
    path: Path | str,
    *,
    sample: Structure,
    factory: Factory | str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    """Save a network that was grown by hand, so that `load` builds it again.

    Args:
        model: the network; traced for its widths, left as it was.
        path: the folder (made if missing).
        sample: an input as the model takes it: a tensor (N, C, ...), a tuple or list of positional
            ones, or a mapping of named ones; its shapes and types are recorded, not its numbers.
        factory: what built the network before it grew: a function, `package.module:factory`, or a
            seed's name. Its import path is recorded where it has one; without, `load` asks for it.
        arguments: what it was called with; as JSON can hold them.

    Raises:
        FileFormatError: the factory does not build this network; nothing is written then.
        GraphError: the model cannot be traced, or the factory cannot be found.
    """
    check_model(model)
    graph = trace(model, sample)
    first = next(tensors(sample))
    plain = isinstance(sample, Tensor) and sample.is_floating_point()
    architecture = Architecture(
        factory=recorded(factory),
        arguments=dict(arguments or {}),
        input=tuple(first.shape[1:]),
        form=None if plain and _runs_alone(model, graph, first) else sampled.described(sample),
    ).grown(graph)
    if factory is not None:
        with torch.random.fork_rng():  # what is drawn for this check is not the user's
            again = architecture.build(_callable(factory))
        told = f"{architecture.factory or 'the factory'} does not build this network again"
        if shapes_of(again) == shapes_of(reparametrized.plain(model)):
            model = reparametrized.plain(model)  # masks were put on after it was built
        check_same(shapes_of(again), shapes_of(model), told)
    write(model, architecture, path)


def write(model: nn.Module, architecture: Architecture, folder: Path | str) -> None:
    """Write both files into the folder (made if missing), each at once or not at all.

    Raises:
        FileFormatError: the arguments cannot be held by JSON.
        FolderError: the system refuses.
    """
    # Copies: the format refuses tensors that share their memory, and tied layers do.
    numbers = {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, t in model.state_dict().items()
    }
    text = architecture.to_json().encode()
    with writing(Path(folder)):
        write_files(Path(folder), {WEIGHTS: serialized(numbers), ARCHITECTURE: text})


def _runs_alone(model: nn.Module, graph: Graph, sample: Tensor) -> bool:
    """Whether a single sample gives the same graph: most networks take any batch."""
    if 0 in sample.shape or sample.dim() < 2:
        return False
    try:
        return trace(model, sample[:1]) == graph
    except GraphError:
        return False


def load(
    path: Path | str,
    *,
    factory: Factory | str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> nn.Module:
    """The network saved in a run folder, a stage of one, or by `save`; in evaluation mode, on the
    CPU.

    Args:
        path: the folder.
        factory: builds the seed when it is not one of easearch's own; takes the saved arguments. A
            function, or `package.module:factory`, which is then imported.
        arguments: for the factory, in place of the saved ones of the same name; what is not named
            stays. They may change what the weights do not hold, such as dropout.

    Raises:
        FileFormatError: a file is missing, damaged, or the two do not belong together; or the
            network is not of a seed, and no factory is given.
    """
    folder = Path(path)
    architecture = read_architecture(folder)
    if arguments:
        changed = {**architecture.arguments, **arguments}
        architecture = replace(architecture, arguments=changed)
    if factory is None:
        _check_seed(architecture, folder)
    file = file_in(folder, WEIGHTS)
    try:
        model = architecture.build(_callable(factory), _header(file))
    except FileFormatError as error:
        raise FileFormatError(f"{folder}: {error}") from error
    numbers = load_file(file)
    for name, own in model.state_dict().items():
        if own.is_floating_point() != numbers[name].is_floating_point():
            raise FileFormatError(
                f"{file}: expected {name} of {own.dtype}, got {numbers[name].dtype}; "
                "the two files are not of one network"
            )
    for name, own in (*model.named_parameters(), *model.named_buffers()):
        if name in numbers and own.is_floating_point():
            own.data = own.data.to(numbers[name].dtype)
    model.load_state_dict(numbers)
    return model.eval()


def _callable(factory: Factory | str | None) -> Factory | None:
    """What builds the seed; None for a seed of easearch's own."""
    if not isinstance(factory, str):
        return factory
    return SEEDS[factory] if factory in SEEDS else find_factory(factory)


def _check_seed(architecture: Architecture, folder: Path) -> None:
    """Refuse a network that is not of a seed: its factory has to be named by the user."""
    name = architecture.factory
    if name in SEEDS:
        return
    if name and not is_import_path(name):
        raise FileFormatError(
            f"{folder / ARCHITECTURE}: expected a seed or {FORM}, got {name!r}; "
            f"{nearest(name, SEEDS)}"
        )
    made_by = f"{name}, which is not imported unasked" if name else "a function without a name"
    raise FileFormatError(
        f"the network in {folder} is made by {made_by}; if you trust it, pass it: "
        "ea.load(path, factory=that_function), or on the command line "
        f"--factory {name or FORM}"
    )


def _header(file: Path) -> Shapes:
    """Shapes of the tensors of a file, without reading the tensors."""
    try:
        with safe_open(file, framework="pt") as content:
            return {name: tuple(content.get_slice(name).get_shape()) for name in content.keys()}
    except (SafetensorError, OSError) as error:
        raise FileFormatError(f"{file} is not a safetensors file: {reason_of(error)}") from None
