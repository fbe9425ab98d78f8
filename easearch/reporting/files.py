"""What the files of a run folder hold, as far as the report reads them; other keys are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


class _File(BaseModel):
    """Frozen, and lenient to keys that a later version adds."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


class Recipe(_File):
    """`recipe.yaml`: what the report needs to know of it; `text` is the whole file."""

    name: str
    seed: int | None = None
    evidence: str | None = None
    text: str = ""
    values: Mapping[str, Any] = {}
    """Every field, as the file has it."""


class Result(_File):
    """Accuracy (a fraction) and mean loss (nats) on one part of the data."""

    accuracy: float | None = None
    loss: float | None = None
    images: int | None = None


class Limit(_File):
    """A limit of the run, in the meter's unit."""

    limit: float
    unit: str


class Certified(_File):
    """One limit of the certificate: `error` is predicted / measured - 1, `noise` a fraction too."""

    meter: str
    unit: str
    limit: float
    predicted: float | None = None
    interval: float | None = None
    measured: float | None = None
    error: float | None = None
    noise: float | None = None
    meets: bool
    verdict: str = ""
    note: str = ""
    surprise: str = ""
    """Where the measurement lies outside of the predicted interval: a sentence that says so."""

    @property
    def outside(self) -> bool:
        """Whether the measurement left the predicted interval by more than its own noise."""
        if self.measured is None or self.predicted is None or self.interval is None:
            return False
        room = self.interval * self.predicted + (self.noise or 0.0) * self.measured
        return abs(self.measured - self.predicted) > room

    @property
    def decided(self) -> bool:
        """Whether the measurement was quiet enough to tell if the limit is met."""
        return self.verdict != "not decided"

    @property
    def value(self) -> float | None:
        """The measured cost, or the predicted where nothing was measured."""
        return self.predicted if self.measured is None else self.measured


class Point(_File):
    """One network of a front: a row of `run.json`; its folder is a run like any other."""

    folder: str = Field(pattern=r"^limit-\d+$")
    meets: bool
    proofs: tuple[Certified, ...]
    test: Result = Result()
    test_exported: Result = Result()
    validation: Result = Result()
    params: float | None = None
    macs: float | None = None
    began: float | None = None
    """Multiply-adds that the trunk had spent where this branch leaves it."""
    spent: float | None = None
    """Multiply-adds of the branch alone."""

    @property
    def number(self) -> int:
        """From 1, the smallest limit first."""
        return int(self.folder.removeprefix("limit-"))


class Facts(_File):
    """`run.json`: what the run did, where, and how it ended."""

    name: str
    easearch: str | None = None
    versions: Mapping[str, str] = {}
    host: Mapping[str, Any] = {}
    date: str | None = None
    commit: str | None = None
    seed: int | None = None
    device: str | None = None
    status: str | None = None
    status_text: str | None = None
    test: Result = Result()
    precision: str = "fp32"
    test_exported: Result = Result()
    """Of the exported file, where that computes in other numbers than the network."""
    validation: Result = Result()
    seed_cost: Mapping[str, float] = {}
    cost: Mapping[str, float] = {}
    limits: Mapping[str, Limit] = {}
    compute: Mapping[str, float] = {}
    seconds: Mapping[str, float] = {}
    peak_memory_mb: float | None = None
    params: float | None = None
    macs: float | None = None
    notes: tuple[str, ...] = ()
    widths: Mapping[str, int] = {}
    """Width of every group of the final network, where the run tells."""
    frozen: Mapping[str, str] = {}
    """Group -> why it cannot grow, where the run tells."""
    front: tuple[Point, ...] = ()
    """The networks of a run of several limits, smallest first; of one limit there are none."""


class Layers(_File):
    """`layers.json`: cost of every layer of the seed and of the final network, meter by meter."""

    units: Mapping[str, str]
    seed: Mapping[str, Mapping[str, float]]
    final: Mapping[str, Mapping[str, float]]


class Certificate(_File):
    """`certificate.json`: whether the exported file keeps the limits."""

    meets: bool
    limits: tuple[Certified, ...] = Field(validation_alias=AliasChoices("proofs", "limits"))
    device: str | None = None
    host: Mapping[str, Any] = {}
    date: str | None = None
    file: str | None = None
    sha256: str | None = None


class Arm(BaseModel):
    """One row of the evidence: what one way to the limit gave. Further keys become columns."""

    model_config = ConfigDict(frozen=True, extra="allow")

    arm: str
    accuracy_mean: float = Field(ge=0, le=1)
    accuracy_std: float | None = None
    seeds: int | None = None
    compute: float | None = None
    latency_ms: float | None = None


class Evidence(_File):
    """`evidence.json`: growth beside its rivals, under the same limit and compute."""

    title: str = "Against its rivals"
    command: str | None = None
    date: str | None = None
    commit: str | None = None
    hardware: str | None = None
    rows: tuple[Arm, ...]
    reading: str = ""
