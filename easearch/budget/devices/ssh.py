"""A device behind ssh: models are sent to it in batches, and a broken connection is taken up again.

Nothing is installed or written there: `runner.py` travels over the connection and runs until the
connection closes. The device needs Python 3.8 or newer with numpy and onnxruntime.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import onnx

from easearch.budget.devices import runner
from easearch.budget.devices.host import Host, warned
from easearch.budget.devices.profile import HostPart, SshPart
from easearch.budget.devices.ssh_causes import Broken
from easearch.budget.devices.ssh_link import Link
from easearch.budget.devices.timing import Model, Timing
from easearch.errors import DeviceError, shown

LOG = logging.getLogger(__name__)
BATCH_BYTES = 256 * 2**20
"""Models of a batch together, unless one alone is larger: boards have little memory."""
PATIENCE_S = 300.0
"""The runner gives a sign of life between any two visits, every second at most."""
PAUSES_S = (2.0, 5.0, 20.0)
"""Before the next try; the first leaves a runner whose connection broke the time to see it."""
Answer = TypeVar("Answer")
Named = tuple[str, bytes]


class Ssh:
    """A device that the system's `ssh` reaches; see `Stopwatch`.

    It connects when it is first asked, and stays connected. Whatever goes wrong before it was ever
    reached is an error at once; a connection that breaks later is made anew, and only the batch
    that was under way is measured again.

    Args:
        name: the device's.
        part: how `ssh` reaches it.
        threads, provider: of its runtime.
        expected: what its measurements are kept under. Another machine, runtime or provider there
            is warned of field by field, and nothing is measured on it: the rows of two machines
            would end up in one table.
        patience_s: the longest silence, in seconds.
        pauses_s: before each further try, in seconds.
    """

    def __init__(
        self,
        *,
        name: str,
        part: SshPart,
        threads: int = 1,
        provider: str = runner.PROVIDER,
        expected: Host | None = None,
        patience_s: float = PATIENCE_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self.name, self.part, self.expected = name, part, expected
        self.threads, self.provider = threads, provider
        self.patience_s, self.pauses_s = patience_s, tuple(pauses_s)
        self._link: Link | None = None
        self._found: Host | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[[], Ssh], tuple[()]]:
        """A copy is the same device, not yet connected."""
        fields = ("name", "part", "threads", "provider", "expected", "patience_s", "pauses_s")
        return functools.partial(Ssh, **{field: getattr(self, field) for field in fields}), ()

    def facts(self) -> Host:
        """What is there, whatever was expected.

        Raises:
            DeviceError: it cannot be reached, or lacks Python, the runtime or the provider.
        """
        with self._lock:
            return self._persistently(lambda _: self._host(), "")

    def time(
        self,
        models: Sequence[Model],
        *,
        rounds: int = 12,
        sessions: int = 1,
        sample: Sequence[int] | None = None,
        cold: bool = False,
    ) -> list[Timing]:
        """See `Stopwatch`. Turns are taken inside a batch, as `runner.timed` takes them.

        Raises:
            DeviceError: it cannot be reached (any more), it is not what its profile was measured
                on, it lacks something, or a model cannot be run there.
        """
        request = {
            **self._setup("time"),
            "rounds": int(rounds),
            "sessions": int(sessions),
            "sample": None if sample is None else [int(size) for size in sample],
            "cold": cold,
        }
        answers: list[Timing] = []
        with self._lock:
            for batch in _batches(models, max(1, runner.CHUNK // sessions)):
                done = f"; {len(answers)} of {len(models)} models were timed"
                work = functools.partial(self._timed, batch=batch, request=request)
                answers += self._persistently(work, done)
        return answers

    def close(self) -> None:
        """Let the runner there end; asked again, it connects again."""
        with self._lock:
            if self._link is not None:
                self._link.close()
            self._link = None

    def _timed(
        self, link: Link, batch: Sequence[Named], request: Mapping[str, Any]
    ) -> list[Timing]:
        self._check_host()
        places = {one: place for place, one in enumerate(dict.fromkeys(batch))}
        head = {
            **request,
            "names": [name for name, _ in places],
            "sizes": [len(model) for _, model in places],
            "order": [places[one] for one in batch],
        }
        answer = link.ask(head, [model for _, model in places])
        try:
            times = [Timing.of(one) for one in answer["times"]]
        except (KeyError, TypeError, ValueError, OverflowError):
            times = []
        if len(times) != len(batch):
            link.end()
            raise DeviceError(
                f"{link.who}: expected {len(batch)} timings, got {shown(answer, 200)}"
            )
        return times

    def _check_host(self) -> None:
        if self.expected is None or self._host() == self.expected:
            return
        warned(self.name, self.expected, self._host())
        fields = ", ".join(self.expected.differences(self._host()))
        raise DeviceError(
            f"the device '{self.name}' is not what its profile was measured on: expected the same "
            f"{fields}; give the device that is there now a profile of its own, with easearch "
            "profile and another name"
        )

    def _host(self) -> Host:
        if self._found is None:
            raise DeviceError(f"the device '{self.name}' was never reached")
        return self._found

    def _persistently(self, work: Callable[[Link], Answer], done: str) -> Answer:
        """Work with a connection; with another one if it breaks."""
        pauses = iter(self.pauses_s)
        while True:
            try:
                return work(self._linked())
            except Broken as error:
                self._link = None
                pause = next(pauses, None)
                if self._found is None:
                    raise DeviceError(str(error)) from error
                if pause is None:
                    raise DeviceError(
                        f"{error}; tried {len(self.pauses_s) + 1} times in a row{done}"
                    ) from error
                LOG.warning("%s; trying again in %g s", error, pause)
                time.sleep(pause)

    def _linked(self) -> Link:
        """The connection; a new one says first what is at its other end."""
        if self._link is None or self._link.ended:
            link = Link(self.name, self.part, self.patience_s)
            answer = link.ask(self._setup("facts"))
            try:
                self._found = HostPart.model_validate(answer["facts"]).host()
            except (KeyError, ValueError):
                link.end()
                raise DeviceError(f"{link.who}: expected facts, got {shown(answer, 200)}") from None
            self._link = link
        return self._link

    def _setup(self, do: str) -> dict[str, Any]:
        return {"do": do, "threads": self.threads, "provider": self.provider}


def _batches(models: Sequence[Model], most: int) -> Iterator[list[Named]]:
    """Models in order, in lists of `most` at most that are not too large to hold."""
    batch: list[Named] = []
    for model in models:
        named = _named(model)
        size = sum(len(data) for _, data in {*batch, named})
        if batch and (len(batch) == most or size > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(named)
    if batch:
        yield batch


def _named(model: Model) -> Named:
    """A model as it is sent: with the weights that lie beside its file."""
    if isinstance(model, bytes):
        return "", model
    try:
        return model.name, onnx.load(model).SerializeToString()
    except Exception as error:  # protobuf's and the file system's
        reason = " ".join(str(error).split())
        raise DeviceError(f"expected an ONNX file, got '{model.name}': {reason}") from error


def beside(part: SshPart, folder: Path) -> SshPart:
    """The same, with its key files named from a folder on."""
    files = {
        field: str(folder / Path(value).expanduser())
        for field, value in (("identity", part.identity), ("known_hosts", part.known_hosts))
        if value is not None
    }
    return part.model_copy(update=files)
