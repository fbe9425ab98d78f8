"""Which networks can grow, what share of their parameters, and whether they compute the same after.

    python reports/zoo/zoo.py                                    # torchvision's 80 -> table.*
    python reports/zoo/zoo.py --models resnet18 timm/edgenext_small
    python reports/zoo/zoo.py --list reports/zoo/timm.txt --trace --name timm

A name stands for a classification network of torchvision's, `timm/NAME` for one of timm's (`pip
install timm`; easearch does not depend on it). `--families` prints the names of timm.txt: of every
file of timm's, the smallest network of at most 15 million parameters.

For each network, with untrained weights and norms and biases drawn at random (so that no two
channels are alike): seconds to trace (minimum of three), the groups and channels that can grow, the
share of parameters in layers that a growable group touches, and the reasons for the others.

With `--trace` that is all, in one process, and graphs are not checked by widening. Without it, each
in a process of its own: seconds to apply a plan that splits every tenth channel of every group and
adds a neuron to each, the largest difference of the outputs relative to the largest output, on two
random images, in evaluation mode and float32, and whether tracing the grown model gives the graph
that arithmetic promised. Writes `NAME.md` and `NAME.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
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
LARGEST = 15e6


def main() -> None:
    """Run every network in its own process, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="*", default=None)
    parser.add_argument("--list", type=Path, help="a file of names, one a line")
    parser.add_argument("--trace", action="store_true", help="tracing alone, without its check")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--name", default="table", help="name of the tables")
    parser.add_argument("--one", help="one network, printed as JSON")
    parser.add_argument("--families", action="store_true", help="names of timm's families")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(examined(options.one, options.trace)))
        return
    if options.families:
        print("\n".join(families()))
        return
    names = options.models or (options.list.read_text().split() if options.list else None)
    if names is None:
        models = torchvision("models")
        names = models.list_models(module=models)
    rows = []
    for name in names:
        rows.append(_here(name) if options.trace else _in_a_process(name))
        print(line(rows[-1]), flush=True)
    table = [HEAD, *map(line, rows), "", summary(rows), "", *lost(rows)]
    (options.out / f"{options.name}.md").write_text("\n".join(table) + "\n")
    (options.out / f"{options.name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join((summary(rows), *lost(rows))))


def families() -> list[str]:
    """Of every file of timm's, the smallest network, where that has at most 15 M parameters."""
    torchvision("models")
    import timm

    found = []
    for family in timm.list_modules():
        sizes = []
        for name in timm.list_models(module=family):
            with torch.device("meta"):
                model = timm.create_model(name)
            sizes.append((sum(p.numel() for p in model.parameters()), name))
        fitting = sorted((n, name) for n, name in sizes if n <= LARGEST and "test_" not in name)
        found += dict.fromkeys(f"timm/{name}" for _, name in fitting[:1])
    return found


def _here(name: str) -> dict[str, Any]:
    try:
        return examined(name, trace=True)
    except Exception as error:
        return {"name": name, "failed": str(error).split("\n")[0] or type(error).__name__}


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


def examined(name: str, trace: bool) -> dict[str, Any]:
    """Everything that the table says of one network."""
    torch.manual_seed(0)
    model, size = made(name)
    images = torch.randn(2, *size)
    graph, traced = timed(lambda: ea.trace(model, images, check=not trace), 1 if trace else 3)
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
        "lost": _lost(graph, parameters),
    }
    if trace:
        return row
    if not graph.growable:
        return {**row, "failed": "nothing can grow"}
    moves = plan(graph)
    wider, applied = timed(lambda: ea.apply(model, graph, moves), 1)
    with torch.no_grad():
        before, after = model(images), wider(images)
    difference = float((after - before).abs().max() / before.abs().max())
    square = ea.trace(wider, images) == graph.after(moves)
    return {**row, "apply_s": applied, "difference": difference, "square": square}


