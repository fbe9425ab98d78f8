"""What one growth does: new layers that the limits leave room for, and the plan of widths of the
network that has them.

Layers are put in before widths are chosen, so that a plan is priced on the network that it makes,
and a channel that a new layer reads or writes is split there too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, overload

from torch import nn
from torch.optim import Optimizer

from easearch.errors import DeviceError, GraphError
from easearch.graph import Graph
from easearch.growth.surgery import perform
from easearch.growth.verifying import verified
from easearch.moves import Candidate, NewNeuron, Plan
from easearch.roles import Bound, Meter, Ranges, Selector

Verify = Callable[[Graph, Sequence[Bound]], Mapping[str, float]]
"""Measures a network as a whole before it is trained: meter name -> measured cost over limit (1:
just met).
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Growth:
    """New layers, and the plan of widths on the graph that has them.

    Attributes:
        layers: candidates whose moves are new layers, in the order in which they are put in.
        deep: the graph with them in it.
        plan: of the widths; its moves refer to `deep`.
    """

    layers: tuple[Candidate, ...]
    deep: Graph
    plan: Plan

    @property
    def gain(self) -> float:
        """What widths and layers promise (nats)."""
        return self.plan.gain + sum(one.gain for one in self.layers)

    def facts(self) -> dict[str, Any]:
        """What is told of it (`events.Step`)."""
        plan = self.plan
        return {
            "promised": self.gain,
            "moves": len(plan.moves),
            "layers": tuple(one.move.behind for one in self.layers if one.move.deepens),
            "solver": plan.solver,
            "gap": plan.gap,
            "binding": plan.binding,
            "shadow_price": max((price.shadow_price for price in plan.prices), default=0.0),
        }

    @property
    def silent(self) -> bool:
        """Whether it computes the same at every step: nothing grows, or nobody reads it yet."""
        moves = self.plan.moves
        return not self.layers and all(isinstance(m, NewNeuron) and m.silent for m in moves)

    def __str__(self) -> str:
        """`24 channels, 1 new layer`."""
        told = f"{len(self.plan.moves)} channels"
        if self.layers:
            told += f", {len(self.layers)} new layer{'s' if len(self.layers) > 1 else ''}"
        return told

    @overload
    def of(self, model: nn.Module, graph: Graph, factor: float) -> nn.Module: ...
    @overload
    def of(
        self, model: nn.Module, graph: Graph, factor: float, optimizer: Optimizer
    ) -> tuple[nn.Module, Optimizer]: ...
    def of(
        self, model: nn.Module, graph: Graph, factor: float, optimizer: Optimizer | None = None
    ) -> nn.Module | tuple[nn.Module, Optimizer]:
        """The grown model at `factor` times the step; the given one stays as it was."""
        layers = [one.move.scaled(factor) for one in self.layers]
        moves = [move.scaled(factor) for move in self.plan.moves]
        if optimizer is None:
            deeper = perform(model, graph, layers) if layers else model
            return perform(deeper, self.deep, moves)
        if layers:
            model, optimizer = perform(model, graph, layers, optimizer)
        return perform(model, self.deep, moves, optimizer)


def affordable(
    layers: Sequence[Candidate], graph: Graph, bounds: Sequence[Bound], most: int
) -> tuple[Candidate, ...]:
    """At most so many layers, best first, that gain something and leave every limit kept."""
    chosen: list[Candidate] = []
    deep = graph
    for one in sorted(layers, key=lambda candidate: -candidate.gain):
        if len(chosen) == most or one.gain <= 0:
            break
        try:
            deeper = deep.after([one.move])
            fits = all(b.meter.cost(deeper).total <= b.limit for b in bounds)
        except (GraphError, DeviceError):  # its place is taken, or it has no price on the device
            continue
        if fits:
            chosen.append(one)
            deep = deeper
    return tuple(chosen)


def deepened(graph: Graph, layers: Sequence[Candidate]) -> Graph:
    """The graph with these layers in it."""
    return graph.after([one.move for one in layers]) if layers else graph


def _why(found: int, able: int) -> str:
    if not found:
        return "none was found"
    if not able:
        return f"{found} were found, too dear or vain"
    return f"{able} would fit, and the widths that fit without gain more"


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Makes the growth of one round from its scores."""

    round: str
    """What the round is called: `growth 1`."""
    selector: Selector
    width_step: int
    layers: int
    """New layers at most."""
    verify: Verify
    price: Callable[[Meter, Graph], float]
    told: Callable[[str], object]

    def growth(
        self,
        scores: Any,
        graph: Graph,
        bounds: Sequence[Bound],
        ranges: Ranges,
        product: bool,
    ) -> Growth:
        """What to grow. Layers and widths are in one knapsack: of the best layers that the limits
        leave room for, as many come in as make the whole growth gain most, with the widths that
        fit beside them. A plan of a network that will be delivered is measured as a whole, and
        chosen again if it would miss a limit. Where none keeps it, new layers are given up first.
        """
        layers = getattr(scores, "layers", ())
        able = affordable(layers, graph, bounds, self.layers)
        deeper = [deepened(graph, able[:number]) for number in range(len(able) + 1)]
        plans: dict[tuple[float, ...], Plan] = {}

        def choose(number: int, within: Sequence[Bound]) -> Plan:
            """The plan beside so many layers; measuring begins with one that is there already."""
            asked = (number, *(bound.limit for bound in within))
            if asked not in plans:
                deep = deeper[number]
                plans[asked] = self.selector.select(scores, deep, within, self.width_step, ranges)
            return plans[asked]

        def growth(number: int, plan: Plan) -> Growth:
            return Growth(layers=able[:number], deep=deeper[number], plan=plan)

        ways = [growth(number, choose(number, bounds)) for number in range(len(deeper))]
        best = max(ways, key=lambda one: one.gain)  # of equal ones that with fewer layers
        if self.layers and not best.layers:
            self.told(f"{self.round}: no new layer came in: {_why(len(layers), len(able))}")
        if not product:
            return best
        number = len(best.layers)
        plan, holds = self._verified(partial(choose, number), best.deep, bounds)
        if number and not holds:
            number = 0
            plan, _ = self._verified(partial(choose, number), graph, bounds)
        return growth(number, plan)

    def _verified(
        self, choose: Callable[[Sequence[Bound]], Plan], graph: Graph, bounds: Sequence[Bound]
    ) -> tuple[Plan, bool]:
        return verified(
            choose,
            bounds,
            {bound.meter.name: self.price(bound.meter, graph) for bound in bounds},
            lambda plan: self.verify(graph.with_widths(plan.widths), bounds),
            self.told,
        )
