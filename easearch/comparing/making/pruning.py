"""Torch-Pruning as a rival: a trained network made narrower by what its channels are worth.

[Fang2023] G. Fang et al., DepGraph: Towards Any Structural Pruning, CVPR 2023, arXiv:2301.12900:
the package. [Fang2024] G. Fang et al., Isomorphic Pruning for Vision Models, ECCV 2024,
arXiv:2407.04616: channels are ranked among groups of one structure. [Molchanov2019] P. Molchanov et
al., Importance Estimation for Neural Network Pruning, CVPR 2019, arXiv:1906.10771: Taylor.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from easearch.errors import GraphError, MissingExtraError
from easearch.graph import Graph
from easearch.roles import Range, Ranges

KINDS = ("magnitude", "taylor")
"""How channels can be weighed: by the size of their weights, or of weights times gradients."""
STEPS = 3
"""A ratio is reached in so many steps; channels are weighed anew before each."""


def torch_pruning() -> Any:
    """The package.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module("torch_pruning")
    except ImportError:
        raise MissingExtraError(
            "expected Torch-Pruning to prune a network, got none; "
            "pip install 'easearch[prune]', or leave the arm 'pruned' out"
        ) from None


@dataclass(frozen=True, kw_only=True, eq=False)
class Pruning:
    """How a network is pruned: one ratio over all groups of channels, ranked together.

    Attributes:
        kind: one of `KINDS`.
        sample: one input, (1, ...), where the model is.
        step: widths after pruning are multiples of it.
        gradients: leaves the gradients of the loss in the model's parameters; asked by `taylor`
            before each step.
        held: modules, by name, that keep all their channels.
        floors: modules, by name -> channels that they keep at least.
    """

    kind: str
    sample: Tensor
    step: int
    gradients: Callable[[nn.Module], None]
    held: frozenset[str] = frozenset()
    floors: Mapping[str, int] = field(default_factory=dict)

    def at(self, model: nn.Module, ratio: float) -> nn.Module:
        """A copy of the model without the share `ratio` of its channels, and what rounding takes.

        A group that would lose its last channels, or fall below its floor, keeps what it has.

        Raises:
            MissingExtraError: Torch-Pruning is not installed.
            GraphError: it cannot prune this network.
        """
        package = torch_pruning()
        narrow = copy.deepcopy(model)
        names = {module: name for name, module in narrow.named_modules()}
        try:
            pruner = self._pruner(package, narrow, ratio, names)
            for _ in range(STEPS):
                if self.kind == "taylor":
                    self.gradients(narrow)
                for group in pruner.step(interactive=True):
                    if self._allows(pruner, group, names):
                        group.prune()
        except Exception as error:  # whatever the package trips over in a user's network
            raise GraphError(
                f"Torch-Pruning cannot prune this network: {error}; leave the arm 'pruned' out"
            ) from error
        narrow.zero_grad(set_to_none=True)
        narrow.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return narrow

    def _pruner(
        self, package: Any, model: nn.Module, ratio: float, names: Mapping[nn.Module, str]
    ) -> Any:
        importance = {
            "magnitude": package.importance.GroupMagnitudeImportance,
            "taylor": package.importance.GroupTaylorImportance,
        }[self.kind]
        return package.pruner.BasePruner(
            model,
            self.sample,
            # means over a group's layers, over the group's own mean: groups can be compared
            importance(group_reduction="mean", normalizer="mean"),
            global_pruning=True,
            isomorphic=True,
            pruning_ratio=ratio,
            iterative_steps=STEPS,
            round_to=self.step,
            ignored_layers=[module for module, name in names.items() if name in self.held],
            # its defaults are one dict for all pruners, which it fills
            in_channel_groups={},
            out_channel_groups={},
        )

    def _allows(self, pruner: Any, group: Any, names: Mapping[nn.Module, str]) -> bool:
        """Whether every module of the group stays at its floor or above."""
        for dependency, channels in group:
            floor = self.floors.get(names.get(dependency.target.module, ""))
            if floor is None or not pruner.DG.is_out_channel_pruning_fn(dependency.handler):
                continue
            if pruner.DG.get_out_channels(dependency.target.module) - len(channels) < floor:
                return False
        return True


def held_and_floors(graph: Graph, widths: Ranges) -> tuple[frozenset[str], dict[str, int]]:
    """The modules that keep all their channels, and the floors of others.

    Args:
        graph: of the network to be pruned.
        widths: group -> the widths that it may take.
    """
    held: set[str] = set()
    floors: dict[str, int] = {}
    for group in graph.channel_groups:
        wanted = widths.get(group.name, Range())
        for layer in (graph.by_name[name] for name in group.writers):
            if layer.module is None:
                continue
            if group.frozen is not None or wanted.fixed:
                held.add(layer.module)
            elif wanted.low is not None:
                least = {group.name: min(wanted.low, group.width)}
                floors[layer.module] = graph.channels(layer.writes, least)
    return frozenset(held), floors
