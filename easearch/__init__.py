"""easearch grows neural networks to fit a device: name the device and the limit in milliseconds.

The face: names only, each imported when it is first asked for, so that the command line answers at
once and can set up the process before torch is loaded.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Some builds of ONNX Runtime report sessions to their maker: not in a user's name.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from easearch.budget import Budget, certify, measure
    from easearch.deepening import NewLayer
    from easearch.errors import EasearchError
    from easearch.exporting import export
    from easearch.graph import ChannelGroup, Graph, Layer
    from easearch.growth.checked import trace
    from easearch.growth.checkpoint import load, save
    from easearch.growth.step import TakenStep, take_step
    from easearch.growth.surgery import apply
    from easearch.moves import Candidate, NewNeuron, Plan, Remove, Split
    from easearch.preflight.plan import Preflight, plan
    from easearch.recipe import Recipe
    from easearch.roles import Range
    from easearch.run import Run, grow
    from easearch.scoring import Splitting, score
    from easearch.selection import select

_HOMES = {
    "Budget": "budget",
    "Candidate": "moves",
    "ChannelGroup": "graph",
    "EasearchError": "errors",
    "Graph": "graph",
    "Layer": "graph",
    "NewLayer": "deepening",
    "NewNeuron": "moves",
    "Plan": "moves",
    "Preflight": "preflight.plan",
    "Range": "roles",
    "Recipe": "recipe",
    "Remove": "moves",
    "Run": "run",
    "Split": "moves",
    "Splitting": "scoring",
    "TakenStep": "growth.step",
    "apply": "growth.surgery",
    "certify": "budget",
    "export": "exporting",
    "grow": "run",
    "load": "growth.checkpoint",
    "measure": "budget",
    "plan": "preflight.plan",
    "save": "growth.checkpoint",
    "score": "scoring",
    "select": "selection",
    "take_step": "growth.step",
    "trace": "growth.checked",
}

__all__ = [
    "Budget",
    "Candidate",
    "ChannelGroup",
    "EasearchError",
    "Graph",
    "Layer",
    "NewLayer",
    "NewNeuron",
    "Plan",
    "Preflight",
    "Range",
    "Recipe",
    "Remove",
    "Run",
    "Split",
    "Splitting",
    "TakenStep",
    "apply",
    "certify",
    "export",
    "grow",
    "load",
    "measure",
    "plan",
    "save",
    "score",
    "select",
    "take_step",
    "trace",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'easearch' has no attribute '{name}'")
    value = getattr(import_module(f"easearch.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
