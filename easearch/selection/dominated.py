"""Rows over few groups as tables of what they forbid: kept by every growth, not priced.

Peak memory has many: a moment is two or three tensors. Prices do badly there, since a few large
steps either fit or do not; with the table the bound is near to the best plan, and costs no more
than the elimination of those groups costs anyway.
"""

from __future__ import annotations

import numpy as np

from easearch.selection.program import SLACK, Program

LARGEST = 2**16
"""Entries of the largest table."""
GROUPS = 3
"""In one table at most."""

Barrier = tuple[tuple[int, ...], np.ndarray]
"""Variables, rising, and for all their values 0, or minus infinity where a row forbids them."""


def barriers(program: Program) -> tuple[list[Barrier], np.ndarray]:
    """The tables, and which rows (R) they stand for."""
    costs, found = program.costs.tocsc(), dict[tuple[int, ...], np.ndarray]()
    tables = np.repeat(np.arange(len(program.scopes)), np.diff(program.offsets))
    closed = np.zeros(len(program.rows), dtype=bool)
    for row in range(len(program.rows)):
        own = np.unique(tables[costs.indices[costs.indptr[row] : costs.indptr[row + 1]]])
        scope = tuple(sorted({v for t in own for v in program.scopes[t]}))
        size = np.prod([program.sizes[v] for v in scope])
        if len(scope) > GROUPS or size > LARGEST or any(v >= len(program.names) for v in scope):
            continue
        closed[row] = True
        column = costs[:, [row]].toarray().reshape(-1)
        table = _closed(program, column, own.tolist(), scope, float(program.room[row]))
        found[scope] = np.minimum(found[scope], table) if scope in found else table
    return list(found.items()), closed


def _closed(
    program: Program, column: np.ndarray, tables: list[int], scope: tuple[int, ...], room: float
) -> np.ndarray:
    """Where the sum of these tables' costs is above the room."""
    whole = np.zeros([program.sizes[v] for v in scope])
    for t in tables:
        cost = column[program.offsets[t] : program.offsets[t + 1]]
        whole += cost.reshape([program.sizes[v] if v in program.scopes[t] else 1 for v in scope])
    return np.where(whole <= room + SLACK, 0.0, -np.inf)
