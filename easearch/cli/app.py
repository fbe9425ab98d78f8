"""The verbs, put together. A new verb is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable

import typer

from easearch.cli.check import check
from easearch.cli.compare import compare
from easearch.cli.doctor import doctor
from easearch.cli.export import export
from easearch.cli.grow import grow
from easearch.cli.measure import measure
from easearch.cli.plan import plan
from easearch.cli.profile import profile
from easearch.cli.report import report
from easearch.cli.score import score
from easearch.cli.sweep import sweep

app = typer.Typer(
    name="easearch",
    help="Grow neural networks to fit a device: name the device and the limit in milliseconds.",
    epilog="Start with: easearch grow recipes/quickstart.yaml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EXAMPLES: dict[Callable[..., None], str] = {
    grow: "easearch grow recipes/quickstart.yaml --set training.epochs=4 --out runs/first",
    plan: "easearch plan recipes/quickstart.yaml --set training.epochs=4",
    check: "easearch check mobilenet_v1 --input 3x32x32",
    measure: "easearch measure mobilenet_v1 --set width=0.5 --input 1x28x28",
    profile: "easearch profile mobilenet_v1 --device pi5 --ssh pi@raspberry",
    score: "easearch score runs/first --images auto",
    export: "easearch export runs/first --out model.onnx",
    report: "easearch report runs/first",
    compare: "easearch compare recipes/quickstart.yaml --arms grow,uniform --seeds 5",
    sweep: "easearch sweep recipes/quickstart.yaml --trials 10 --out runs/sweep",
    doctor: "easearch doctor --json",
}

for verb, example in EXAMPLES.items():
    app.command(verb.__name__, epilog=f"Example: {example}")(verb)
