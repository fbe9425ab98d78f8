"""Where a choice starts: the present widths, or the floors, within the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from easearch.errors import BudgetError
from easearch.roles import Range
from easearch.selection.charges import Pricing
from easearch.selection.options import Option, Options, lowest
from easearch.selection.program import Program
from easearch.selection.search import Search


def started(
    choices: Options, prices: Sequence[Pricing], ranges: Mapping[str, Range]
) -> tuple[Program, np.ndarray]:
    """The program in which every group is at or above its floor, and a choice that keeps every
    limit.

    Floors that are not firm are taken as far as candidates and limits allow.

    Raises:
        BudgetError: the candidates do not reach a firm floor, or the limits do not allow them.
    """
    first = {name: _first(name, ladder, ranges.get(name)) for name, ladder in choices.items()}
    program = _program(choices, prices, first)
    start = _within(program, first)
    wishes = {name: one.low or 0 for name, one in ranges.items() if not one.firm}
    _towards(program, start, choices, wishes)
    for name in wishes.keys() & program.index.keys():
        first[name] = int(program.allowed[name][start[program.index[name]]])
    if wishes:
        program, before = _program(choices, prices, first), program
        start = program.point(before.choice(start))
    return program, start


def _program(choices: Options, prices: Sequence[Pricing], first: Mapping[str, int]) -> Program:
    return Program(
        choices,
        prices,
        {name: np.array([o.gain for o in ladder]) for name, ladder in choices.items()},
        {name: np.arange(first[name], len(ladder)) for name, ladder in choices.items()},
    )


def _first(name: str, ladder: Sequence[Option], wanted: Range | None) -> int:
    if wanted is None or not wanted.firm:
        return 0
    found = lowest(ladder, wanted)
    if found is None:
        raise BudgetError(
            f"widths: '{name}' has a floor of {wanted.low} channels, and the candidates bring its "
            f"{ladder[0].width} to {ladder[-1].width} at most within its range and the step of "
            "widths; lower the floor, or grow in more stages"
        )
    return found


def _within(program: Program, first: Mapping[str, int]) -> np.ndarray:
    """The floors themselves, or what is near them and keeps the limits: on a staircase wider may be
    cheaper.
    """
    search = Search(program, program.lowest())
    if search.repair(np.zeros(len(program.rows))):
        return search.x
    floors = {name: program.choices[name][k].width for name, k in first.items() if k}
    start = program.choice(program.lowest())
    over = max(program.prices, key=lambda p: p.total(start) / p.bound.limit)
    meter, cost = over.bound.meter, over.total(start)
    named = ", ".join(f"{name} {width}" for name, width in list(floors.items())[:3])
    more = f" and {len(floors) - 3} more" if len(floors) > 3 else ""
    raise BudgetError(
        f"widths: at its floors ({named}{more}) the network costs {cost:.4g} {meter.unit} of "
        f"{meter.name}, more than the limit of {over.bound.limit:.4g}; lower the floors or raise "
        "the limit"
    )


def _towards(
    program: Program, start: np.ndarray, choices: Options, wishes: Mapping[str, int]
) -> None:
    """Take groups towards floors that are not firm, within the limits: always the one that is the
    furthest from its floor by one option, so that what there is room for is shared evenly.
    """
    open_ = {name for name, floor in wishes.items() if floor and name in program.index}

    def share(name: str) -> tuple[float, str]:
        width = choices[name][program.allowed[name][start[program.index[name]]]].width
        return width / wishes[name], name

    while open_:
        name = min(open_, key=share)
        group = program.index[name]
        wider = _wider(program, start, group) if share(name)[0] < 1 else None
        if wider is None:
            open_.remove(name)
        else:
            start[group] = wider


def _wider(program: Program, start: np.ndarray, group: int) -> int | None:
    """The next option of a group that keeps the limits with all others as they are: on a staircase
    the very next may not, and one behind it does.
    """
    cost = program.alone(group, start)
    other = program.used(start) - cost[start[group]]
    further = range(int(start[group]) + 1, program.sizes[group])
    return next((i for i in further if program.kept(other + cost[i])), None)
