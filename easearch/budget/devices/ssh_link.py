"""One connection of the system's `ssh` with the runner at its other end.

Bytes to the runner: the length of its text as a line, its text, then requests. Bytes from it:
whatever the device says to everybody who logs in, `runner.MAGIC` as a line, then answers.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from easearch.budget.devices import runner
from easearch.budget.devices.profile import SshPart
from easearch.budget.devices.ssh_causes import Broken, last_line, refusal
from easearch.errors import DeviceError, FileFormatError, shown
from easearch.untrusted import parse_json

CONNECT_S = 10
ALIVE_S, ALIVE_MOST = 15, 4
"""A network that is gone shows after ALIVE_S * ALIVE_MOST seconds."""
CLOSE_S = 3.0
LONGEST = 2**20
"""Bytes of a line."""
MOST_BYTES = 2**22
"""Bytes of an answer and all signs of life before it: those of a day."""
LONGEST_WAIT = 24
"""How many times the longest silence an answer may take."""
NOISE = 2**16
"""Bytes of all that is said before the runner begins."""
START = (
    '"import sys;sys.path[:]=filter(None,sys.path);'
    'exec(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))"'
)
"""Reads the same to every shell; no module in the home folder there is taken for a library."""


class Link:
    """A runner at work at the other end of a connection.

    Raises:
        DeviceError: something is wrong that no second try mends.
        Broken: there is no connection, for now.
    """

    def __init__(self, name: str, part: SshPart, patience_s: float) -> None:
        self.who = f"the device '{name}'"
        self.part, self.patience_s = part, patience_s
        self._silent = False
        self._process, self._errors = _started(self.who, command(part))
        self._close = weakref.finalize(self, _closed, self._process, self._errors)
        try:
            self._begin()
        except BaseException:
            self.end()
            raise

    @property
    def ended(self) -> bool:
        """Whether it was closed, or broke."""
        return not self._close.alive

    def ask(self, request: Mapping[str, Any], payload: Sequence[bytes] = ()) -> dict[str, Any]:
        """The runner's answer to a request that is followed by models.

        Raises:
            DeviceError: the runner cannot do it, or the answer is not a runner's.
            Broken: the connection broke before the answer came.
        """
        try:
            self.send(json.dumps(request).encode() + b"\n", *payload)
            answer = self.answer()
        except BaseException:  # whatever is still on its way answers no later request
            self.end()
            raise
        if "error" in answer:
            raise DeviceError(f"{self.who}: {shown(str(answer['error']), 300)[1:-1]}")
        return answer

    def send(self, *parts: bytes) -> None:
        """Write to the runner.

        Raises:
            Broken: nobody reads.
        """
        stream = self._stream(self._process.stdin)
        try:
            with self._watched():
                stream.writelines(parts)
                stream.flush()
        except (OSError, ValueError) as error:
            raise self._broken() from error

    def answer(self) -> dict[str, Any]:
        """The next line that is more than a sign of life.

        Raises:
            DeviceError: it is none of a runner's, or none comes for too long or in too many words.
            Broken: the connection broke, or fell silent.
        """
        heard, end = 0, time.monotonic() + LONGEST_WAIT * self.patience_s
        while heard < MOST_BYTES and time.monotonic() < end:
            with self._watched():
                line = self._line()
            heard += len(line)
            try:
                answer = parse_json(line)
            except FileFormatError:
                answer = None
            if not isinstance(answer, dict):
                got = shown(line.decode(errors="replace"), 80)
                raise DeviceError(f"{self.who}: expected an answer of the runner, got {got}")
            if "done" not in answer:
                return answer
        raise DeviceError(
            f"{self.who}: expected an answer of the runner within "
            f"{LONGEST_WAIT * self.patience_s:g} s and {MOST_BYTES:,} bytes, got signs of life "
            "without end; see what answers there"
        )

    def close(self) -> None:
        """Let the runner end."""
        self._close()

    def end(self) -> None:
        """Give the connection up, whatever is under way."""
        self._process.kill()
        self._close()

    def _begin(self) -> None:
        source = inspect.getsource(runner).encode()
        heard = b""
        try:
            with self._watched():
                self.send(b"%d\n" % len(source), source)
                while (line := self._line()).strip() != runner.MAGIC.encode():
                    heard += line
                    if len(heard) > NOISE:
                        got = shown(heard[:30].decode(errors="replace"))
                        raise DeviceError(
                            f"{self.who}: expected '{self.part.python}' to begin, got {got} and so "
                            "on without end; make what is printed at every login there shorter"
                        )
        except Broken as error:
            if self._silent:
                raise
            with self._watched():
                status = self._process.wait()
            heard_text = heard.decode(errors="replace")
            raise refusal(self.who, self.part, status, self._said(), heard_text) from error

    def _line(self) -> bytes:
        stream = self._stream(self._process.stdout)
        line = stream.readline(LONGEST)
        if line.endswith(b"\n") or len(line) == LONGEST:
            return line
        raise self._broken()

    def _broken(self) -> Broken:
        if self._silent:
            return Broken(
                f"{self.who}: expected a sign of life within {self.patience_s:g} s, got none; see "
                "whether it hangs"
            )
        said = "" if self._errors.closed else last_line(self._said())
        return Broken(f"{self.who}: the connection broke" + (f" ({said})" if said else ""))

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read(LONGEST).decode(errors="replace")

    def _stream(self, stream: IO[bytes] | None) -> IO[bytes]:
        if stream is None or stream.closed:
            raise self._broken()
        return stream

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Ends the connection when what is inside takes longer than anybody should wait."""
        timer = threading.Timer(self.patience_s, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        self._silent = True
        self._process.kill()


def command(part: SshPart) -> list[str]:
    """The words of the `ssh` command that starts a runner.

    Raises:
        DeviceError: a file that the profile names is not there.
    """
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": str(CONNECT_S),
        "ServerAliveInterval": str(ALIVE_S),
        "ServerAliveCountMax": str(ALIVE_MOST),
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "LogLevel": "ERROR",
    }
    if part.known_hosts is not None:
        options["UserKnownHostsFile"] = f'"{_file(part.known_hosts, "known host keys")}"'
        options["GlobalKnownHostsFile"] = os.devnull
    if part.identity is not None:
        options["IdentityFile"] = f'"{_file(part.identity, "a private key")}"'
        options["IdentitiesOnly"] = "yes"
    if part.port != 22:  # otherwise the user's own settings for that host stand
        options["Port"] = str(part.port)
    told = (word for name, value in options.items() for word in ("-o", f"{name}={value}"))
    return ["ssh", "-T", *told, "--", part.address, f"{part.python} -c {START}"]


def _file(name: str, what: str) -> str:
    path = Path(name).expanduser()
    if not path.is_file() or '"' in name:
        raise DeviceError(
            f"expected a file of {what}, got '{name}', which is none; correct it in the profile"
        )
    return str(path).replace("%", "%%")  # ssh puts words in place of %h and the like


def _started(who: str, words: Sequence[str]) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    errors = tempfile.TemporaryFile()
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "LC_ALL": "C"},  # what it says is read
        )
    except OSError as error:
        errors.close()
        raise DeviceError(
            f"{who}: expected the program ssh on this machine, got none that starts ({error}); "
            "install an OpenSSH client"
        ) from error
    return process, errors


def _closed(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    """End a connection: a runner ends when nothing can come any more."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    try:
        process.wait(CLOSE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    errors.close()
