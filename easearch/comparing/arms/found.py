"""The widths that growing found, from scratch: what growing is worth beyond finding widths."""

from __future__ import annotations

from easearch.comparing.arm import Arm, Delivered, Setting
from easearch.comparing.arms.uniform import from_scratch
from easearch.comparing.arms.variant import refused
from easearch.comparing.files import ENTRY, read_json
from easearch.errors import GraphError


def run(contest: Setting) -> Delivered:
    """One training at the widths with which `grow` of the same seed ended at the same limit;
    finding them is free.

    Raises:
        GraphError: it put in new layers, which widths alone do not tell of.
    """
    entry = read_json(contest.needed["grow"] / ENTRY)
    part = entry["front"][contest.part]
    widths = {name: int(width) for name, width in part["widths"].items()}
    if widths.keys() != contest.graph.widths.keys():
        raise GraphError(
            "found: growing put in new layers, and the seed has no such groups; compare with "
            "growth.layers=0"
        )
    return from_scratch(contest, widths)


FOUND = Arm(
    run=run,
    about="the widths that growing found, from scratch; finding them is not charged",
    needs=("grow",),
    refusal=refused,
)
