"""`easearch profile`: a device's latency table, measured there or pasted from another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from easearch.cli.options import Factory, Json, Set, Size, check_number, check_size, overrides
from easearch.cli.output import errors_console, print_json, print_rows, working
from easearch.cli.subject import is_folder
from easearch.errors import DeviceError

if TYPE_CHECKING:
    from easearch.budget import Device
    from easearch.budget.profiling import Profiled
    from easearch.graph import Graph

Precisions = Annotated[str, typer.Option(help="fp32, int8, or both with a comma.")]


def profile(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="What the table is for: seeds, run folders or package.module:factory.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="host, or a device of budgets/; a new name makes a new one.")
    ] = "host",
    precision: Precisions = "fp32",
    reach: Annotated[
        float,
        typer.Option(
            min=1.0, max=64.0, callback=check_number, help="Up to this many times as wide."
        ),
    ] = 3.0,
    threads: Annotated[
        int, typer.Option(min=1, max=1024, help="Of the runtime, on a new device.")
    ] = 1,
    provider: Annotated[
        str | None, typer.Option(help="ONNX Runtime's provider, on a new device.")
    ] = None,
    ssh: Annotated[
        str | None, typer.Option(metavar="USER@HOST", help="Where a new device is reached.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of its ssh.")] = 22,
    identity: Annotated[Path | None, typer.Option(help="File of the private key.")] = None,
    known_hosts: Annotated[Path | None, typer.Option(help="File of known host keys.")] = None,
    python: Annotated[str, typer.Option(help="The device's Python with onnxruntime.")] = "python3",
    cold: Annotated[bool, typer.Option("--cold", help="A new device with cold caches.")] = False,
    csv: Annotated[
        Path | None, typer.Option(help="Take a vendor's table instead of measuring.")
    ] = None,
    step: Annotated[
        int | None, typer.Option(min=1, max=1024, help="The step of widths of such a table.")
    ] = None,
    todo: Annotated[
        Path | None, typer.Option(help="Write models and a list to measure elsewhere, no more.")
    ] = None,
    changes: Set = None,
    size: Size = None,
    factory: Factory = None,
    as_json: Json = False,
) -> None:
    """Build a device's latency table: only what the models can come to consist of is measured."""
    arguments = overrides(changes)
    if not models and csv is None:
        raise typer.BadParameter("name the models that the table is for", param_hint="MODEL")
    for model in models or ():
        check_size(model, size)
    with working():
        from easearch.budget.profiling import pasted

        told: dict[str, Any]
        if csv is not None:
            told = _told(pasted(device, csv, step=step))
        else:
            graphs = [_graph(model, arguments, size, factory) for model in models or ()]
            precisions = _precisions(precision)
            if todo is not None:
                told = _listed(graphs, precisions, reach, device, step, todo)
            else:
                link = {
                    "address": ssh,
                    "port": port,
                    "identity": str(identity.resolve()) if identity else None,
                    "known_hosts": str(known_hosts.resolve()) if known_hosts else None,
                    "python": python,
                }
                place = _device(device, threads, provider, link if ssh else None, cold)
                told = _told(_measured(place, graphs, precisions, reach))
    if as_json:
        print_json(told)
    else:
        print_rows([(name.replace("_", " "), str(value)) for name, value in told.items()])


def _graph(model: str, arguments: Any, size: str | None, factory: str | None) -> Graph:
    from easearch.cli.subject import find_subject
    from easearch.growth.checked import trace

    subject = find_subject(model, arguments, size, factory)
    return trace(subject.model, subject.sample)


def _precisions(text: str) -> list[str]:
    from easearch.budget.meters import check_precision

    found = [one.strip() for one in text.split(",")]
    for one in found:
        check_precision(one)
    return found


def _device(
    name: str,
    threads: int,
    provider: str | None,
    link: dict[str, Any] | None,
    cold: bool,
) -> Device:
    """The device of that name, or a new one set up as told, its folder made."""
    from easearch.budget.devices import find_device
    from easearch.budget.devices.profile import profile_folders
    from easearch.budget.profiling import new_device

    told = {
        "threads": threads if threads > 1 else None,
        "provider": provider,
        "ssh": link,
        "reach": "ssh" if link else None,
        "caches": "cold" if cold else None,
    }
    given = {key: value for key, value in told.items() if value is not None}
    if name == "host" or name in profile_folders() or is_folder(name):
        if given:
            raise DeviceError(
                f"the device '{name}' is there already; settings ({', '.join(given)}) are those of "
                "a new one: give it another name with --device, or edit its profile.yaml"
            )
        return find_device(name)
    return new_device(name, given)


def _measured(place: Device, graphs: list[Graph], precisions: list[str], reach: float) -> Profiled:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from easearch.budget.profiling import measured

    console = errors_console()
    bar = Progress(
        "rows",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("rows", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return measured(place, graphs, precisions=precisions, reach=reach, progress=show)


def _listed(
    graphs: list[Graph],
    precisions: list[str],
    reach: float,
    device: str,
    step: int | None,
    folder: Path,
) -> dict[str, Any]:
    """What a table must hold for the networks, but for the rows that the device has already."""
    from easearch.budget.devices.profile import profile_folders
    from easearch.budget.latency.pasted import todo_places, write_todo
    from easearch.budget.latency.reachable import reachable
    from easearch.budget.latency.table import LatencyTable
    from easearch.budget.profiling import PASTED_STEP

    known = device in profile_folders()
    items = {}
    for precision in precisions:
        table = LatencyTable(device, precision=precision) if known else None
        each = step or (table.step if table is not None else PASTED_STEP)
        found = dict.fromkeys(item for graph in graphs for item in reachable(graph, each, reach))
        items[precision] = [item for item in found if table is None or not table.has(item)]
    number, (_, path) = write_todo(items, folder), todo_places(folder)
    name = device if known or device != "host" else "NAME"
    stepped = f" --step {step}" if step is not None else ""
    told = f"easearch profile --device {name} --csv {path}{stepped}"
    return {
        "models": number,
        "list": str(path),
        "next": f"fill in the column us, then: {told}" if number else "nothing is missing",
    }


def _told(found: Profiled) -> dict[str, Any]:
    from easearch.reporting.digits import percent

    told = {
        "device": found.device.name,
        "host": found.device.host.cpu,
        "rows": found.rows,
        "measured_now": found.measured,
        "noise": percent(found.spread),
        "step_of_widths": found.step,
    }
    for precision, interval in found.intervals.items():
        told[f"networks_in_{precision}"] = f"95 % within {percent(interval)} of the prediction"
    return {**told, "folder": str(found.folder)}
