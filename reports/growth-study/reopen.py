"""Lay out the folder of a comparison again from its `results.json`, so that more arms or seeds can
be run beside those that are there: within the same limits, at the same compute.

    python reports/growth-study/reopen.py reports/growth-study/fashion-late OUT
    easearch compare reports/growth-study/fashion-front.yaml --out OUT --arms grow,searched ...

The networks themselves are not kept; arms that begin from another's (`found`) run that one anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from easearch.budget.store import write_atomic
from easearch.comparing.files import ENTRY, RESULTS, TERMS, Entry, read_json


def reopen(results: Path, out: Path) -> int:
    """Write terms and entries where `easearch compare` looks for them; how many entries."""
    found = read_json(results)
    # Before there was `training.hold`, nothing was held.
    found["terms"]["recipe"]["training"].setdefault("hold", 0.0)
    write_atomic(out / TERMS, json.dumps(found["terms"], indent=1) + "\n")
    for one in found["entries"]:
        folder = Entry(arm=one["arm"], seed=int(one["seed"])).folder(out)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / ENTRY, json.dumps(one, indent=1) + "\n")
    return len(found["entries"])


def main() -> None:
    """Say how many entries are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("comparison", type=Path, help="a folder with a results.json")
    parser.add_argument("out", type=Path, help="a folder that is not there yet")
    said = parser.parse_args()
    if said.out.exists():
        parser.error(f"expected a folder that is not there yet, got {said.out}")
    said.out.mkdir(parents=True)
    print(f"{reopen(said.comparison / RESULTS, said.out)} entries in {said.out}")


if __name__ == "__main__":
    main()
