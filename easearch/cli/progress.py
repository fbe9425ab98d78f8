"""The watcher of a run: a live display on a terminal, one plain line an event everywhere else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from easearch.cli import lines
from easearch.cli.output import silence
from easearch.growth.events import Epoch, Event, Note, Phase, Progress, Step, Watcher
from easearch.reporting.digits import duration, percent, significant

REFRESH = 4
"""Pictures a second: enough to look alive, too few to be felt by the training."""


@dataclass
class View:
    """What is known of the run by now."""

    phase: Phase | None = None
    progress: Progress | None = None
    epoch: Epoch | None = None
    limits: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Remember what the event tells."""
        if isinstance(event, Phase):
            self.phase = event
        elif isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Epoch):
            self.epoch = event
            self.costs, self.limits = dict(event.costs), dict(event.limits)
        elif isinstance(event, Step):
            self.costs, self.limits = dict(event.costs_after), dict(event.limits)

    def picture(self) -> RenderableType:
        """The live part: it fits 40 columns."""
        table = Table.grid(padding=(0, 1))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        now = self.progress
        if now is not None:
            table.add_row("growths", f"{now.stage} of {now.stages}")
            table.add_row("epoch", f"{now.epoch:.1f} of {now.epochs:.4g}")
            table.add_row("", ProgressBar(total=max(now.epochs, 1), completed=now.epoch, width=24))
            table.add_row("loss", significant(now.loss))
        if self.epoch is not None:
            table.add_row("accuracy", f"{percent(self.epoch.validation_accuracy)} (validation)")
        for meter, cost in self.costs.items():
            table.add_row(meter, lines.against(meter, cost, self.limits.get(meter)))
            if limit := self.limits.get(meter):
                table.add_row("", ProgressBar(total=limit, completed=min(cost, limit), width=24))
        if now is not None:
            table.add_row("left", duration(now.seconds_left))
        head = Text(lines.phase(self.phase) if self.phase else "begins", style="bold")
        return Group(head, table)


@contextlib.contextmanager
def watching(console: Console) -> Iterator[Watcher]:
    """A watcher that shows a run on this console while the block lasts; the work outlives a console
    that is closed.
    """
    if console.is_terminal and not console.is_dumb_terminal:
        with _live(console) as watch:
            yield lasting(watch)
    else:
        yield lasting(plain_watcher(console))


def lasting(watch: Watcher) -> Watcher:
    """A watcher that falls silent where nobody reads any more: `grow 2>&1 | head -2`."""

    def told(event: Event) -> None:
        try:
            watch(event)
        except OSError:
            silence()

    return told


@contextlib.contextmanager
def _live(console: Console) -> Iterator[Watcher]:
    view = View()
    with Live(
        console=console,
        get_renderable=view.picture,
        refresh_per_second=REFRESH,
        transient=True,
    ):

        def watch(event: Event) -> None:
            view.take(event)
            if isinstance(event, Step | Note):  # what stays to be read after the run
                console.print(Text(lines.line(event, view.progress) or ""))

        yield watch


def plain_watcher(console: Console) -> Watcher:
    """A watcher that prints one line an event, without control characters, for logs and pipes."""
    view = View()

    def watch(event: Event) -> None:
        view.take(event)
        text = lines.line(event, view.progress)
        if text is not None:
            print(text, file=console.file, flush=True)

    return watch
