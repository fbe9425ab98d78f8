"""What networks cost and may cost: meters, a device's latency table, limits, the certificate."""

from easearch.budget.certificate import PATIENT_S, Certificate, Proof, certify
from easearch.budget.devices import Device, find_device
from easearch.budget.devices.host import Host, this_host
from easearch.budget.latency.kernels import kernels
from easearch.budget.latency.step import find_step
from easearch.budget.latency.table import LatencyTable
from easearch.budget.limits import Budget, known_limits
from easearch.budget.measure import CostTable, measure
from easearch.budget.meters import METERS, find_meter
from easearch.budget.meters.latency import Latency
from easearch.budget.meters.meter import WHOLE, LayerMeter, Reading

__all__ = [
    "METERS",
    "PATIENT_S",
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
