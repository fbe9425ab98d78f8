"""A model left as it was: what its code or a tracer hangs on it meanwhile is taken off again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Contents = tuple[Any, Any]
"""A container, and a copy of what it held."""


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Afterwards every module has the attributes that it had, with the same contents, and buffers
    have their numbers.
    """
    held = [found for module in model.modules() for found in _contents(module)]
    numbers = [(buffer, buffer._version, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for container, content in held:
            _refill(container, content)
        with torch.no_grad():
            for buffer, version, content in numbers:
                if buffer._version != version:
                    buffer.copy_(content)


def _contents(module: nn.Module) -> Iterator[Contents]:
    own = vars(module)
    yield own, dict(own)
    for value in own.values():
        if isinstance(value, dict | list | set) and not isinstance(value, Tensor):
            yield value, type(value)(value) if type(value) in (dict, list, set) else value.copy()


def _refill(container: Any, content: Any) -> None:
    """The same container with what it held; nothing is written where nothing has changed."""
    if isinstance(container, list):
        if len(container) != len(content) or any(
            a is not b for a, b in zip(container, content, strict=True)
        ):
            container[:] = content
    elif isinstance(container, set):
        if container != content:
            container.clear()
            container.update(content)
    elif list(container) != list(content) or any(container[k] is not content[k] for k in content):
        container.clear()
        container.update(content)
