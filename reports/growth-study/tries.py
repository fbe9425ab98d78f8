"""What a search decides on: every arm of a comparison on the validation part, paired by seed.

    python reports/growth-study/tries.py FOLDER... [--against ARM]

The test part is not looked at here. Prints a row an arm: seeds, mean accuracy and loss on
validation, and their paired differences to the reference with the standard error over seeds.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easearch.comparing.files import entries_in


def validation(entry: Mapping[str, Any]) -> tuple[float, float]:
    """Accuracy (points) and loss (nats), means over the networks of a front."""
    parts = entry.get("front") or [entry]
    found = [(100 * one["validation"]["accuracy"], one["validation"]["loss"]) for one in parts]
    accuracy, loss = np.mean(found, axis=0)
    return float(accuracy), float(loss)


def differences(own: Mapping[int, Any], other: Mapping[int, Any]) -> str:
    """`+0.45 +- 0.10`, of accuracies and of losses, over the seeds that both have."""
    seeds = sorted(own.keys() & other.keys())
    if not seeds:
        return ""
    paired = np.array([np.subtract(own[seed], other[seed]) for seed in seeds])
    error = paired.std(axis=0, ddof=1) / np.sqrt(len(seeds)) if len(seeds) > 1 else [np.nan] * 2
    points, nats = paired.mean(axis=0)
    return f"{points:+6.2f} +- {error[0]:4.2f}   {nats:+.4f} +- {error[1]:.4f}"


def table(folders: Sequence[Path], against: str) -> list[str]:
    """A row an arm, best first."""
    arms: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    for folder in folders:
        for entry in entries_in(folder):
            arms[entry["arm"]][int(entry["seed"])] = validation(entry)
    means = {arm: np.mean(list(found.values()), axis=0) for arm, found in arms.items()}
    reference = arms.get(against, {})
    return [
        f"{arm:44s} {len(arms[arm]):2d}  {means[arm][0]:5.2f}  {means[arm][1]:.4f}  "
        + ("" if arm == against else differences(arms[arm], reference))
        for arm in sorted(arms, key=lambda arm: -means[arm][0])
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--against", default="uniform")
    said = parser.parse_args()
    print(f"{'arm':44s}  n    acc    loss  against {said.against}: points, nats")
    print("\n".join(table(said.folders, said.against)))


if __name__ == "__main__":
    main()
