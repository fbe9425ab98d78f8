"""The door: every error is one sentence and a status; stdout is the result's alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from easearch.cli import main
from easearch.cli.door import run
from easearch.errors import DataError

VERBS = ["grow", "plan", "check", "measure", "export", "report", "sweep", "doctor"]


def raising(error: BaseException) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    def verb(as_json: bool = typer.Option(False, "--json")) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DataError("two\n  lines"), 1, "easearch: two lines"),
        (FileNotFoundError(2, "No such file", "x"), 1, "easearch: No such file: x"),
        (PermissionError("no"), 1, "no"),
        (ZeroDivisionError("by 0"), 1, "unexpected ZeroDivisionError: by 0; set EASEARCH_TRACE"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (typer.BadParameter("expected 1"), 2, "expected 1"),
        (typer.Exit(3), 3, ""),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_is_a_sentence_and_a_status(
    error: BaseException, status: int, said: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(raising(error), ["--json"] if as_json else []) == status
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    if as_json and said:
        assert json.loads(shown.out)["error"] in shown.err
    else:
        assert shown.out == ""


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["grow", "nowhere.yaml"], 1),
        (["grow", "nowhere.yaml", "--set", "seed"], 2),
        (["sweep", "nowhere.yaml", "--trials", "0"], 2),
        (["measure", "mobilenet_v9"], 1),
        (["measure", "mobilenet_v1", "--set", "width=-1"], 1),
        (["measure", "mobilenet_v1", "--meters", "mac"], 1),
        (["measure", "mobilenet_v1", "--input", "1 by 28"], 1),
        (["measure", "no.such.module:factory"], 2),
        (["measure", "no.such.module:factory", "--input", "1x28x28"], 1),
        (["measure", "json:dumps", "--set", "obj=1", "--input", "1x28x28"], 1),
        (["export", "nowhere"], 1),
        (["report", "nowhere"], 1),
        (["grwo"], 2),
        (["grow"], 2),
        (["measure", "mobilenet_v1", "--jsn"], 2),
    ],
)
def test_what_users_get_wrong(
    words: list[str], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: object
) -> None:
    assert isinstance(capsys, pytest.CaptureFixture)
    monkeypatch.chdir(tmp_path)
    assert main(words) == status
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err
    assert main([*words, "--json"]) == status
    assert set(json.loads(capsys.readouterr().out)) == {"error"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("columns", ["40", "120"])
def test_every_help_shows_an_example_at_any_width(
    verb: str, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"easearch {verb}" in " ".join(shown.split("Example:")[1].split())
    assert max(map(len, shown.splitlines())) <= int(columns)


def test_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from easearch.cli import main; main(['--help']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib', 'optuna')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_package_runs_as_a_module_and_sets_passive_waiting() -> None:
    code = (
        "import easearch.cli, os; "
        "print(os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["PASSIVE", "0"]
    command = [sys.executable, "-m", "easearch", "measure", "mobilenet_v9", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "did you mean" in json.loads(done.stdout)["error"]
