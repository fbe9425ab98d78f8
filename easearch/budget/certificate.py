"""The certificate: predicted against measured on the exported file, per limit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx

from easearch.budget.devices import Device, find_device
from easearch.budget.exported.file import OnnxFile
from easearch.budget.meters.energy import Energy
from easearch.budget.meters.latency import Latency
from easearch.budget.meters.meter import LayerMeter, Reading
from easearch.budget.store import json_text, write_atomic
from easearch.graph import Graph
from easearch.roles import Bound

PATIENT_S = (0.5, 2.0, 5.0, 10.0)
"""Pauses for a network that is delivered: a busy moment should not send it back."""
UNUSED, FULL = 0.85, 0.97
"""A file that takes no more of a limit leaves room for another plan; so much is aimed at then."""

NOISY = 0.03
"""A measurement that is noisier decides nothing near a limit, and teaches nothing."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One limit: predicted, and measured on the file."""

    meter: str
    unit: str
    limit: float
    predicted: float
    interval: float | None = None
    """Relative half width of the prediction (95 %); None: it was counted, not predicted."""
    measured: float | None
    noise: float = 0.0
    """A/A noise floor of the measurement, as a fraction."""
    note: str = ""

    @property
    def error(self) -> float | None:
        """`predicted / measured - 1`; None where nothing was measured."""
        return self.predicted / self.measured - 1 if self.measured else None

    @property
    def surprise(self) -> str:
        """A sentence where the measurement lies outside of the stated interval; else empty.

        The noise of the measurement is granted besides.
        """
        if not self.measured or not self.interval or not self.predicted:
            return ""
        off = self.measured / self.predicted - 1
        if abs(off) <= self.interval + self.noise:
            return ""
        return (
            f"{self.meter}: measured {self.measured:.4g} {self.unit}, {abs(off):.0%} "
            f"{'above' if off > 0 else 'below'} the predicted {self.predicted:.4g} {self.unit}, "
            f"which was stated to be within {self.interval:.1%}"
        )

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or `not decided`: the noise is above 3 % and the limit lies within it.

        A measurement may exceed the limit by its noise, where that is no more than 3 %. Without a
        measurement the prediction decides.
        """
        if self.measured is None:
            return "met" if self.predicted <= self.limit else "missed"
        if self.noise <= NOISY:
            return "met" if self.measured <= self.limit * (1 + self.noise) else "missed"
        if self.measured > self.limit * (1 + NOISY):
            return "missed"
        return "met" if self.measured * (1 + self.noise) <= self.limit else "not decided"

    @property
    def meets(self) -> bool:
        """Whether the limit is met."""
        return self.verdict == "met"


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The proofs of one exported file, and where, when and with what they were measured."""

    file: str
    fingerprints: Mapping[str, str]
    """SHA-256 by file name: the ONNX file and those beside it that hold its weights."""
    proofs: tuple[Proof, ...]
    device: Device
    date: str
    precision: str = "fp32"
    """In which numbers the file computes."""

    @property
    def meets(self) -> bool:
        """Whether every limit is met."""
        return all(proof.meets for proof in self.proofs)

    @property
    def missed(self) -> tuple[Proof, ...]:
        """The proofs of limits that the file exceeds."""
        return tuple(proof for proof in self.proofs if proof.verdict == "missed")

    @property
    def undecided(self) -> tuple[str, ...]:
        """A sentence a limit that the measurement was too noisy to decide."""
        return tuple(
            f"{p.meter}: not decided, {p.measured:.4g} {p.unit} of {p.limit:.4g} was measured with "
            f"{p.noise:.1%} of noise; certify the file again on a quieter machine"
            for p in self.proofs
            if p.verdict == "not decided"
        )

    @property
    def surprises(self) -> tuple[str, ...]:
        """A sentence a limit whose measurement lies outside of the predicted interval."""
        return tuple(proof.surprise for proof in self.proofs if proof.surprise)

    @property
    def room(self) -> float:
        """How many times the limits a plan may take by its predictions, where the file turned out
        cheaper than they said and leaves much of every limit unused; else 1.
        """
        if not self.meets or not self.surprises:
            return 1.0
        used = max((p.measured or p.predicted) / p.limit for p in self.proofs)
        return FULL / used if used <= UNUSED else 1.0

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for `json.dumps`."""
        return {
            "file": self.file,
            "sha256": self.fingerprints[self.file],
            "fingerprints": dict(self.fingerprints),
            "meets": self.meets,
            "precision": self.precision,
            "date": self.date,
            "device": self.device.name,
            "host": self.device.host.to_json(),
            "versions": {"runtime": self.device.host.runtime, "onnx": onnx.__version__},
            "proofs": [
                {
                    **proof.__dict__,
                    "error": proof.error,
                    "meets": proof.meets,
                    "verdict": proof.verdict,
                    "surprise": proof.surprise,
                }
                for proof in self.proofs
            ],
        }

    def save(self, path: Path | str) -> None:
        """Write it as JSON, whole or not at all."""
        write_atomic(Path(path), json_text(self.to_json()))


def certify(
    onnx_path: Path | str,
    graph: Graph,
    bounds: Sequence[Bound],
    sample_shape: Sequence[int],
    precision: str = "fp32",
    *,
    pauses_s: Iterable[float] = (),
) -> Certificate:
    """Measure an exported file against every limit.

    Args:
        onnx_path: the file; open batch dimensions run with 1.
        graph: the network that was exported.
        bounds: the limits.
        sample_shape: (N, C, ...), sizes for further dimensions that the file leaves open.
        precision: in which numbers the file computes; the bounds' meters know it.
        pauses_s: before each further look at the file; there is one while a limit that is timed is
            not met, and no other: whatever else a machine does only adds to a time, and busy
            moments pass (`PATIENT_S`). The last look counts.

    Raises:
        FileFormatError: it is not a readable ONNX file.
        DeviceError: it does not run on the device.
    """
    file = OnnxFile(onnx_path, sample_shape)
    timed = {b.meter.name: b.meter for b in bounds if isinstance(b.meter, Latency | Energy)}
    proofs = [_proof(bound, graph, file) for bound in bounds]
    for pause in pauses_s:
        missed = {proof.meter for proof in proofs if not proof.meets}
        if not missed or missed - timed.keys():
            break
        time.sleep(pause)
        proofs = [_proof(bound, graph, file) for bound in bounds]
    for proof in proofs:
        meter = timed.get(proof.meter)
        if isinstance(meter, Latency) and proof.measured and proof.noise <= NOISY:
            meter.learn(graph, proof.measured)
    return Certificate(
        file=file.path.name,
        fingerprints=file.fingerprints,
        proofs=tuple(proofs),
        device=next(iter(timed.values())).device if timed else find_device("host"),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        precision=precision,
    )


def _proof(bound: Bound, graph: Graph, file: OnnxFile) -> Proof:
    meter = bound.meter
    reading = (
        meter.on_file(file)
        if isinstance(meter, LayerMeter)
        else Reading(value=None, note=f"the meter '{meter.name}' cannot read files")
    )
    cost = meter.cost(graph)
    return Proof(
        meter=meter.name,
        unit=meter.unit,
        limit=bound.limit,
        predicted=cost.total,
        interval=cost.interval,
        measured=reading.value,
        noise=reading.noise,
        note=reading.note,
    )
