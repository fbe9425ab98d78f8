"""The answer before all figures: does it fit, and how good is it."""

from __future__ import annotations

from dataclasses import dataclass

from easearch.reporting.digits import (
    count,
    meter_title,
    percent,
    prefixed,
    quantity,
    ratio,
    sentence,
)
from easearch.reporting.files import Certified
from easearch.reporting.reading import RunFolder


@dataclass(frozen=True, kw_only=True)
class Card:
    """One number with what it means; `share` of a limit draws a bar."""

    label: str
    value: str
    detail: str
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The verdict in two words, the sentence behind it, and the numbers."""

    verdict: str
    tone: str
    sentence: str
    cards: tuple[Card, ...]
    warnings: tuple[str, ...] = ()
    """What a reader must not miss: predictions that the measurement contradicts."""


def headline(run: RunFolder) -> Headline:
    """Read the verdict off the certificate; without one the page says that nothing is proven."""
    verdict, tone = _verdict(run)
    return Headline(
        verdict=verdict,
        tone=tone,
        sentence=_sentence(run),
        cards=_cards(run),
        warnings=_warnings(run),
    )


def _verdict(run: RunFolder) -> tuple[str, str]:
    if run.certificate is None:
        return "Not certified", "open"
    if run.certificate.meets:
        return "It fits", "good"
    missed = any(row.decided and not row.meets for row in run.certificate.limits)
    return ("It does not fit", "bad") if missed else ("Not decided", "open")


def _sentence(run: RunFolder) -> str:
    if run.certificate is None:
        start = "There is no readable certificate: nothing is proven about the exported file."
    else:
        start = " ".join(_limit_sentence(row) for row in run.certificate.limits)
    test = run.facts.test
    if test.accuracy is None:
        return f"{start} The test images have not been looked at."
    images = f" on {count(test.images)} images" if test.images is not None else ""
    exported = run.facts.test_exported.accuracy
    also = f", {percent(exported)} as exported in {run.facts.precision}" if exported else ""
    return f"{start} Test accuracy: {percent(test.accuracy)}{images}{also}."


def _warnings(run: RunFolder) -> tuple[str, ...]:
    """A sentence for every limit whose measurement left the predicted interval."""
    return tuple(
        f"{sentence(meter_title(row.meter))} was predicted "
        f"{quantity(row.predicted or 0.0, row.unit)} ± {percent(row.interval or 0.0)} and measured "
        f"{quantity(row.measured or 0.0, row.unit)}: the prediction does not hold for this "
        "network, and the plan made with it may not be the best."
        for row in (run.certificate.limits if run.certificate else ())
        if row.outside
    )


def _limit_sentence(row: Certified) -> str:
    limit = quantity(row.limit, row.unit)
    what = sentence(meter_title(row.meter))
    if row.value is None:
        return f"{what} has not been measured; the limit is {limit}."
    noise = f" ± {percent(row.noise)} measured" if row.measured is not None and row.noise else ""
    predicted = " predicted" if row.measured is None else ""
    found = f"{what}: {quantity(row.value, row.unit)}{noise}{predicted}, {_kept(row)} {limit}."
    return f"{found} The prediction was wrong: {row.surprise}." if row.surprise else found


def _kept(row: Certified) -> str:
    if not row.decided:
        return "too noisy to decide the limit of"
    if not row.meets:
        return "over the limit of"
    over = row.value is not None and row.value > row.limit
    return "by less than the noise over the limit of" if over else "within the limit of"


def _cards(run: RunFolder) -> tuple[Card, ...]:
    cards = [_limit_card(row) for row in run.certificate.limits] if run.certificate else []
    if run.certificate is None:
        cards = [
            _predicted_card(run, meter) for meter in run.facts.limits if meter in run.facts.cost
        ]
    covered = set(run.facts.limits) | {
        row.meter for row in (run.certificate.limits if run.certificate else ())
    }
    return (*cards, *_accuracy_card(run), *_size_cards(run, covered))


def _limit_card(row: Certified) -> Card:
    limit = quantity(row.limit, row.unit)
    if row.value is None:
        return Card(label=sentence(meter_title(row.meter)), value="–", detail=f"limit {limit}")
    share = row.value / row.limit if row.limit else None
    close = share is not None and 0.99 < share < 1.01
    used = (
        f"{percent(share, 1 if close else 0)} of {limit}" if share is not None else f"limit {limit}"
    )
    return Card(
        label=sentence(meter_title(row.meter)),
        value=quantity(row.value, row.unit),
        detail=used,
        share=share,
    )


def _predicted_card(run: RunFolder, meter: str) -> Card:
    limit, cost = run.facts.limits[meter], run.facts.cost[meter]
    return Card(
        label=f"{sentence(meter_title(meter))}, predicted",
        value=quantity(cost, limit.unit),
        detail=f"limit {quantity(limit.limit, limit.unit)}",
        share=cost / limit.limit if limit.limit else None,
    )


def _accuracy_card(run: RunFolder) -> tuple[Card, ...]:
    test, validation = run.facts.test, run.facts.validation
    seen = (
        f"{percent(validation.accuracy)} on validation" if validation.accuracy is not None else ""
    )
    if test.accuracy is None:
        return (Card(label="Test accuracy", value="–", detail=seen or "not measured"),)
    return (Card(label="Test accuracy", value=percent(test.accuracy), detail=seen),)


def _size_cards(run: RunFolder, covered: set[str]) -> tuple[Card, ...]:
    cards: list[Card] = []
    facts = run.facts
    if facts.params is not None and "params" not in covered:
        cards.append(_size("Parameters", facts.params, facts.seed_cost.get("params"), exact=True))
    if facts.macs is not None and "macs" not in covered:
        cards.append(_size("MACs an image", facts.macs, facts.seed_cost.get("macs"), exact=False))
    return tuple(cards)


def _size(label: str, value: float, seed: float | None, *, exact: bool) -> Card:
    text = count if exact else prefixed
    detail = f"seed {text(seed)}, {ratio(value, seed)}" if seed else ""
    return Card(label=label, value=text(value), detail=detail)
