"""What growth would be worth: criteria by name, and the one public verb."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import entry_points
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from easearch.checks.batches import told
from easearch.errors import ScoringError, ScoringWarning, nearest
from easearch.graph import Graph
from easearch.moves import Candidate
from easearch.reparametrized import plain
from easearch.roles import Batches, Criterion, Loss
from easearch.scoring.door import check_scoring
from easearch.scoring.firefly import Firefly
from easearch.scoring.gradmax import GradMax
from easearch.scoring.mixed import Mixed
from easearch.scoring.net2net import Net2Net
from easearch.scoring.neurons import Neurons
from easearch.scoring.random import Random
from easearch.scoring.sample_size import AdaptiveSampleSize, Images
from easearch.scoring.scores import Scores
from easearch.scoring.shuffled import Shuffled
from easearch.scoring.splitting import Splitting
from easearch.scoring.unscored import Unscored
from easearch.tracing.untouched import untouched


def _shuffled(of: str = "unit", seed: int = 0, **options: Any) -> Shuffled:
    """The placebo of the criterion `of`, which gets the options."""
    if of == "shuffled" or of not in CRITERIA:
        raise ScoringError(f"there is no criterion '{of}' to shuffle; {nearest(of, CRITERIA)}")
    return Shuffled(of=CRITERIA[of](**options), seed=seed)


CRITERIA: dict[str, Callable[..., Criterion]] = {
    "unit": Splitting,
    "unit-signed": partial(Splitting, c=3.0),
    "s2d": partial(Splitting, scope="layer", solver="exact"),
    "fast": partial(Splitting, scope="layer", solver="rayleigh"),
    "s3d": partial(Splitting, scope="layer", solver="exact", c=3.0),
    "neurons": Neurons,
    "births": partial(Neurons, climbs=0, rounds=1),
    "unscored": Unscored,
    "gradmax": GradMax,
    "net2net": Net2Net,
    "mixed": Mixed,
    "firefly": Firefly,
    "random": Random,
    "shuffled": _shuffled,
}
"""A criterion's name -> how it is made: `CRITERIA["unit"](step=0.02)`."""

for _found in entry_points(group="easearch.criteria"):
    try:
        CRITERIA.setdefault(_found.name, _found.load())
    except Exception as _error:  # another package's fault must not take ours down
        logging.getLogger(__name__).warning(
            "the criterion '%s' of another package does not load: %s", _found.name, _error
        )


def criterion(name: str, **options: Any) -> Criterion:
    """The criterion of that name, with its options.

    Raises:
        ScoringError: no criterion has this name.
    """
    if name not in CRITERIA:
        raise ScoringError(f"there is no criterion '{name}'; {nearest(name, CRITERIA)}")
    return CRITERIA[name](**options)


def score(
    model: nn.Module,
    graph: Graph,
    batches: Batches,
    criterion: str | Criterion = "unit",
    *,
    loss: Loss = F.cross_entropy,
    crossfit: bool = True,
    images: Images | None = None,
) -> list[Candidate]:
    """What growth would be worth, candidate by candidate, best first.

    Args:
        model: scored in evaluation mode and left bit-identical.
        graph: `trace(model, sample)`.
        batches: (inputs, targets), any iterable that can be iterated more than once.
        criterion: a name in `CRITERIA`, or a criterion of your own.
        loss: `loss(outputs, targets)`, the mean over the samples.
        crossfit: directions and gains from different batches; False: both from all, for exact
            checks. A criterion that is passed as an object keeps its own setting.
        images: samples to score on, over all ranks; "auto": as many as the gains need to be
            stable; None: all.

    Returns:
        Candidates whose `gain` is the predicted decrease of the mean loss, in nats, at the move's
        step. Under torch.distributed every rank passes its own shard of the samples, and all ranks
        return the same candidates.

    Warns:
        ScoringWarning: unseen samples show less than half of the gain that is claimed.

    Raises:
        ScoringError: batches or a loss that nothing can be scored with.
    """
    model = plain(model)
    if isinstance(criterion, str):
        criterion = _named(criterion, crossfit=crossfit)
    elif isinstance(criterion, type) or not callable(getattr(criterion, "score", None)):
        raise ScoringError(
            f"expected a criterion, its name or an object with a score method, got "
            f"{told(criterion)}; known: {', '.join(CRITERIA)}"
        )
    check_scoring(model, graph, batches, loss)
    if images is not None:
        criterion = AdaptiveSampleSize(of=criterion, images=images)
    with torch.inference_mode(False), untouched(model):
        found = criterion.score(model, graph, batches, loss)
    doubt = getattr(found, "doubt", None)
    if doubt is not None:
        warnings.warn(doubt, ScoringWarning, stacklevel=2)
    return found


_named = criterion

__all__ = [
    "CRITERIA",
    "AdaptiveSampleSize",
    "Random",
    "Scores",
    "Shuffled",
    "Splitting",
    "criterion",
    "score",
]
