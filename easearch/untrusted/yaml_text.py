"""YAML: plain values, each key once; no aliases, no tags; bounds on depth, values and words."""

from __future__ import annotations

from typing import Any

import yaml

from easearch.errors import FileFormatError, printable, shown
from easearch.untrusted.json_text import DEPTH, DIGITS, check_text, finite_number

VALUES = 2**14
"""Of a document."""
WORD = 2**16
"""Characters of a word."""
TAG = "tag:yaml.org,2002:"
_NOT_READ = ("timestamp", "merge", "value")


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        FileFormatError: it is no YAML, or uses what is not read.
    """
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, max(error.position, 0)) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character[:1])
        raise FileFormatError(
            f"line {line}: expected text, got the character U+{code:04X}"
        ) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileFormatError(f"line {line}: not valid YAML, {_problem(error)}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"not valid YAML, {shown(str(error), 100)}") from None


class _Loader(yaml.SafeLoader):
    """Plain values alone, each once, bounded while they are read."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise FileFormatError(
                f"line {line}: anchors and aliases (& and *) are not read; write it out"
            )
        self._depth += 1
        self._values += 1
        if self._depth > DEPTH:
            raise FileFormatError(
                f"line {line}: expected values in each other to a depth of {DEPTH}, got more"
            )
        if self._values > VALUES:
            raise FileFormatError(f"line {line}: expected {VALUES:,} values at most, got more")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode):
            if len(node.value) > WORD:
                raise FileFormatError(
                    f"line {line}: expected a word of {WORD:,} characters at most, got more"
                )
            check_text(node.value)
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise FileFormatError(f"line {line}: expected a word as a key, got a list or keys")
            if key.value in found:
                raise FileFormatError(
                    f"line {line}: the key {shown(key.value)} is there twice; keep one"
                )
            found[key.value] = self.construct_object(value, deep=deep)
        return found

    def construct_yaml_int(self, node: Any) -> int:
        if len(node.value) > DIGITS:
            line = node.start_mark.line + 1
            raise FileFormatError(
                f"line {line}: expected a number of {DIGITS} digits at most, got more"
            )
        return int(super().construct_yaml_int(node))

    def construct_yaml_float(self, node: Any) -> float:
        return finite_number(str(super().construct_yaml_float(node)))


def _problem(error: yaml.MarkedYAMLError) -> str:
    return printable(error.problem or "").replace("unexpected ", "the ")


def _foreign(loader: _Loader, node: Any) -> Any:
    line = node.start_mark.line + 1
    tag = shown(node.tag.replace(TAG, "!!"))
    raise FileFormatError(f"line {line}: expected a plain value, got the tag {tag}")


_Loader.yaml_implicit_resolvers = {
    first: [one for one in found if one[0].rpartition(":")[2] not in _NOT_READ]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.yaml_constructors = {
    tag: made
    for tag, made in yaml.SafeLoader.yaml_constructors.items()
    if tag and tag.rpartition(":")[2] in ("null", "bool", "str", "seq", "map")
}
_Loader.add_constructor(TAG + "int", _Loader.construct_yaml_int)
_Loader.add_constructor(TAG + "float", _Loader.construct_yaml_float)
_Loader.add_constructor(None, _foreign)
