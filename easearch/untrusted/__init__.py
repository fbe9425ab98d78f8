"""The one door for text from outside: files that a stranger may have written, and names.

What is not read is a `FileFormatError` that says what was expected and, where it is known, in which
line; whoever reads adds the name of the file.
"""

from easearch.untrusted.files import (
    TABLE_BYTES,
    read_bytes,
    read_json,
    read_text,
    read_yaml,
)
from easearch.untrusted.json_text import parse_json
from easearch.untrusted.names import RULE, is_name, name_of
from easearch.untrusted.yaml_text import parse_yaml

__all__ = [
    "RULE",
    "TABLE_BYTES",
    "is_name",
    "name_of",
    "parse_json",
    "parse_yaml",
    "read_bytes",
    "read_json",
    "read_text",
    "read_yaml",
]
