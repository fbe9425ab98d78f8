"""What surgery costs: 1,000 channels over all groups of torchvision's MobileNetV2 at 224 pixels.

Seconds are the least of five. Memory is measured in a process of its own: how far the resident
size rises (VmHWM of Linux, set back just before) after a first plan of one channel has loaded all
code, in units of the grown model's bytes. The grown model itself counts: 1 is the least possible.

    python reports/surgery/scale.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch

import easearch as ea
from easearch.data._torchvision import torchvision

CHANNELS = 1000


def subject() -> tuple[torch.nn.Module, ea.Graph, list[ea.Split]]:
    """The network, its graph, and a plan with an offset for every offspring's own rows."""
    torch.manual_seed(0)
    model = torchvision("models").mobilenet_v2().eval()
    graph = ea.trace(model, torch.zeros(1, 3, 224, 224))
    places = [(g, c) for g in graph.growable for c in range(g.width)]
    chosen = places[:: len(places) // CHANNELS][:CHANNELS]
    tensors = model.state_dict()
    moves = []
    for group, channel in chosen:
        path = f"{group.writers[0]}.weight"
        step = 0.01 * torch.randn_like(tensors[path][channel])
        moves.append(
            ea.Split(group=group.name, channel=channel, offsets=({path: step}, {path: -step}))
        )
    return model, graph, moves


def numbers(model: torch.nn.Module) -> int:
    """Bytes of parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in model.state_dict().values())


def memory() -> float:
    """Peak additional resident memory over the grown model's bytes."""
    model, graph, moves = subject()
    ea.apply(model, graph, moves[:1])
    Path("/proc/self/clear_refs").write_text("5")  # the highest size so far is forgotten
    before = resident("VmRSS")
    wider = ea.apply(model, graph, moves)
    return (resident("VmHWM") - before) / numbers(wider)


def resident(field: str) -> int:
    """VmRSS, or the highest it has been: VmHWM; in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def main() -> None:
    """Print both."""
    if sys.argv[1:] == ["memory"]:
        print(memory())
        return
    model, graph, moves = subject()
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        wider = ea.apply(model, graph, moves)
        seconds.append(time.perf_counter() - began)
    print(f"{len(moves)} channels, {len({m.group for m in moves})} groups, {torch.__version__}")
    print(f"{numbers(model) / 2**20:.1f} MiB before, {numbers(wider) / 2**20:.1f} MiB after")
    print(f"{min(seconds):.3f} s, least of {len(seconds)}: {[round(s, 3) for s in seconds]}")
    command = [sys.executable, __file__, "memory"]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"peak additional memory: {peak:.2f} x the grown model")


if __name__ == "__main__":
    main()
