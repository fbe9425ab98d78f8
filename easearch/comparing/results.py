"""What a comparison found: its terms, a row an arm, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from easearch.budget.store import json_text, write_atomic
from easearch.comparing.arms import ARMS
from easearch.comparing.files import FAILED, RESULTS, Entry, entries_in, read_json
from easearch.comparing.judge import Row, rows_of
from easearch.comparing.terms import Terms
from easearch.factories import is_import_path


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All entries of a folder that are done, those of earlier calls too."""

    path: Path
    terms: Terms
    reference: str
    rows: tuple[Row, ...]
    entries: tuple[Mapping[str, Any], ...]
    failures: Mapping[str, str]
    """Entry -> why it failed."""
    left: tuple[str, ...]
    """Entries that were asked for and are not there."""

    @property
    def gaps(self) -> list[str]:
        """What is missing, as sentences."""
        told = [f"{entry} failed: {why}" for entry, why in self.failures.items()]
        return [*told, *(f"{entry} has not run" for entry in self.left)]

    @property
    def weights(self) -> str | None:
        """With what weights the arms of a user's own network begin; None for a seed of easearch's
        own.
        """
        return told_weights(self.terms, list(dict.fromkeys(one["arm"] for one in self.entries)))

    @property
    def notes(self) -> list[str]:
        """What entries said of themselves, with their names."""
        return [
            f"{Entry(arm=one['arm'], seed=one['seed'])}: {note}"
            for one in self.entries
            for note in one["notes"]
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for `json.dumps`."""
        return {
            "reference": self.reference,
            "terms": self.terms.to_json(),
            "rows": [asdict(row) for row in self.rows],
            "failures": dict(self.failures),
            "left": list(self.left),
            "entries": [dict(one) for one in self.entries],
        }


def gathered(
    terms: Terms, asked: Sequence[Entry], out: Path, against: str | None = None
) -> Comparison:
    """What lies in a folder.

    Args:
        terms: its terms.
        asked: the entries that were asked for, in the arms' order.
        out: the folder.
        against: the reference arm; None: `uniform` where it is among them, else the first.
    """
    entries = entries_in(out)
    arms = list(dict.fromkeys(one.arm for one in asked))
    reference = against or ("uniform" if "uniform" in arms else arms[0])
    failed = [one for one in asked if one.failed(out)]
    return Comparison(
        path=out,
        terms=terms,
        reference=reference,
        rows=tuple(rows_of(entries, reference, terms)),
        entries=tuple(entries),
        failures={str(o): read_json(o.folder(out) / FAILED)["error"] for o in failed},
        left=tuple(str(one) for one in asked if not one.done(out) and one not in failed),
    )


def told_weights(terms: Terms, arms: Sequence[str]) -> str | None:
    """With what weights these arms begin, where the network is the user's and may come with some;
    None for a seed of easearch's own, whose weights are always drawn.
    """
    model = str(terms.recipe["model"]["name"])
    if not is_import_path(model):
        return None
    on: list[str] = []
    fresh: list[str] = []
    for arm in arms:
        (on if ARMS[Entry(arm=arm, seed=0).name].goes_on else fresh).append(arm)
    told = [f"train on from the weights that {model} gives: {', '.join(on)}"] if on else []
    told += [f"begin with random weights: {', '.join(fresh)}"] if fresh else []
    text = "; ".join(told)
    return text[:1].upper() + text[1:] or None


def write_results(found: Comparison) -> None:
    """Write `results.json`."""
    write_atomic(found.path / RESULTS, json_text(found.to_json()))
