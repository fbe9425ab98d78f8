"""Floors, ceilings and locks: from patterns of names to the range of every group that can grow."""

from __future__ import annotations

from fnmatch import fnmatchcase

from easearch.errors import BudgetError, nearest
from easearch.graph import ChannelGroup, Graph
from easearch.roles import Range, Ranges


def resolved(ranges: Ranges | None, graph: Graph) -> dict[str, Range]:
    """The range of every growable group that a pattern names.

    Patterns are `fnmatch`'s (`features.3.*`); a later one overrides an earlier one in what it says,
    so that a rule can have exceptions. Frozen groups among those matched are passed over, unless
    the pattern matches nothing else and asks for what they are not.

    Raises:
        BudgetError: a pattern matches no group, asks a frozen one to grow, or has a ceiling below
            the present width; two patterns together have a floor above their ceiling.
    """
    found: dict[str, Range] = {}
    for pattern, given in (ranges or {}).items():
        matched = [g for g in graph.channel_groups if _matches(g.name, pattern)]
        if not matched:
            known = nearest(pattern, graph.groups)
            raise BudgetError(f"widths: no channel group matches '{pattern}'; {known}")
        growable = [group for group in matched if group.frozen is None]
        for group in growable or matched:
            found[group.name] = _overridden(found.get(group.name), given, pattern, group.name)
    for name, wanted in found.items():
        _check(graph.groups[name], wanted)
    return {name: wanted for name, wanted in found.items() if graph.groups[name].frozen is None}


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def _overridden(before: Range | None, given: Range, pattern: str, group: str) -> Range:
    if before is None or given.fixed or before.fixed:
        return given
    low = before.low if given.low is None else given.low
    high = before.high if given.high is None else given.high
    try:
        return Range(low=low, high=high, firm=given.firm)
    except BudgetError as error:
        raise BudgetError(
            f"widths: '{pattern}' and a pattern before it do not go together for '{group}': {error}"
        ) from None


def _check(group: ChannelGroup, wanted: Range) -> None:
    if wanted.high is not None and group.width > wanted.high:
        raise BudgetError(
            f"widths: '{group.name}' is {group.width} channels wide already, above its ceiling of "
            f"{wanted.high}; raise the ceiling or begin with a narrower network"
        )
    if group.frozen is not None and wanted.low is not None and wanted.low > group.width:
        raise BudgetError(
            f"widths: '{group.name}' has a floor of {wanted.low} and is {group.width} channels "
            f"wide for good: {group.frozen}"
        )
