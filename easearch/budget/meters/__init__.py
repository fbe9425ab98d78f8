"""The meters by name. A new one is a file with a `LayerMeter`, and a line here.

Other packages add theirs through the entry point group `easearch.meters`: a function (or class)
that takes the device's name (and the `precision`, if it has such a parameter) and returns a meter.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points

from easearch.budget.devices import Device
from easearch.budget.meters.energy import Energy
from easearch.budget.meters.latency import Latency
from easearch.budget.meters.macs import Macs
from easearch.budget.meters.memory import Memory
from easearch.budget.meters.params import Params
from easearch.budget.meters.size import Size
from easearch.budget.time_cap import TimeCap
from easearch.errors import BudgetError, nearest
from easearch.roles import PRECISIONS, Meter

LOG = logging.getLogger(__name__)
GROUP = "easearch.meters"

METERS: dict[str, Callable[..., Meter]] = {
    "macs": Macs,
    "params": Params,
    "size": Size,
    "memory": Memory,
    "latency": Latency,
    "energy": Energy,
}
"""Name -> a function that takes a device (its name) and a precision and returns the meter."""


def find_meter(
    name: str,
    device: str | Device = "host",
    precision: str = "fp32",
    cap: TimeCap | None = None,
) -> Meter:
    """The meter of that name, for a device and a precision in `PRECISIONS`.

    Args:
        name: in `METERS`.
        device: where.
        precision: of the network as it will be executed.
        cap: on the time that a meter measures; handed to those that take one.

    Raises:
        BudgetError: no such meter, precision or device.
    """
    check_precision(precision)
    load_plugins()
    if name not in METERS:
        raise BudgetError(f"expected the name of a meter, got '{name}'; {nearest(name, METERS)}")
    factory = METERS[name]
    given = {"precision": precision, "cap": cap}
    taken = inspect.signature(factory).parameters
    return factory(device, **{key: value for key, value in given.items() if key in taken})


def check_precision(precision: str) -> None:
    """Refuse a precision that nothing is known of.

    Raises:
        BudgetError: says the known ones.
    """
    if precision not in PRECISIONS:
        known = " or ".join(PRECISIONS)
        raise BudgetError(f"expected the precision {known}, got '{precision}'")


@cache
def load_plugins() -> None:
    """Register the meters of other packages, once; a broken one is left out with a warning."""
    for entry in entry_points(group=GROUP):
        try:
            METERS.setdefault(entry.name, entry.load())
        except Exception as error:
            LOG.warning("the meter '%s' of another package does not load: %s", entry.name, error)
