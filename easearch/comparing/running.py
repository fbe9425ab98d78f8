"""Running the entries of a comparison: one by one, or spread over processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from easearch.comparing.arms import ARMS
from easearch.comparing.claim import claimed
from easearch.comparing.entry import needs_of, run_entry, write_failure
from easearch.comparing.files import ENTRY, FAILED, Entry, read_json
from easearch.comparing.machine_lock import Machine
from easearch.comparing.terms import Terms, known
from easearch.comparing.words import training_of
from easearch.errors import DeviceError, EasearchError, MissingExtraError, RecipeError, nearest
from easearch.growth.events import Note, Phase, Watcher
from easearch.reporting.digits import percent

WAIT_S = 0.5


def entries_of(arms: Sequence[str], seeds: Iterable[int]) -> list[Entry]:
    """Every entry that these arms ask for, those that others need before them; seed by seed, so
    that what is there at any moment can be compared.

    Raises:
        RecipeError: there is no such arm, or it takes no such option.
        MissingExtraError: a package that an arm needs is not installed.
    """
    for arm in arms:
        _check(arm)
    found: dict[Entry, None] = {}
    for seed in seeds:
        for arm in arms:
            _put(found, Entry(arm=arm, seed=seed))
    return list(found)


def work(terms: Terms, entries: Sequence[Entry], out: Path, watch: Watcher, shared: bool) -> None:
    """Run what is left of the entries and is nobody else's, until none is left.

    An entry that fails is noted in its folder, and the others go on.
    """
    machine = Machine(out, shared=shared)
    try:
        while left := [one for one in entries if not one.done(out) and not one.failed(out)]:
            ran = [one for one in left if _attempt(terms, one, out, watch, machine)]
            if not ran:  # others are at work on what is left, or on what it needs
                time.sleep(WAIT_S)
    finally:
        machine.close()


def spread(terms: Terms, entries: Sequence[Entry], out: Path, jobs: int, watch: Watcher) -> None:
    """Run the entries in `jobs` processes of their own.

    Raises:
        DeviceError: a process ended before its work did.
    """
    names = json.dumps([[one.arm, one.seed] for one in entries])
    words = [sys.executable, "-m", "easearch.comparing", str(out.resolve())]
    logs = [out / f".worker-{number}.log" for number in range(jobs)]
    workers: list[subprocess.Popen[str]] = []
    try:
        for log in logs:
            with log.open("w") as file:
                worker = subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=file, stderr=file, text=True
                )
            workers.append(worker)
            assert worker.stdin is not None
            worker.stdin.write(names)
            worker.stdin.close()
        _followed(workers, entries, out, watch)
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()
            worker.wait()
    for worker, log in zip(workers, logs, strict=True):
        if worker.returncode != 0:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise DeviceError(
                f"a process of the comparison ended with status {worker.returncode}"
                f"{': ' + last[-1] if last else ''}; what is done stays, say the same again to go "
                f"on (its output is in {log})"
            )
        log.unlink(missing_ok=True)


def worker(out: Path, names: str) -> None:
    """What a process of `spread` does."""
    entries = [Entry(arm=arm, seed=seed) for arm, seed in json.loads(names)]
    parent = os.getppid()

    def watch(event: object) -> None:
        if os.getppid() != parent:  # nobody waits for the result any more
            raise KeyboardInterrupt

    work(known(out), entries, out, watch, shared=True)


def told_of(entry: Entry, out: Path) -> str:
    """How an entry ended, as a sentence."""
    if entry.done(out):
        content = read_json(entry.folder(out) / ENTRY)
        kept = "" if content["meets"] else ", a limit missed"
        return f"{entry}: {percent(content['test']['accuracy'])} on test{kept}"
    return f"{entry} failed: {read_json(entry.folder(out) / FAILED)['error']}"


def _attempt(terms: Terms, entry: Entry, out: Path, watch: Watcher, machine: Machine) -> bool:
    """Run the entry if it can begin and is nobody else's; whether anything came of it."""
    needs = needs_of(entry)
    broken = next((one for one in needs if one.failed(out)), None)
    if broken is None and not all(one.done(out) for one in needs):
        return False
    with claimed(entry.folder(out), out) as mine:
        if not mine:
            return False
        if entry.done(out) or entry.failed(out):  # between the look and the claim
            return True
        watch(Phase(name="entry", detail=str(entry)))
        try:
            if broken is not None:
                raise RecipeError(f"it needs {broken}, which failed")
            run_entry(terms, entry, out, watch, machine)
        except EasearchError as error:
            write_failure(entry, out, str(error))
        except Exception as error:
            # A fault of ours or of an arm's must not take the other entries down.
            told = f"unexpected {type(error).__name__}: {error}"
            write_failure(entry, out, told, traceback.format_exc())
        watch(Note(text=told_of(entry, out)))
    return True


def _followed(
    workers: Sequence[subprocess.Popen[str]], entries: Sequence[Entry], out: Path, watch: Watcher
) -> None:
    """Tell what ends, until every process has."""
    left = [one for one in entries if not one.done(out)]
    watch(Phase(name="entries", detail=f"{len(left)} in {len(workers)} processes"))
    running = True
    while running:
        running = any(worker.poll() is None for worker in workers)
        ended = [one for one in left if one.done(out) or one.failed(out)]
        for one in ended:
            left.remove(one)
            watch(Note(text=told_of(one, out)))
        if running:
            time.sleep(WAIT_S)


def _put(found: dict[Entry, None], entry: Entry) -> None:
    for need in needs_of(entry):
        _put(found, need)
    found.setdefault(entry)


def _check(arm: str) -> None:
    entry = Entry(arm=arm, seed=0)
    name = entry.name
    if name not in ARMS:
        raise RecipeError(f"there is no arm '{name}'; {nearest(name, ARMS)}")
    try:
        training_of(entry.own)
    except ValueError as error:
        raise RecipeError(f"the arm {name}: {error}") from None
    why = ARMS[name].refusal(entry.option)
    if why is not None:
        raise RecipeError(f"the arm {name}: {why}")
    package = ARMS[name].package
    if package is not None and find_spec(package[0]) is None:
        raise MissingExtraError(
            f"the arm {name}: expected the package {package[0]}, got none; "
            f"pip install 'easearch[{package[1]}]'"
        )
