"""Events of a run as lines of text: what a log shows, and what stays above the live display."""

from __future__ import annotations

from collections.abc import Mapping

from easearch.budget import METERS
from easearch.errors import printable
from easearch.growth.events import Epoch, Event, Note, Phase, Progress, Step
from easearch.reporting.digits import duration, percent, quantity, significant


def line(event: Event, progress: Progress | None) -> str | None:
    """The event as one line; None for those too frequent for a log."""
    match event:
        case Phase():
            return phase(event)
        case Epoch():
            return epoch(event, progress)
        case Step():
            return step(event)
        case Note():
            return f"note: {printable(event.text)}"
        case Progress():
            return None


def phase(event: Phase) -> str:
    """`measure: 43 layers on this host`."""
    return printable(f"{event.name}: {event.detail}" if event.detail else event.name)


def epoch(event: Epoch, progress: Progress | None) -> str:
    """Losses, accuracies and costs of an epoch that is done."""
    of = f"/{progress.epochs:.4g}" if progress else ""
    parts = [
        f"epoch {event.epoch:.4g}{of}",
        f"stage {event.stage}",
        f"loss {significant(event.loss)}",
        f"accuracy {percent(event.accuracy)}",
        f"validation {percent(event.validation_accuracy)}",
        *costs(event.costs, event.limits),
        duration(event.seconds),
    ]
    if progress and progress.seconds_left > 0:
        parts.append(f"{duration(progress.seconds_left)} left")
    return "  ".join(parts)


def step(event: Step) -> str:
    """What a growth round did: channels, losses, promise, costs."""
    gained = {
        group: after - event.widths_before.get(group, 0)
        for group, after in event.widths_after.items()
        if after != event.widths_before.get(group, 0)
    }
    parts = [
        f"growth {event.round}: +{sum(gained.values())} channels in {len(gained)} groups",
        f"loss {significant(event.loss_before)} to {significant(event.loss_after)}",
        f"promised {significant(event.promised)}, kept {significant(event.kept)} "
        f"at {event.factor:g} times the step",
        *costs(event.costs_after, event.limits),
    ]
    return "; ".join(parts)


def costs(now: Mapping[str, float], limits: Mapping[str, float]) -> list[str]:
    """Every cost that has a limit beside it: `latency 0.312 ms of 0.400 ms`."""
    return [f"{name} {against(name, now[name], limits[name])}" for name in limits if name in now]


def against(meter: str, cost: float, limit: float | None) -> str:
    """A cost beside its limit: `0.312 ms of 0.400 ms`."""
    unit = unit_of(meter)
    if not limit:
        return quantity(cost, unit)
    return f"{quantity(cost, unit)} of {quantity(limit, unit)}"


def unit_of(meter: str) -> str:
    """The unit of a meter's numbers, as far as the meter is known here."""
    return str(getattr(METERS.get(meter), "unit", ""))
