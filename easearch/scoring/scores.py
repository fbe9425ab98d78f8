"""The outcome of a scoring, and the state in which a model is scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn

from easearch.moves import Candidate
from easearch.tracing.program import evaluating


class Scores(list[Candidate]):
    """Candidates, best first, with what the scoring says of itself.

    Attributes:
        images: how many samples were seen.
        held_out: summed gain on unseen batches over the gain claimed on the directions' own; None
            if not cross-fitted. Below a half the directions are mostly noise: score on more images.
    """

    def __init__(
        self, candidates: Iterable[Candidate], *, images: int = 0, held_out: float | None = None
    ) -> None:
        super().__init__(sorted(candidates, key=lambda candidate: -candidate.gain))
        self.images, self.held_out = images, held_out


@contextmanager
def scoring_state(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and no module that overwrites its input; afterwards all is as before."""
    inplace = [m for m in model.modules() if getattr(m, "inplace", False) is True]
    with evaluating(model):
        for module in inplace:
            module.inplace = False  # type: ignore[assignment]
        try:
            yield
        finally:
            for module in inplace:
                module.inplace = True  # type: ignore[assignment]
