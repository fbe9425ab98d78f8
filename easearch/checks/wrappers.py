"""Wrappers around a network, which the public verbs refuse in one sentence: what they would give
back is the network, not its wrapper.
"""

from __future__ import annotations

from torch import nn
from torch.nn.parameter import is_lazy

from easearch.errors import EasearchError, GraphError

INSIDE = {
    **dict.fromkeys(("DataParallel", "DistributedDataParallel", "AveragedModel"), "module"),
    **dict.fromkeys(("ModelEma", "ModelEmaV2", "ModelEmaV3"), "module"),
    "OptimizedModule": "_orig_mod",
}
"""Name of a wrapper's class -> the attribute that holds the network."""
SHARDED = ("FullyShardedDataParallel", "FSDPModule")
HOMES = ("torch", "timm")


def check_unwrapped(model: nn.Module, *, kind: type[EasearchError] = GraphError) -> None:
    """Refuse a network that another module wraps, or whose sizes are not settled.

    Raises:
        EasearchError: of this kind, says how to come by the network.
    """
    for path, module in model.named_modules():
        name = f"model.{path}" if path else "model"
        for base in type(module).__mro__:
            told = _told(base.__name__, name) if base.__module__.split(".")[0] in HOMES else None
            if told is not None:
                raise kind(told)
        held = (*module._parameters.values(), *module._buffers.values())
        if any(tensor is not None and is_lazy(tensor) for tensor in held):
            raise kind(
                f"expected a network whose sizes are settled, got '{name}', a "
                f"{type(module).__name__} without them; run the model once on a batch first"
            )


def _told(kind: str, name: str) -> str | None:
    """What to say of a wrapper of this kind; None where it is none."""
    if kind in SHARDED:
        return (
            f"expected a network whose parameters are whole, got '{name}', sharded by {kind}; grow "
            "the network before it is sharded"
        )
    if kind in INSIDE:
        return (
            f"expected the network itself, got '{name}', wrapped in {kind}; give "
            f"{name}.{INSIDE[kind]}, and wrap what comes out again"
        )
    if kind in ("ScriptModule", "RecursiveScriptModule"):
        return (
            f"expected a network in Python, got '{name}', a {kind}; give the module that it was "
            "made from"
        )
    return None
