"""floors: imports go down only, a module says first what it gives, and no file grows too long."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "easearch"
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = (
    {
        *("checks", "claims", "conflicts", "deepening", "errors", "factories", "files", "graph"),
        *("moves", "reparametrized", "roles", "shapes", "structures", "table", "untrusted"),
    },
    {"tracing"},
    {"growth", "budget", "selection"},
    {"scoring", "exporting"},
    {"recipe", "reporting", "feed", "record"},
    {"run", "front", "assembly", "preflight", "seed"},
    {"sweeps", "comparing"},
    {"cli"},
)
MIXED = (0, 4, 5)
"""Floors whose parts may import each other, in one direction: words, what serves a run, runs."""
ASIDE = {"models": set[str](), "data": {"errors", "untrusted"}}
"""Parts that stand apart from the floors, and what they may import."""
MAY_IMPORT_ASIDE = {
    "growth": {"models"},
    "recipe": {"models", "data"},
    "feed": {"data"},
    "run": {"models", "data"},
    "assembly": {"models", "data"},
    "preflight": {"data"},
    "seed": {"models", "data"},
    "sweeps": {"models", "data"},
    "comparing": {"models", "data"},
    "cli": {"models", "data"},
}
FREE = {"__init__", "__main__"}
LONGEST = 400


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor_of(part: str) -> int | None:
    return next((number for number, parts in enumerate(FLOORS) if part in parts), None)


def imported(file: Path) -> set[str]:
    """The parts of easearch that a file imports when it runs, at its head or inside a function."""
    package = ("easearch", *file.relative_to(PACKAGE).parts[:-1])
    found = set()
    for node in _running(ast.parse(file.read_text())):
        for dotted in _modules(node, package):
            if dotted.split(".")[0] == "easearch" and "." in dotted:
                found.add(dotted.split(".")[1])
    return found


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node outside of `if TYPE_CHECKING:`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _running(other)
            continue
        yield node
        yield from _running(node)


def _modules(node: ast.AST, package: tuple[str, ...]) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = package[: len(package) + 1 - node.level] if node.level else ()
        base = ".".join([*above, *([node.module] if node.module else [])])
        # `from easearch import record` names a module, `from easearch.errors import x` a content
        return [f"{base}.{alias.name}" for alias in node.names] if base == "easearch" else [base]
    return []


def allowed(part: str, other: str) -> bool:
    """Whether a file of `part` may import `other`."""
    if other == part:
        return True
    if part in ASIDE:
        return other in ASIDE[part]
    if other in ASIDE:
        return other in MAY_IMPORT_ASIDE.get(part, set())
    here, there = floor_of(part), floor_of(other)
    assert here is not None, f"'{part}' stands on no floor: give it one here and in the design"
    assert there is not None, f"'{part}' imports '{other}', which stands on no floor"
    return there < here or (there == here and here in MIXED)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_go_down_only(file: Path) -> None:
    part = part_of(file)
    if part not in FREE:
        wrong = sorted(other for other in imported(file) if not allowed(part, other))
        assert not wrong, f"{name_of(file)} imports {wrong}"


def test_no_two_parts_import_each_other() -> None:
    """Siblings that may import each other do so in one direction."""
    uses: dict[str, set[str]] = {}
    for file in FILES:
        if part_of(file) not in FREE:
            uses.setdefault(part_of(file), set()).update(imported(file) - {part_of(file)})
    circles = [(a, b) for a in uses for b in uses[a] if a < b and a in uses.get(b, set())]
    assert not circles


def test_the_law_sees_imports_of_every_form() -> None:
    """A law that reads source must be shown to read it: each of these imports `cli`."""
    lines = (
        "import easearch.cli",
        "import easearch.cli.door as d",
        "from easearch import cli",
        "from easearch.cli import app",
        "def late():\n    from easearch.cli.door import x",
        "try:\n    pass\nfinally:\n    import easearch.cli",
    )
    for number, line in enumerate(lines):
        tree = ast.parse(line)
        found = {m for node in _running(tree) for m in _modules(node, ("easearch", "growth"))}
        assert any(m.startswith("easearch.cli") for m in found), lines[number]
    relative = ast.parse("from .. import cli")
    assert [m for node in _running(relative) for m in _modules(node, ("easearch", "growth"))] == [
        "easearch.cli"
    ]
    hidden = ast.parse("if TYPE_CHECKING:\n    from easearch.cli import app")
    assert not [m for node in _running(hidden) for m in _modules(node, ("easearch",))]
    for lower, upper in pairwise(FLOORS):
        for part in lower:
            assert not any(allowed(part, other) for other in upper)
    assert not allowed("growth", "budget")
    assert not allowed("scoring", "exporting")
    assert not allowed("models", "errors")


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_every_module_begins_with_a_sentence(file: Path) -> None:
    told = ast.get_docstring(ast.parse(file.read_text()))
    assert told, f"{name_of(file)} does not say what it gives"
    first = told.split("\n\n")[0]
    assert first[0].isupper() or first[0] in "`" or first.startswith(("easearch", "torch"))
    assert first.rstrip().endswith((".", "?", "`", ":")), first


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_file_is_too_long(file: Path) -> None:
    lines = len(file.read_text().splitlines())
    assert lines <= LONGEST, f"{name_of(file)} has {lines} lines"
