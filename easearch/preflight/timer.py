"""What is timed of a run's networks while there is time; past that, the first one's scaled."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from easearch.budget.time_cap import TimeCap
from easearch.graph import Graph
from easearch.growth.compute import Compute
from easearch.growth.events import Phase, Watcher
from easearch.growth.surgery import resize
from easearch.moves import Candidate
from easearch.preflight.ready import Ready
from easearch.preflight.timing import Pace, Scored, pace_of, scored
from easearch.recipe import built_criterion


class Timer:
    """Times scorings and training steps, the seed's in any case.

    Args:
        watch: is told what is timed.
        cap: on the time for it.
    """

    def __init__(self, watch: Watcher, cap: TimeCap) -> None:
        self.watch, self.cap = watch, cap
        self.untimed: list[str] = []
        """Parts that were estimated instead."""

    def say(self, what: str) -> None:
        """Report what is timed now."""
        self.watch(Phase(name="time", detail=what))

    def goes_on(self, part: str, what: str) -> bool:
        """Whether there is time left; if not, the part counts as untimed."""
        if self.cap.over:
            self.untimed += [part] if part not in self.untimed else []
            return False
        self.say(what)
        return True

    def scores(
        self, ready: Ready, graphs: Sequence[Graph]
    ) -> tuple[list[Scored], Sequence[Candidate]]:
        """A scoring of each network, and the candidates of the first."""
        rule = built_criterion(ready.recipe.growth)
        found: list[Scored] = []
        candidates: Sequence[Candidate] = ()
        for number, graph in enumerate(graphs):
            if not found:
                self.say("a scoring of the seed")
            elif not self.goes_on("scoring", f"a scoring of the seed grown ({number})"):
                found.append(found[0].scaled(float(Compute.macs_of(graph))))
                continue
            one, some = scored(model_of(ready, graph), graph, ready.feed, rule, self.cap)
            candidates = candidates or some
            found.append(one)
        return found, candidates

    def paces(self, ready: Ready, graphs: Sequence[Graph]) -> list[Pace]:
        """The pace of the first network, of the last, and while there is time of those between."""
        first, *others = graphs
        found = [self._pace(ready, first, "the seed")]
        for number, graph in enumerate(reversed(others)):
            if number and self.cap.over:
                break
            found.append(self._pace(ready, graph, "a grown network"))
        return found

    def _pace(self, ready: Ready, graph: Graph, name: str) -> Pace:
        self.say(f"training steps of {name}")
        return pace_of(model_of(ready, graph), graph, ready.feed, ready.training, self.cap)


def model_of(ready: Ready, graph: Graph) -> nn.Module:
    """The seed at other widths; in its channels stands what the seed's hold."""
    return resize(ready.state.model, ready.state.graph, graph.widths)