def _lost(graph: ea.Graph, parameters: dict[str, int]) -> dict[str, int]:
    """Kind of reason -> parameters in layers that no growable group touches, by the first reason
    that is more than the network's input or output.
    """
    lost: Counter[str] = Counter()
    met: set[str] = set()
    touched: dict[str, list[ea.Layer]] = {}
    for layer in graph.layers:
        for held in layer.tensors:
            touched.setdefault(held.path, []).append(layer)
    for path, layers in touched.items():
        reasons = [graph.groups[g].frozen for layer in layers for g in layer.groups]
        met.add(path)
        if not all(reasons):
            continue
        ends = ("network's input", "network's output")
        inner = [r for r in reasons if r and not any(end in r for end in ends)]
        reason = (inner or [r for r in reasons if r] or ["no channels are known"])[0]
        lost[re.sub(r"'[^']*'", "'...'", reason)] += parameters.get(path, 0)
    lost["in no layer of the graph"] += sum(n for p, n in parameters.items() if p not in met)
    return {reason: number for reason, number in lost.most_common() if number}


def made(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """The network in evaluation mode, its norms and constants away from where they are born, and
    the size of an image.
    """
    models = torchvision("models")
    size: tuple[int, ...] = (3, *(SIZES.get(name, 224),) * 2)
    if name.startswith("timm/"):
        import timm

        model: nn.Module = timm.create_model(name.removeprefix("timm/")).eval()
        size = tuple(model.pretrained_cfg.get("input_size", size))
    else:
        arguments = {"init_weights": False} if name in UNINITIALISED else {}
        model = models.get_model(name, **arguments).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if float(parameter.min()) == float(parameter.max()):
                parameter += 0.1 * torch.randn_like(parameter)
        for path, buffer in model.named_buffers():
            if path.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif path.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return model, size


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
        return f"| {row['name']} | {row['failed'][:200]} | | | | | | | |"
    if "difference" not in row:
        applied = "| | | |"
    else:
        applied = (
            f"| {row['apply_s']:.2f} | {row['difference']:.1e} | "
            f"{'holds' if row['square'] else 'BROKEN'} |"
        )
    return (
        f"| {row['name']} | {row['parameters'] / 1e6:.1f} M "
        f"| {row['growing']} of {row['groups']} | "
        f"{row['channels']:,} | {row['share']:.0%} | {row['trace_s']:.2f} {applied}"
    )


def summary(rows: list[dict[str, Any]]) -> str:
    """How many networks passed, the worst of each figure, the shares, and where and when."""
    traced = [row for row in rows if "share" in row]
    shares = [row["share"] for row in traced] or [0.0]
    whole = sum(share > 0.99 for share in shares)
    passed = [row for row in traced if "difference" in row]
    good = [row for row in passed if row["difference"] <= 1e-5 and row["square"]]
    worst = {
        key: max((row[key] for row in passed), default=0.0)
        for key in ("trace_s", "apply_s", "difference")
    }
    grown = (
        f"{len(good)} of {len(rows)} networks grow with their function kept to 1e-5; slowest trace "
        f"{worst['trace_s']:.2f} s, slowest apply {worst['apply_s']:.2f} s, largest difference "
        f"{worst['difference']:.1e}. "
    )
    return (
        f"{grown if passed else ''}{len(traced)} of {len(rows)} networks are traced; the share of "
        f"parameters that can grow: median {statistics.median(shares):.1%}, mean "
        f"{statistics.mean(shares):.1%}, more than 99 % in {whole}. {date.today()}, torch "
        f"{torch.__version__}, one thread, {platform.processor() or platform.machine()}."
    )


def lost(rows: list[dict[str, Any]]) -> list[str]:
    """The reasons by the share of parameters that they hold, a network's weighing one."""
    shares: Counter[str] = Counter()
    for row in rows:
        for reason, number in row.get("lost", {}).items():
            shares[reason] += number / row["parameters"]
    total = sum("share" in row for row in rows)
    return [
        "| why parameters cannot grow | of all, a network weighing one |",
        "|---|---|",
        *(f"| {reason} | {share / total:.1%} |" for reason, share in shares.most_common(40)),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
