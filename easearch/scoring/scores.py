"""The outcome of a scoring, and the state in which a model is scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from easearch.errors import ScoringError
from easearch.moves import Candidate, Move
from easearch.tracing.program import evaluating

DOUBTFUL = 0.5
"""Held-out over claimed gain below which directions are mostly noise."""
STABLE_GAIN, STABLE_RANK = 0.8, 0.9
"""Held-out over claimed gain and rank correlation of the halves from which more samples change
little (docs/methods.md, 5)."""


class Scores(list[Candidate]):
    """Candidates, best first, with what the scoring says of itself.

    Attributes:
        images: how many samples were seen.
        held_out: summed gain on unseen samples over the gain claimed on the directions' own; None
            if not cross-fitted.
        rank_correlation: Spearman's, between the gains on one half of the unseen samples and on the
            other; None if there are too few.
        layers: new layers, best first: with a budget of their own.
        nothing: groups in which no candidate is worth anything, and why, as a sentence.
    """

    def __init__(
        self,
        candidates: Iterable[Candidate],
        *,
        images: int = 0,
        held_out: float | None = None,
        rank_correlation: float | None = None,
        layers: Iterable[Candidate] = (),
        nothing: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sorted(candidates, key=lambda candidate: -candidate.gain))
        self.images, self.held_out, self.rank_correlation = images, held_out, rank_correlation
        self.layers = tuple(sorted(layers, key=lambda candidate: -candidate.gain))
        self.nothing = dict(nothing or {})

    def like(self, other: object) -> Scores:
        """These candidates, with what another scoring says of itself (as far as it does)."""
        for name in ("images", "held_out", "rank_correlation", "layers", "nothing"):
            setattr(self, name, getattr(other, name, getattr(self, name)))
        return self

    @property
    def stable(self) -> bool:
        """Whether more samples would change little."""
        return (
            self.held_out is not None
            and self.held_out >= STABLE_GAIN
            and self.rank_correlation is not None
            and self.rank_correlation >= STABLE_RANK
        )

    @property
    def doubt(self) -> str | None:
        """Why these candidates should not be trusted, as a sentence; None where they can be."""
        if self.held_out is None or self.held_out >= DOUBTFUL:
            return None
        return (
            f"of the gain that the candidates claim on the {self.images} samples scored, unseen "
            f"ones show {100 * self.held_out:.0f} %: the directions are mostly noise; score on "
            "more samples (images='auto' takes as many as it needs)"
        )


def candidate_of(move: Move, gain: float, interval: float) -> Candidate:
    """A candidate with its gain on unseen samples: one that sees no gain there is worth nothing, it
    may be left undone. An interval that is infinite is not known.
    """
    known = interval if interval < math.inf else None
    return Candidate(move=move, gain=max(gain, 0.0), interval=known)


def check_above_zero(**options: float) -> None:
    """Refuse options of a criterion that are not above zero, or not finite.

    Raises:
        ScoringError: with the option's name.
    """
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise ScoringError(f"expected a {name} above 0, got {value}")


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
