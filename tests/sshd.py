"""A real ssh server on loopback for the present user, with keys that lead to different welcomes."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from easearch.budget.devices.profile import SshPart

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
MAGIC = "easearch-runner 1"
WELCOMES = {
    "plain": None,
    "noisy": 'echo Welcome; printf "mind the step: "; eval "$SSH_ORIGINAL_COMMAND"',
    "endless": "yes",
    "silent": "sleep 600",
    "nologin": "echo This account is not available.; exit 1",
    "talker": f"echo {MAGIC}; echo how are you; cat >/dev/null",
    "liar": f"echo {MAGIC}; echo '{{}}'; cat >/dev/null",
}
"""What a key's session runs instead of the command that was asked for."""
MISSING = "no sshd: install openssh-server"


class Server:
    """The server: where it listens, its keys, and those who are connected."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.python = program(folder / "python", f'exec "{sys.executable}" "$@"')
        for name in ("host", "another_host", "stranger", *WELCOMES):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name]
            subprocess.run([*words, "-f", str(folder / name)], check=True)
        self._write("authorized_keys", *(self._let_in(name) for name in WELCOMES))
        self.known = self.known_hosts("host")
        self._process: subprocess.Popen[bytes] | None = None

    def part(self, key: str = "plain", **changes: object) -> SshPart:
        """How to reach it."""
        told = {
            "address": f"{getpass.getuser()}@127.0.0.1",
            "port": self.port,
            "identity": str(self.folder / key),
            "known_hosts": str(self.known),
            "python": str(self.python),
        }
        return SshPart.model_validate({**told, **changes})

    def known_hosts(self, key: str) -> Path:
        """A file that knows the server by a key."""
        public = (self.folder / f"{key}.pub").read_text()
        return self._write(f"known {key}", f"[127.0.0.1]:{self.port} {public}")

    def sessions(self) -> list[int]:
        """Processes that serve connections."""
        assert self._process is not None
        pid = self._process.pid
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def cut(self) -> int:
        """End every connection, as a network would; returns how many there were."""
        pids = self.sessions()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)

    @contextmanager
    def running(self) -> Iterator[Server]:
        """While it listens."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # where it wants to lock itself in
        config = self._write(
            "config",
            *(f"Port {self.port}", "ListenAddress 127.0.0.1", f'HostKey "{self.folder}/host"'),
            *(f'AuthorizedKeysFile "{self.folder}/authorized_keys"', "StrictModes no"),
            *("UsePAM no", "PermitRootLogin yes", "PidFile none", "PasswordAuthentication no"),
        )
        assert SSHD is not None
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log)
            try:
                self._await()
                yield self
            finally:
                self.cut()
                self._process.terminate()
                self._process.wait()

    def _await(self) -> None:
        for _ in range(100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def _let_in(self, name: str) -> str:
        public = (self.folder / f"{name}.pub").read_text()
        welcome = WELCOMES[name]
        if welcome is None:
            return public
        told = welcome.replace('"', '\\"')
        return f'command="{told}" {public}'

    def _write(self, name: str, *lines: str) -> Path:
        file = self.folder / name
        file.write_text("\n".join(lines) + "\n")
        return file


def program(file: Path, line: str) -> Path:
    """A shell script of one line."""
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)
    return file
