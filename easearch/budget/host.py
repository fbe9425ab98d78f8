"""What this machine is: measurements are kept under it, and are never used on another."""

from __future__ import annotations

import hashlib
import platform
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import onnxruntime as ort

from easearch.budget.runtime import PROVIDER

CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "asimd", "sve")
"""Instruction sets that change which kernels run."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A processor with the runtime that measures on it. Hashable."""

    cpu: str
    instructions: tuple[str, ...]
    threads: int
    runtime: str
    provider: str

    @property
    def key(self) -> str:
        """A short name, the same on every start, fit for a folder."""
        text = repr((self.cpu, self.instructions, self.threads, self.runtime, self.provider))
        slug = re.sub(r"[^a-z0-9.]+", "-", f"{self.cpu} {self.runtime}".lower()).strip("-")
        return f"{slug[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def to_json(self) -> dict[str, object]:
        """The fields as plain data."""
        return {**self.__dict__, "instructions": list(self.instructions), "key": self.key}


@cache
def this_host() -> Host:
    """The machine that runs this process, one thread, ONNX Runtime on the CPU."""
    facts = _cpuinfo(CPUINFO.read_text(errors="replace")) if CPUINFO.exists() else {}
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    name = facts.get("model name") or platform.processor() or platform.machine()
    # Virtual machines hide the generation behind one name ("AMD EPYC"): family and model tell it.
    numbers = [f"{key} {facts[key]}" for key in ("cpu family", "model") if key in facts]
    return Host(
        cpu=" ".join([name, *numbers]),
        instructions=tuple(name for name in INSTRUCTIONS if name in flags),
        threads=1,
        runtime=f"onnxruntime {ort.__version__}",
        provider=PROVIDER,
    )


def _cpuinfo(text: str) -> dict[str, str]:
    first = text.split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
