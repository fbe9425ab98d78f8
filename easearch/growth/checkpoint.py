"""Saved networks: `architecture.json` says how to build one, `model.safetensors` holds its numbers.
No pickle, and nothing that a file names is imported by itself: a folder may come from a stranger.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from easearch.budget.store import write_atomic
from easearch.checks.objects import check_model
from easearch.claims import writing
from easearch.errors import FileFormatError, FolderError, GraphError, nearest
from easearch.factories import FORM, Factory, find_factory, is_import_path
from easearch.growth.architecture import (
    ARCHITECTURE,
    Architecture,
    read_architecture,
    recorded,
)
from easearch.growth.distrust import Shapes, check_same, file_in, shapes_of
from easearch.models import SEEDS
from easearch.tracing import trace

__all__ = ["ARCHITECTURE", "WEIGHTS", "Architecture", "load", "read_architecture", "save", "write"]

WEIGHTS = "model.safetensors"


def save(
    model: nn.Module,
    path: Path | str,
    *,
    sample: Tensor,
    factory: Factory | str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    """Save a network that was grown by hand, so that `load` builds it again.

    Args:
        model: the network; traced for its widths, left as it was.
        path: the folder (made if missing).
        sample: an input (N, C, ...).
        factory: what built the network before it grew: a function, `package.module:factory`, or a
            seed's name. Its import path is recorded where it has one; without, `load` asks for it.
        arguments: what it was called with; as JSON can hold them.

    Raises:
        FileFormatError: the factory does not build this network; nothing is written then.
        GraphError: the model cannot be traced, or the factory cannot be found.
    """
    check_model(model)
    if not isinstance(sample, Tensor):
        raise GraphError(f"expected one tensor as sample, got a {type(sample).__name__}")
    architecture = Architecture(
        factory=recorded(factory),
        arguments=dict(arguments or {}),
        input=tuple(sample.shape[1:]),
    ).grown(trace(model, sample))
    if factory is not None:
        with torch.random.fork_rng():  # what is drawn for this check is not the user's
            again = architecture.build(_callable(factory))
        told = f"{architecture.factory or 'the factory'} does not build this network again"
        check_same(shapes_of(again), shapes_of(model), told)
    write(model, architecture, path)


def write(model: nn.Module, architecture: Architecture, folder: Path | str) -> None:
    """Write both files into the folder (made if missing), each at once or not at all.

    Raises:
        FileFormatError: the arguments cannot be held by JSON.
        FolderError: the system refuses.
    """
    folder = Path(folder)
    try:
        text = json.dumps(asdict(architecture), indent=1, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise FileFormatError(
            f"expected arguments as JSON can hold them (numbers, text, lists, mappings): {error}"
        ) from None
    # Copies: the format refuses tensors that share their memory, and tied layers do.
    tensors = {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, t in model.state_dict().items()
    }
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / ARCHITECTURE, text)
        _write_tensors(tensors, folder / WEIGHTS)


def _write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write the tensors at once or not at all, as readable as the system's settings have it."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        draft.touch(exist_ok=False)
        mode = draft.stat().st_mode & 0o777
        save_file(dict(tensors), draft)
        draft.chmod(mode)  # safetensors leaves it to its owner alone
        draft.replace(path)
    except SafetensorError as error:  # it has the system's reason in its text alone
        reason = str(error).split("Error while serializing: ")[-1]
        raise FolderError(f"cannot write '{path}': {reason}; free some space") from error
    finally:
        draft.unlink(missing_ok=True)


def load(path: Path | str, *, factory: Factory | str | None = None) -> nn.Module:
    """The network saved in a run folder, a stage of one, or by `save`; in evaluation mode, on the
    CPU.

    Args:
        path: the folder.
        factory: builds the seed when it is not one of easearch's own; takes the saved arguments. A
            function, or `package.module:factory`, which is then imported.

    Raises:
        FileFormatError: a file is missing, damaged, or the two do not belong together; or the
            network is not of a seed, and no factory is given.
    """
    folder = Path(path)
    architecture = read_architecture(folder)
    if factory is None:
        _check_seed(architecture, folder)
    file = file_in(folder, WEIGHTS)
    try:
        model = architecture.build(_callable(factory), _header(file))
    except FileFormatError as error:
        raise FileFormatError(f"{folder}: {error}") from error
    tensors = load_file(file)
    for name, own in model.state_dict().items():
        if own.is_floating_point() != tensors[name].is_floating_point():
            raise FileFormatError(
                f"{file}: expected {name} of {own.dtype}, got {tensors[name].dtype}; "
                "the two files are not of one network"
            )
    dtypes = {t.dtype for t in tensors.values() if t.is_floating_point()}
    if len(dtypes) == 1:
        model.to(dtypes.pop())
    model.load_state_dict(tensors)
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
        raise FileFormatError(f"{file} is not a safetensors file: {error}") from None
