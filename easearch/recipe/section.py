"""What every section of a recipe is made of: the frozen base, numbers, and faults with a place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from easearch.errors import nearest, shown
from easearch.untrusted import RULE, is_name


def fault(what: str, place: str = "") -> PydanticCustomError:
    """A fault of a section; `place` is the dotted path inside it."""
    return PydanticCustomError("easearch", "{what}", {"what": what, "place": place})


def known(kind: str, name: str, names: Iterable[str], place: str = "") -> str:
    """The name, if it is one of these; else a fault that says the nearest."""
    names = list(names)
    if name not in names:
        raise fault(f"unknown {kind} {shown(name)}; {nearest(name, names)}", place)
    return name


def increasing(values: Sequence[float]) -> bool:
    """Whether every value is above the one before it."""
    return all(a < b for a, b in pairwise(values))


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise fault(f"expected a number, got {str(value).lower()}")
    return value


def _path(value: Any) -> Any:
    if isinstance(value, str) and not (value.isprintable() and len(value) <= LONGEST_PATH):
        raise fault(f"expected the path of a file or folder, got {shown(value)}")
    return value


def _name(value: str) -> str:
    if not is_name(value):
        raise fault(f"expected a name of {RULE}, got {shown(value)}")
    return value


LONGEST_PATH = 1000
"""Characters of a path."""
Name = Annotated[str, AfterValidator(_name)]
"""What becomes the name of a folder."""
Place = Annotated[str, BeforeValidator(_path)]
"""The path of a file or a folder."""
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, BeforeValidator(_no_bool)]
"""Not strict: YAML 1.1 reads `1e-3` as text."""
Limit = float | int | str
"""What a network may cost, as a recipe writes it: `0.4`, `"0.4 ms"`, `"2.5x"`."""


class Part(BaseModel):
    """A section of a recipe: frozen, and no key that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
