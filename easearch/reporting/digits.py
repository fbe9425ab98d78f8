"""Numbers as a reader wants them: few digits, an SI prefix, a unit that stays on the line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

SPACE = "\N{NO-BREAK SPACE}"
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_PREFIXED_UNITS = {"MACs": "MACs", "macs": "MACs", "bytes": "B", "B": "B", "J": "J"}
_COUNTS = {"params", "parameters", "channels", "images", ""}


def significant(value: float, digits: int = 3) -> str:
    """`value` with so many significant digits, never as a power of ten: 0.0482, 4.82, 1,234."""
    if not math.isfinite(value):
        return "not finite"
    if abs(value) < 1e-9:
        return "0"
    # Rounded first: 0.00999 to two digits is 0.010, not 0.0100.
    exponent = int(f"{value:.{digits - 1}e}".split("e")[1])
    return signed_text(f"{value:,.{min(max(0, digits - 1 - exponent), 9)}f}")


def signed_text(text: str) -> str:
    """The text with a typographic minus, and no sign before a zero."""
    if not any(c in text for c in "123456789"):
        return text.lstrip("+-")
    return text.replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else text


def prefixed(value: float, unit: str = "") -> str:
    """`value` with three digits and an SI prefix: `192 k`, `12.3 TMACs`."""
    for size, prefix in _PREFIXES:
        if abs(value) >= size * 0.9995:
            return f"{significant(value / size)}{SPACE}{prefix}{unit}"
    return f"{significant(value)}{SPACE}{unit}".rstrip(SPACE)


def trust(held_out: float | None, rank_correlation: float | None) -> str | None:
    """How far a scoring can be trusted: `unseen images show 84 % of the claimed gain, halves agree
    0.93`; None where it says nothing.
    """
    told = []
    if held_out is not None:
        told.append(f"unseen images show {percent(held_out, 0)} of the claimed gain")
    if rank_correlation is not None:
        told.append(f"halves agree {signed_text(f'{rank_correlation:.2f}')}")
    return ", ".join(told) or None


def count(value: float) -> str:
    """A number of things, exact and grouped by thousands: 12,345."""
    return f"{round(value):,}" if math.isfinite(value) else "not finite"


def quantity(value: float, unit: str, digits: int = 3) -> str:
    """A cost in its meter's unit: `0.482 ms`, `192 kMACs`, `12,345` parameters."""
    if unit in _PREFIXED_UNITS:
        return prefixed(value, _PREFIXED_UNITS[unit])
    if unit in _COUNTS:
        return count(value)
    return f"{significant(value, digits)}{SPACE}{unit}"


def percent(fraction: float, places: int = 1, sign: bool = False) -> str:
    """A fraction as per cent: `88.4 %`, with `sign` `+1.2 %`."""
    if not math.isfinite(fraction):
        return "not finite"
    text = f"{100 * fraction:{'+' if sign else ''},.{places}f}"
    return f"{signed_text(text)}{SPACE}%"


def duration(seconds: float) -> str:
    """Seconds as `0.42 s`, `4 min 12 s` or `1 h 03 min`."""
    if not math.isfinite(seconds):
        return "not finite"
    if seconds < 60:
        return f"{significant(seconds, 2 if seconds < 10 else 3)}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{SPACE}min{SPACE}{rest}{SPACE}s"
    return f"{minutes // 60}{SPACE}h{SPACE}{minutes % 60:02d}{SPACE}min"


def ratio(after: float, before: float) -> str:
    """How many times: `×1.53`; nothing where there is no ratio."""
    if not before or not math.isfinite(after / before):
        return ""
    return f"\N{MULTIPLICATION SIGN}{after / before:.2f}"


def fraction_name(factor: float) -> str:
    """A step factor: 0, ¼, ½, 1, 2, 4; others in three digits."""
    known = {0.5: "½", 0.25: "¼", 0.125: "⅛", 0.0625: "1/16", 0.75: "¾"}
    return known.get(factor) or f"{factor:.3g}"


def short_names(names: Sequence[str]) -> list[str]:
    """Module paths without a last part that tells nothing: `stem.conv` is stem, where unique."""
    short = [name.removesuffix(".conv") for name in names]
    return [s if short.count(s) == 1 else name for name, s in zip(names, short, strict=True)]


def clipped(text: str, length: int) -> str:
    """The text, its middle left out where it is longer than `length`."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


_METERS = {
    "latency": "latency",
    "macs": "MACs",
    "params": "parameters",
    "memory": "activation memory",
    "energy": "energy",
}


def meter_title(meter: str) -> str:
    """A meter's name in prose: `macs` is MACs, an unknown one is itself."""
    return _METERS.get(meter, meter)


def day(text: str) -> str:
    """An ISO date, its time to the minute in UTC; anything else as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        return text
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def sentence(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def full_stop(text: str) -> str:
    """A sentence with a capital at its beginning and a mark at its end."""
    return sentence(text) + ("" if text.endswith((".", "!", "?")) else ".")
