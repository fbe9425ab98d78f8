"""Why a device cannot be reached over ssh, or its runner does not begin: a sentence each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from easearch.budget.devices.profile import SshPart
from easearch.errors import DeviceError, printable

NO_CONNECTION = 255
"""`ssh` ends with it when it failed itself, or the connection broke."""


class Broken(Exception):
    """A connection ended or fell silent, or none was made: another try may help."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What `ssh` says when there is no connection, and what it means."""

    sign: str
    meaning: str
    passing: bool = False
    """Whether it may be otherwise in a moment."""


CAUSES = (
    Cause(
        sign="IDENTIFICATION HAS CHANGED|Host key for .* has changed",
        meaning="expected the host key that is known for {where}, got another one: it was set up "
        "anew, or another machine answers; compare the fingerprint with the device's own, then "
        "remove the old key from {known}",
    ),
    Cause(
        sign="Host key verification failed|host key is known for",
        meaning="expected a known host key for {where}, got one that is not in {known}; connect "
        "once by hand with `{by_hand}`, compare the fingerprint and accept it",
    ),
    Cause(
        sign="UNPROTECTED PRIVATE KEY|bad permissions",
        meaning="expected a private key that nobody else can read, got '{identity}', which ssh "
        "refuses; take the others' rights away with chmod 600",
    ),
    Cause(
        sign="Permission denied|Too many authentication failures",
        meaning="expected to be let in at {where} by key, without a password, got '{last}'; put "
        "your public key there with ssh-copy-id, or name the private key in the profile (ssh: "
        "identity)",
    ),
    Cause(
        sign="Could not resolve hostname",
        meaning="expected the address of a machine, got '{address}', which has none; correct it in "
        "the profile (ssh: address)",
    ),
    Cause(
        sign="Connection refused",
        meaning="expected an ssh server at {where}, got 'connection refused'; start one there, or "
        "correct the port in the profile (ssh: port)",
        passing=True,
    ),
    Cause(
        sign="[Tt]imed out|No route to host|Network is unreachable|Host is down|not responding",
        meaning="expected an answer from {where}, got '{last}'; see whether it is switched on and "
        "in reach",
        passing=True,
    ),
)
OTHERWISE = Cause(sign="", meaning="expected a connection with {where}, got '{last}'", passing=True)


def refusal(who: str, part: SshPart, status: int, said: str, heard: str) -> Exception:
    """Why a runner did not begin: a `Broken` if that may pass, else a `DeviceError`.

    Args:
        who: the device, as errors name it.
        part: how it was to be reached.
        status: with which `ssh` ended: the remote command's own, or `NO_CONNECTION`.
        said: the errors that the one or the other printed.
        heard: what the device printed besides.
    """
    last = last_line(said) or last_line(heard) or f"exit status {status}"
    words = _words(part)
    if status == NO_CONNECTION:
        cause = next((one for one in CAUSES if re.search(one.sign, said)), OTHERWISE)
        text = f"{who}: {cause.meaning.format(last=last, **words)}"
        return Broken(text) if cause.passing else DeviceError(text)
    there = f"'{part.python}' at {words['where']}"
    if "No module named" in last:
        return DeviceError(
            f"{who}: expected numpy and onnxruntime with {there}, got '{last}'; install them there "
            f"with `{part.python} -m pip install onnxruntime`, or name a Python that has them in "
            "the profile (ssh: python)"
        )
    return DeviceError(
        f"{who}: expected {there} to be Python 3.8 or newer with numpy and onnxruntime, got "
        f"'{last}'; install it there, or name another in the profile (ssh: python)"
    )


def _words(part: SshPart) -> dict[str, str]:
    port = f" -p {part.port}" if part.port != 22 else ""
    kept = f" -o UserKnownHostsFile={part.known_hosts}" if part.known_hosts else ""
    return {
        "where": f"{part.address} (port {part.port})",
        "address": part.address,
        "by_hand": f"ssh{port}{kept} {part.address}",
        "known": part.known_hosts or "~/.ssh/known_hosts",
        "identity": part.identity or "your key",
        "python": part.python,
    }


def last_line(text: str) -> str:
    """The last line that says something, shortened, without control codes."""
    lines = [line for line in map(printable, text.splitlines()) if line]
    return lines[-1][:200] if lines else ""
