"""Device profiles: what a device is, how it is reached and what was measured of it, as a folder.

`budgets/NAME/profile.yaml` says what the device is, `budgets/NAME/latency.csv` holds its rows.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from easearch.budget.devices.host import Host, most_threads
from easearch.budget.devices.runner import PROVIDER
from easearch.budget.store import write_atomic
from easearch.errors import DeviceError, FileFormatError, printable, reason_of, shown
from easearch.untrusted import RULE, TABLE_BYTES, is_name, read_bytes, read_yaml

FILE, ROWS = "profile.yaml", "latency.csv"
FOLDER_VARIABLE = "EASEARCH_BUDGETS"
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Told = Annotated[str, Field(max_length=1000), AfterValidator(printable)]
"""What a person or a machine says of itself; it is printed."""
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


MOST_THREADS = 1024
"""Of a device elsewhere; this host's own bound is lower."""


def _name(name: str) -> str:
    if not is_name(name):
        raise ValueError(f"expected a name of {RULE}")
    return name


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HostPart(_Part):
    """The machine on which the rows were measured."""

    cpu: Told
    instructions: tuple[Told, ...] = Field(default=(), max_length=100)
    threads: int = Field(ge=1, le=MOST_THREADS)
    runtime: Told
    provider: Told

    def host(self) -> Host:
        """As measurements are kept under it."""
        return Host.of(self.model_dump())


class SshPart(_Part):
    """How the system's own `ssh` reaches the device; keys and host keys are the user's."""

    address: str = Field(pattern=r"^[^\s-][^\s]*$", description="host or user@host")
    port: int = Field(default=22, ge=1, le=65535)
    identity: Told | None = Field(default=None, description="file of the private key")
    known_hosts: Told | None = Field(default=None, description="file of known host keys")
    python: str = Field(default="python3", pattern=r"^[\w./-]+$", description="with onnxruntime")


class LinePart(_Part):
    """How rows add up in networks of several structures, in one precision; see `latency.affine`."""

    a_ms: NotNegative
    b: Positive
    c: NotNegative
    each_ms: NotNegative
    interval: NotNegative = Field(description="relative, holds 95 % of the networks it was made of")
    networks: int = Field(ge=1)


class EnergyPart(_Part):
    """What a multiply-add and a byte moved take, and how that is known."""

    pj_per_mac: dict[str, Positive]
    pj_per_byte: Positive
    uj_each: NotNegative = Field(default=0.0, description="of an inference of any size")
    idle_mw: NotNegative = 0.0
    how: Literal["measured", "modelled"]
    source: Told


class TablePart(_Part):
    """The rows' file when it was last written: a change by hand shows."""

    rows: int = Field(ge=0)
    sha256: Told
    date: Told


class Profile(_Part):
    """One device. `reach` says where models are run: nowhere for `table`."""

    name: Annotated[str, AfterValidator(_name)]
    reach: Literal["host", "ssh", "table"] = "host"
    ssh: SshPart | None = None
    threads: int = Field(default=1, ge=1, le=MOST_THREADS)
    provider: Told = PROVIDER
    caches: Literal["warm", "cold"] = "warm"
    host: HostPart | None = None
    step: Literal[1, 2, 4, 8, 16, 32, 64] | None = None
    calibration: dict[Literal["fp32", "int8"], LinePart] = Field(default_factory=dict)
    energy: EnergyPart | None = None
    table: TablePart | None = None
    _folder: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _check_reach(self) -> Self:
        most = MOST_THREADS if self.reach in ("ssh", "table") else most_threads()
        if self.threads > most:
            raise ValueError(f"expected {most} threads at most, got {self.threads}")
        if (self.ssh is not None) != (self.reach == "ssh"):
            raise ValueError("expected `ssh: {address: ...}` with `reach: ssh`, and only then")
        return self

    @property
    def folder(self) -> Path:
        """Where it was read from, or written to."""
        return self._folder

    @property
    def rows_file(self) -> Path:
        """The CSV beside it."""
        return self._folder / ROWS

    @classmethod
    def of(cls, values: Any, source: str) -> Profile:
        """A profile from plain data; `source` is named where it cannot be one.

        Raises:
            DeviceError: says the first field that is wrong.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise DeviceError(f"{source}: {_first(error)}") from None

    @classmethod
    def read(cls, folder: Path, *, trusted: bool = True) -> Profile:
        """A profile from its folder; `trusted=False`: its rows may have been changed.

        Raises:
            DeviceError: there is none, it says something impossible, or its rows were changed
                since they were written.
        """
        file = folder / FILE
        try:
            values = read_yaml(file)
        except FileFormatError as error:
            raise DeviceError(f"{file}: expected a profile in YAML: {error}") from None
        except OSError as error:
            told = error.strerror or reason_of(error)
            raise DeviceError(f"{file}: expected a profile in YAML, got {told}") from None
        profile = cls.of(values, str(file))
        profile._folder = folder
        if trusted:
            profile._check_rows()
        return profile

    def write(self, folder: Path) -> Profile:
        """Write it there, with the fingerprint of the rows beside it; returns it as written."""
        values = self.model_dump(mode="json", exclude_none=True)
        if self.table is not None:
            values["table"]["sha256"] = _fingerprint(folder / ROWS)
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        write_atomic(folder / FILE, text)
        return Profile.read(folder)

    def _check_rows(self) -> None:
        if self.table is None:
            return
        if not self.rows_file.is_file():
            raise DeviceError(
                f"{self._folder}: expected {ROWS} with {self.table.rows} rows beside {FILE}, got "
                "none; put it back, or measure the device again with easearch profile"
            )
        if _fingerprint(self.rows_file) != self.table.sha256:
            raise DeviceError(
                f"{self.rows_file}: expected the {self.table.rows} rows measured on "
                f"{self.table.date}, got a file that was changed since; measure again with "
                f"`easearch profile --device {self.name}`, or take the change over with "
                f"`easearch profile --device {self.name} --csv {self.rows_file}`"
            )


def profile_folders() -> dict[str, Path]:
    """Devices that have a profile: those in `$EASEARCH_BUDGETS`, `./budgets`, the checkout's."""
    told = os.environ.get(FOLDER_VARIABLE)
    places = [Path(told)] if told else [Path("budgets"), Path(__file__).parents[3] / "budgets"]
    found: dict[str, Path] = {}
    for place in places:
        for file in sorted(place.glob(f"*/{FILE}")):
            found.setdefault(file.parent.name, file.parent)
    return found


def new_folder(name: str) -> Path:
    """Where the profile of a new device goes."""
    return Path(os.environ.get(FOLDER_VARIABLE) or "budgets") / name


def _fingerprint(file: Path) -> str:
    return hashlib.sha256(read_bytes(file, TABLE_BYTES)).hexdigest()


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, with its place."""
    one: Any = error.errors()[0]
    place = ".".join(printable(str(key), 40) for key in one["loc"])
    wanted = one["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if one["type"] == "extra_forbidden":
        return f"{place}: unknown key; take it out"
    if one["type"].startswith("model"):
        return f"{place}: expected keys with values".removeprefix(": ")
    if wanted == one["msg"].removeprefix("Input should be ") != one["msg"]:
        wanted = f"expected {wanted.partition(', unable')[0]}"
    return f"{place}: {wanted}, got {shown(one['input'])}" if place else wanted
