"""What networks cost and may cost: meters, a device's latency table, limits, the certificate."""

from easearch.budget.certificate import Certificate, Proof, certify
from easearch.budget.devices import DEVICES, Device, find_device
from easearch.budget.host import Host, this_host
from easearch.budget.kernels import kernels
from easearch.budget.latency import Latency
from easearch.budget.limits import Budget, known_limits
from easearch.budget.measure import CostTable, measure
from easearch.budget.meter import WHOLE, LayerMeter, Reading
from easearch.budget.meters import METERS, find_meter
from easearch.budget.step import find_step
from easearch.budget.table import LatencyTable

__all__ = [
    "DEVICES",
    "METERS",
    "WHOLE",
    "Budget",
    "Certificate",
    "CostTable",
    "Device",
    "Host",
    "Latency",
    "LatencyTable",
    "LayerMeter",
    "Proof",
    "Reading",
    "certify",
    "find_device",
    "find_meter",
    "find_step",
    "kernels",
    "known_limits",
    "measure",
    "this_host",
]
