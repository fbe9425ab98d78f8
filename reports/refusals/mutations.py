"""Breaks the recipes and profiles that ship, at random, and tells of every error that is not ours.

    python reports/refusals/mutations.py 500

A mutation is a random byte, a line deleted or doubled, a value of another type, a huge number, a
byte-order mark, other line ends, or tabs. What loads is no fault: most bytes stand in comments.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from easearch.budget.devices.profile import FILE, Profile
from easearch.errors import EasearchError
from easearch.recipe import Recipe

ROOT = Path(__file__).parents[2]
VALUES = (
    *("-1", "0", "1e308", ".nan", "9" * 5000, "true", "null", "[]", "{}", "[[1]]", "{a: 1}"),
    *("'\\u202e'", "\u00e9\u6f22", "''", "&a 1", "*a", "!!python/name:os.system", "1:30", "0x"),
)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """The content, broken in one to three ways."""
    for _ in range(draw.randint(1, 3)):
        content = draw.choice(WAYS)(content, draw)
    return content


def _byte(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content) + 1)
    return content[:at] + bytes([draw.randrange(256)]) + content[at + draw.randint(0, 1) :]


def _line(content: bytes, draw: random.Random) -> bytes:
    lines = content.split(b"\n")
    at = draw.randrange(len(lines))
    lines[at : at + 1] = draw.choice(([], [lines[at]] * 2, [b"\t" + lines[at]], [lines[at][1:]]))
    return b"\n".join(lines)


def _value(content: bytes, draw: random.Random) -> bytes:
    lines = content.split(b"\n")
    places = [at for at, line in enumerate(lines) if b":" in line and not line.startswith(b"#")]
    if places:
        at = draw.choice(places)
        lines[at] = lines[at].partition(b":")[0] + b": " + draw.choice(VALUES).encode()
    return b"\n".join(lines)


def _ends(content: bytes, draw: random.Random) -> bytes:
    marks = (
        b"\xef\xbb\xbf" + content,
        content.replace(b"\n", b"\r\n"),
        content[: len(content) // 2],
    )
    return draw.choice(marks)


WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (_byte, _line, _value, _value, _ends)


def outcome(load: Callable[[], object]) -> str:
    """`loads`, `refused`, or the foreign error."""
    try:
        load()
    except EasearchError as error:
        text = str(error)
        return "refused" if text.isprintable() and len(text) <= 700 else f"odd message: {text!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "loads"


def main(count: int) -> int:
    """Try so many; status 1 if an error was not ours."""
    found: Counter[str] = Counter()
    recipes = sorted((ROOT / "recipes").glob("*.yaml"))
    profiles = sorted((ROOT / "budgets").glob(f"*/{FILE}"))
    for number in range(count):
        draw = random.Random(number)
        source = draw.choice([*recipes, *profiles])
        content = mutated(source.read_bytes(), draw)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "recipes"
            folder.mkdir()
            (Path(name) / "reports").symlink_to(ROOT / "reports")  # where evidence lies
            for other in recipes:
                (folder / other.name).write_bytes(other.read_bytes())
            file = folder / source.name
            file.write_bytes(content)
            of_device = source.name == FILE
            result = outcome(
                (lambda at=folder: Profile.read(at, trusted=False))  # type: ignore[misc]
                if of_device
                else (lambda at=file: Recipe.load(at))  # type: ignore[misc]
            )
        found[result if result in ("loads", "refused") else "foreign"] += 1
        if result not in ("loads", "refused"):
            print(f"{number}: {source.name}: {result}")
    print(", ".join(f"{kind} {times}" for kind, times in sorted(found.items())))
    return int("foreign" in found)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
