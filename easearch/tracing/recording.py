"""What every call of a program gives, for inputs of a sample's size."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx
from torch._subclasses import FakeTensorMode

from easearch.errors import printable, reason_of
from easearch.structures import Structure, mapped, tensors

MANY = 1009
"""Samples where nothing is computed. A prime: a size that is a multiple of it goes over samples."""


def of_two(inputs: Structure) -> Structure:
    """The inputs with a batch of two, whatever it was: a single sample would be squeezed away by
    some networks, and a large batch costs time. What has no batch in common stays as it is.
    """
    return _batched(inputs, 2)


def _batched(inputs: Structure, samples: int) -> Structure:
    if len({x.shape[0] for x in tensors(inputs) if x.dim()} - {0}) != 1:
        return inputs
    return mapped(
        lambda x: x[:1].expand(samples, *x.shape[1:]).contiguous() if x.dim() else x, inputs
    )


def recorded(traced: fx.GraphModule, inputs: Structure) -> dict[fx.Node, Any]:
    """What every node gives: tensors as meta tensors, numbers and tuples as they are.

    Without computing anything where that is possible.

    Raises:
        Stopped: the program does not run on the inputs.
    """
    try:
        return imagined(traced, inputs)
    except Exception:  # the values decide on something: so they are needed
        with torch.no_grad():
            return _ran(traced, inputs)


def imagined(traced: fx.GraphModule, inputs: Structure) -> dict[fx.Node, Any]:
    """The same on tensors that have a form alone: nothing is computed, nothing changed. Of `MANY`
    samples, if the program takes them.
    """
    with quiet(), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True) as form:
        given = mapped(form.from_tensor, inputs)
        try:
            seen = _ran(traced, _batched(given, MANY))
        except Exception:  # it may accept its own batch alone
            return _ran(traced, given)
        own = next((len(x) for x in tensors(given) if x.dim()), 0)
        if all(x.dim() and len(x) % MANY == 0 for x in _outputs(traced, seen)):
            return seen
        # A program may have been made for one number of samples: `x.split(4)`.
        again = _ran(traced, given)
        return again if any(x.dim() and len(x) == own for x in _outputs(traced, again)) else seen


def _outputs(traced: fx.GraphModule, seen: dict[fx.Node, Any]) -> list[torch.Tensor]:
    return list(tensors([seen[node] for node in traced.graph.nodes if node.op == "output"]))


def _ran(traced: fx.GraphModule, inputs: Structure) -> dict[fx.Node, Any]:
    recorder = Recorder(traced)
    recorder.run(inputs)
    return recorder.seen


class Stopped(RuntimeError):
    """A call of a program that does not run on its inputs."""


class Recorder(fx.Interpreter):
    """Runs a program and remembers of every value its shape, and whether it is a float tensor;
    of numbers and tuples, themselves.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced, garbage_collect_values=True)
        self.extra_traceback = False
        self.seen: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> object:
        """Run one node and note what it gave."""
        try:
            result: object = super().run_node(n)
        except Exception as error:
            raise Stopped(f"{self._described(n)}: {reason_of(error)}") from error
        self.seen[n] = _remembered(result)
        return result

    def _described(self, n: fx.Node) -> str:
        """A call with what goes in: `'2' (Linear(in_features=64, ...)) got (2, 100)`."""
        what: Any = n.target
        if n.op == "call_module":
            what = f"'{n.target}' ({printable(repr(self.fetch_attr(str(n.target))), 80)})"
        elif not isinstance(what, str):
            what = getattr(what, "__name__", str(what))
        into = [self.seen[one] for one in n.all_input_nodes if one.op != "get_attr"]
        shapes = [str(tuple(x.shape)) for x in into if isinstance(x, torch.Tensor)]
        return f"{what} got {' and '.join(shapes)}" if shapes else str(what)


def _remembered(result: object) -> Any:
    if isinstance(result, torch.Tensor):
        return torch.empty(result.shape, dtype=result.dtype, device="meta")
    if isinstance(result, tuple | list):
        return tuple(_remembered(item) for item in result)
    return result


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What torch prints and logs about a failure or its dependencies is not the user's: it comes
    in our own words.
    """
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    sink: Any = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
