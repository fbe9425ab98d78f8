"""Which of torchvision's classification networks can grow, and whether they compute the same after.

    python reports/zoo/zoo.py [--models mobilenet_v2 resnet18] [--out reports/zoo]

For each network, in a process of its own, untrained weights with norms and biases drawn at random
(so that no two channels are alike): seconds to trace (torch.fx, minimum of three), the groups and
channels that can grow, the share of parameters in layers that a growable group touches, seconds to
apply a plan that splits every tenth channel of every group and adds a neuron to each, the largest
difference of the outputs relative to the largest output, on two random images, in evaluation mode
and float32, and whether tracing the grown model gives the graph that arithmetic promised. Writes
`table.md` and `table.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import nn

import easearch as ea
from easearch.data._torchvision import torchvision

HERE = Path(__file__).parent
SIZES = {"inception_v3": 299}
UNINITIALISED = ("googlenet", "inception_v3")
"""Their own initialisation takes minutes; torch's serves as well."""
MINUTES = 15.0


def main() -> None:
    """Run every network in its own process, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="*", default=None)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--one", help="one network, printed as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(examined(options.one)))
        return
    models = torchvision("models")
    names = options.models or models.list_models(module=models)
    rows = []
    for name in names:
        rows.append(_in_a_process(name))
        print(line(rows[-1]), flush=True)
    table = [HEAD, *map(line, rows), "", summary(rows)]
    (options.out / "table.md").write_text("\n".join(table) + "\n")
    (options.out / "table.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(summary(rows))


def _in_a_process(name: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", name]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=MINUTES * 60, check=False
        )
    except subprocess.TimeoutExpired:
        return {"name": name, "failed": f"took more than {MINUTES:g} minutes"}
    if done.returncode:
        told = done.stderr.strip().split("\n")[-1]
        return {"name": name, "failed": told or f"exit status {done.returncode}"}
    row: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return row


def examined(name: str) -> dict[str, Any]:
    """Everything that the table says of one network."""
    torch.manual_seed(0)
    model = made(name)
    images = torch.randn(2, 3, *(SIZES.get(name, 224),) * 2)
    graph, traced = timed(lambda: ea.trace(model, images), 3)
    parameters = {path: tensor.numel() for path, tensor in model.named_parameters()}
    reached = {
        held.path
        for layer in graph.layers
        for held in layer.tensors
        if any(graph.groups[group].frozen is None for group in layer.groups)
    }
    row: dict[str, Any] = {
        "name": name,
        "parameters": sum(parameters.values()),
        "groups": len(graph.groups),
        "growing": len(graph.growable),
        "channels": sum(group.width for group in graph.growable),
        "share": sum(parameters.get(path, 0) for path in reached) / sum(parameters.values()),
        "trace_s": traced,
        "frozen": sorted({g.frozen for g in graph.channel_groups if g.frozen}),
    }
    if not graph.growable:
        return {**row, "failed": "nothing can grow"}
    moves = plan(graph)
    wider, applied = timed(lambda: ea.apply(model, graph, moves), 1)
    with torch.no_grad():
        before, after = model(images), wider(images)
    difference = float((after - before).abs().max() / before.abs().max())
    square = ea.trace(wider, images) == graph.after(moves)
    return {**row, "apply_s": applied, "difference": difference, "square": square}


def made(name: str) -> nn.Module:
    """The network in evaluation mode, its norms and constants away from where they are born."""
    models = torchvision("models")
    arguments = {"init_weights": False} if name in UNINITIALISED else {}
    model: nn.Module = models.get_model(name, **arguments).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if float(parameter.min()) == float(parameter.max()):
                parameter += 0.1 * torch.randn_like(parameter)
        for path, buffer in model.named_buffers():
            if path.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif path.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return model


def plan(graph: ea.Graph) -> list[ea.Split | ea.NewNeuron]:
    """A tenth of every group's channels split, in halves or with signs, and a new neuron each."""
    moves: list[ea.Split | ea.NewNeuron] = []
    for group in graph.growable:
        for number, channel in enumerate(range(0, group.width, 10)):
            shares = ((0.5, 0.5), (1.5, -0.5), (0.25, 0.5, 0.25))[number % 3]
            moves.append(ea.Split(group=group.name, channel=channel, shares=shares))
        moves.append(ea.NewNeuron(group=group.name))
    return moves


def timed(call: Callable[[], Any], rounds: int) -> tuple[Any, float]:
    """What the call gives, and the least seconds that it took."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


HEAD = (
    "| network | parameters | groups that grow | channels | share of parameters | trace s | "
    "apply s | difference | square |\n|---|---|---|---|---|---|---|---|---|"
)


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    if "failed" in row:
        return f"| {row['name']} | {row['failed']} | | | | | | | |"
    return (
        f"| {row['name']} | {row['parameters'] / 1e6:.1f} M "
        f"| {row['growing']} of {row['groups']} | "
        f"{row['channels']:,} | {row['share']:.0%} | {row['trace_s']:.2f} | {row['apply_s']:.2f} | "
        f"{row['difference']:.1e} | {'holds' if row['square'] else 'BROKEN'} |"
    )


def summary(rows: list[dict[str, Any]]) -> str:
    """How many networks passed, the worst of each figure, and where and when."""
    passed = [row for row in rows if "failed" not in row]
    good = [row for row in passed if row["difference"] <= 1e-5 and row["square"]]
    worst = {
        key: max((row[key] for row in passed), default=0.0)
        for key in ("trace_s", "apply_s", "difference")
    }
    return (
        f"{len(good)} of {len(rows)} networks grow with their function kept to 1e-5; slowest trace "
        f"{worst['trace_s']:.2f} s, slowest apply {worst['apply_s']:.2f} s, largest difference "
        f"{worst['difference']:.1e}. {date.today()}, torch {torch.__version__}, one thread, "
        f"{platform.processor() or platform.machine()}."
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
