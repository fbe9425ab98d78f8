"""The kinds of layers that easearch knows, by name."""

from __future__ import annotations

from easearch.tracing.kind import Call, Kind

KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Make a kind known to tracing, surgery, meters and scoring."""
    KINDS[kind.name] = kind


def kind_of(call: Call) -> Kind | None:
    """The kind that takes this call, or None when none knows it."""
    for kind in KINDS.values():
        if call.module is not None:
            fits = type(call.module) in kind.modules
        else:
            fits = call.target in (kind.methods if isinstance(call.target, str) else kind.functions)
        if fits and kind.accepts(call):
            return kind
    return None
