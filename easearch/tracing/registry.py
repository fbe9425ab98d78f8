"""The kinds of layers that easearch knows, by name."""

from __future__ import annotations

from typing import Any

from easearch.reparametrized import maker_of
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind

KINDS: dict[str, Kind] = {}
FOREIGN = {"torchvision.ops.stochastic_depth.stochastic_depth": "identity"}
"""Functions of other packages, by their names alone: nothing is imported for them."""


def register(kind: Kind) -> None:
    """Make a kind known to tracing, surgery, meters and scoring."""
    KINDS[kind.name] = kind


def kind_of(call: Call) -> Kind | None:
    """The kind that takes this call, or None when none knows it."""
    target: Any = call.target
    named = f"{getattr(target, '__module__', '')}.{getattr(target, '__name__', '')}"
    if named in FOREIGN:
        return KINDS[FOREIGN[named]]
    for kind in KINDS.values():
        if call.module is not None:
            fits = type(call.module) in kind.modules
        else:
            fits = call.target in (kind.methods if isinstance(call.target, str) else kind.functions)
        if fits and (kind.takes_computed or not call.computed) and kind.accepts(call):
            return kind
    return None


def takes_computed(call: Call) -> bool:
    """Whether a kind follows what is computed from parameters into values of the network."""
    return call.module is None and bool(call.values) and kind_of(call) is not None


def unfollowed(call: Call) -> str:
    """Why no kind takes a call, for people."""
    maker = maker_of(call.module) if call.module is not None else None
    why = "" if maker is None else f", since {maker} changes what it computes with"
    return f"easearch cannot follow it{why}"
