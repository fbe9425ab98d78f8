"""The network from which a run begins: one of easearch's own, or one that the user already has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easearch.data import Dataset
from easearch.errors import GraphError, RecipeError
from easearch.factories import Factory, find_factory, made
from easearch.graph import Graph
from easearch.growth.checkpoint import Architecture
from easearch.growth.surgery import resize
from easearch.models import build, initialise
from easearch.recipe import Recipe
from easearch.tracing.program import evaluating


@dataclass(frozen=True, kw_only=True)
class Seed:
    """What a run begins with."""

    architecture: Architecture
    factory: Factory | None
    """The user's; None for a seed of easearch's own."""
    classes: int

    def build(self) -> nn.Module:
        """The network, its weights drawn.

        Raises:
            RecipeError: the user's factory fails, or its network does not fit the data.
        """
        name, arguments = self.architecture.factory, self.architecture.arguments
        if self.factory is None:
            return build(name, **arguments)
        try:
            model = made(self.factory, arguments, name)
        except GraphError as error:
            raise RecipeError(f"model.arguments: {error}") from error
        self._check(model)
        return model

    def fresh(self, model: nn.Module, graph: Graph, widths: Mapping[str, int]) -> nn.Module:
        """A network of the seed's structure with fresh weights, at any widths; they are drawn from
        torch's default generator.

        A seed of easearch's own is drawn as it always is. Of a user's factory nothing but its
        modules is known: each draws by its own `reset_parameters`, as torch's constructors do.

        Args:
            model: the seed.
            graph: the seed's.
            widths: by group; others stay.

        Raises:
            GraphError: a group that the seed does not have.
        """
        wider = resize(model, graph, widths)
        for module in wider.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                with torch.no_grad():
                    reset()
        if self.factory is None:
            initialise(wider)
        return wider

    def _check(self, model: nn.Module) -> None:
        """Refuse a network that does not give a number a class, before it is trained."""
        name, sample = self.architecture.factory, self.architecture.sample()
        try:
            with evaluating(model), torch.no_grad():
                got = model(sample)
        except (Exception, SystemExit) as error:  # whatever the user's forward pass does
            raise RecipeError(
                f"model.name: {name} does not run on the data, an input of shape "
                f"{tuple(sample.shape)}: {error}"
            ) from error
        shape = tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__
        if shape != (1, self.classes):
            raise RecipeError(
                f"model.name: expected {name} to give {self.classes} numbers a picture, one a "
                f"class, got {shape} for one; set them by model.arguments"
            )


def own_factory(recipe: Recipe) -> Factory | None:
    """The user's factory, imported; None where the recipe names a seed of easearch's own.

    Raises:
        RecipeError: it cannot be found.
    """
    if not recipe.model.own:
        return None
    try:
        # a module may draw when it is first imported, and the next run must draw the same
        with torch.random.fork_rng():
            return find_factory(recipe.model.name)
    except GraphError as error:
        raise RecipeError(f"model.name: {error}") from error


def seed_of(recipe: Recipe, factory: Factory | None, data: Dataset) -> Seed:
    """The seed of a recipe for its data.

    What the data settle (channels, classes) need not stand in the recipe for a seed of easearch's
    own; a user's factory gets what the recipe says and no more: it may call them otherwise.

    Raises:
        RecipeError: the recipe says other channels or classes than the data have.
    """
    arguments = dict(recipe.model.arguments)
    if factory is None:
        settled = {"channels": data.shape[0], "classes": data.num_classes}
        arguments = {**settled, **arguments}
        for name, value in settled.items():
            if arguments[name] != value:
                raise RecipeError(
                    f"model.arguments.{name}: expected {value}, as {data.name} has, "
                    f"got {arguments[name]}; leave it out"
                )
    return Seed(
        architecture=Architecture(
            factory=recipe.model.name, arguments=arguments, input=tuple(data.shape)
        ),
        factory=factory,
        classes=data.num_classes,
    )
