"""easearch grows neural networks to fit a device: name the device and the limit in milliseconds."""

from easearch.budget import Budget, certify, measure
from easearch.errors import EasearchError
from easearch.export import export
from easearch.graph import ChannelGroup, Graph, Layer
from easearch.growth.checkpoint import load, save
from easearch.growth.surgery import apply
from easearch.moves import Candidate, NewNeuron, Plan, Split
from easearch.recipe import Recipe
from easearch.run import Run, grow
from easearch.scoring import Splitting, score
from easearch.selection import select
from easearch.tracing import trace

__all__ = [
    "Budget",
    "Candidate",
    "ChannelGroup",
    "EasearchError",
    "Graph",
    "Layer",
    "NewNeuron",
    "Plan",
    "Recipe",
    "Run",
    "Split",
    "Splitting",
    "apply",
    "certify",
    "export",
    "grow",
    "load",
    "measure",
    "save",
    "score",
    "select",
    "trace",
]
