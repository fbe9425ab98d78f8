"""The program as arrays, the elimination of its variables, and what prices of limits prove."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from choosing import best_by_force, family_graph, graph_of, points, program_of
from networks import NETWORKS

from easearch.graph import Graph
from easearch.selection.dominated import barriers
from easearch.selection.dual import Dual
from easearch.selection.duals import relaxed
from easearch.selection.exact import promising
from easearch.selection.integer import Integer
from easearch.selection.program import Program
from easearch.selection.search import Search
from easearch.selection.tree import Tree

NAMES = ("tied", "plain", "mobilenet_v2", "concat", "concat_add", "densenet", "multi_reader", "glu")
SEEDS = range(4)


def graph_named(name: str) -> Graph:
    return graph_of(name) if name in NETWORKS else family_graph(name)


@pytest.fixture(params=NAMES)
def graph(request: pytest.FixtureRequest) -> Graph:
    return graph_named(request.param)


def weights_of(program: Program, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=program.offsets[-1])


def sums(program: Program, weights: np.ndarray) -> list[tuple[float, np.ndarray]]:
    return [(float(weights[program.entries(x)].sum()), x) for x in points(program)]


def test_rows_are_the_meters_own_shares_of_the_limits(graph: Graph) -> None:
    """Every row that may bind, and none left out that can: kept is what the meters call kept."""
    for seed in SEEDS:
        program = program_of(graph, seed)
        for x in points(program):
            choice = program.choice(x)
            assert program.kept(program.used(x)) == all(p.kept(choice) for p in program.prices)
            assert np.array_equal(program.point(choice), x)


def test_single_changes_are_weighed_as_the_whole_choice_is(graph: Graph) -> None:
    program = program_of(graph, 1)
    draw = np.random.default_rng(0)
    every = list(points(program))
    for number in draw.integers(len(every), size=5):
        search = Search(program, every[number])
        gains, added = search.changes()
        for change in range(len(gains)):
            x = every[number].copy()
            x[search.group[change]] = search.option[change]
            assert program.used(x) == pytest.approx(search.used + added[change], abs=1e-12)
            assert program.value(x) == pytest.approx(search.value + gains[change], abs=1e-12)


def test_elimination_finds_what_trying_all_finds(graph: Graph) -> None:
    for seed in SEEDS:
        program = program_of(graph, seed)
        weights, tree = weights_of(program, seed), Tree(program)
        assert tree.exact
        found = sums(program, weights)
        total, messages = tree.up(weights)
        x, entries = tree.best(messages)
        assert total == pytest.approx(max(value for value, _ in found))
        assert float(weights[program.entries(x)].sum()) == pytest.approx(total)
        assert np.array_equal(program.entries(x), entries)
        for group, marginals in enumerate(tree.marginals(total, messages)):
            for option, marginal in enumerate(marginals):
                best = max(value for value, y in found if y[group] == option)
                assert marginal == pytest.approx(best)


def test_copies_of_variables_leave_an_upper_bound() -> None:
    """Clusters too small for their tables: the sum found is no less, nor is any marginal; and it is
    what the entries told of add up to.
    """
    apart = 0
    for name in NAMES:
        graph = graph_named(name)
        for seed in SEEDS:
            program = program_of(graph, seed)
            weights, tree = weights_of(program, seed), Tree(program, cap=8)
            found = sums(program, weights)
            total, messages = tree.up(weights)
            _, entries = tree.best(messages)
            best = max(value for value, _ in found)
            assert total >= best - 1e-12
            assert float(weights[entries].sum()) == pytest.approx(total)
            for group, marginals in enumerate(tree.marginals(total, messages)):
                for option, marginal in enumerate(marginals):
                    assert marginal >= max(v for v, y in found if y[group] == option) - 1e-12
            apart += total > best + 1e-9
    assert apart > 0


def test_any_prices_prove_a_bound_and_the_best_the_lowest(graph: Graph) -> None:
    draw = np.random.default_rng(2)
    for seed in SEEDS:
        program = program_of(graph, seed, room=1.3)
        best = best_by_force(program)
        x, dual = relaxed(program, program.lowest(), seconds=5.0, close=1e-9)
        assert program.kept(program.used(x))
        assert program.value(x) <= best + 1e-12
        assert dual.upper >= best - 1e-12
        assert len(dual.lam) == len(program.rows)
        for _ in range(20):
            lam = dual.lam * draw.uniform(0.5, 2, len(dual.lam)) + draw.exponential() * 1e-2
            value, *_ = dual.ask(lam)
            assert value >= dual.upper - 1e-6 * abs(dual.upper)


def test_limits_over_few_groups_kept_give_no_worse_a_bound() -> None:
    closer = 0
    for name, seed in itertools.product(NAMES, range(3)):
        program = program_of(graph_named(name), seed, room=1.3)
        best, until = best_by_force(program), time.perf_counter() + 5
        priced = Dual.of(program, program.lowest(), until=until, close=1e-9)
        kept = Dual.of(program, program.lowest(), until=until, close=1e-9, barred=True)
        assert best - 1e-12 <= kept.upper <= priced.upper * (1 + 1e-6)
        closer += kept.upper < priced.upper * (1 - 1e-6)
        forbidden, rows = barriers(program)
        for x in points(program):
            own = program.kept(np.where(rows, program.used(x), -np.inf))
            assert own == all(table[tuple(x[list(scope)])] == 0 for scope, table in forbidden)
    assert closer > 0


def test_what_is_left_out_is_in_no_better_choice(graph: Graph) -> None:
    left_out = 0
    for seed in SEEDS:
        program = program_of(graph, seed, room=1.3)
        x, dual = relaxed(program, program.lowest(), seconds=5.0)
        barred = Dual.of(program, x, until=time.perf_counter() + 5, barred=True)
        kept = promising([dual, barred], program.value(x))
        left_out += sum(int((~mask).sum()) for mask in kept)
        for y in points(program):
            if program.kept(program.used(y)) and program.value(y) > program.value(x) + 1e-9:
                assert all(mask[k] for mask, k in zip(kept, y, strict=True))
    assert left_out > 0


def test_the_integer_program_by_itself_finds_what_trying_all_finds(graph: Graph) -> None:
    """Nothing left out before: also where costs depend on sums over groups."""
    for seed in SEEDS:
        program = program_of(graph, seed, room=1.3)
        best = best_by_force(program)
        x, upper = Integer(program).solve(0.0, 10.0)
        assert x is not None
        assert program.kept(program.used(x))
        assert program.value(x) == pytest.approx(best, rel=1e-9, abs=1e-15)
        assert upper >= best * (1 - 1e-6)


def test_no_time_still_gives_a_bound_and_a_choice_within_the_limits(graph: Graph) -> None:
    program = program_of(graph, 3, room=1.3)
    dual = Dual.of(program, program.lowest(), until=time.perf_counter())
    assert dual.upper >= best_by_force(program)
    x, _ = relaxed(program, program.lowest(), seconds=0.0)
    assert program.kept(program.used(x))
    assert program.value(x) > program.value(program.lowest())
    assert not Search(program, x).able()
