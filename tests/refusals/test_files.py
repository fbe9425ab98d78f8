"""Files of strangers, a row each: profiles, tables, run folders, networks, a study's database."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from easearch.budget.devices.profile import FILE, Profile
from easearch.budget.latency.pasted import read_pasted
from easearch.errors import DeviceError, EasearchError, FileFormatError
from easearch.growth.architecture import ARCHITECTURE, read_architecture
from easearch.reporting.reading import read_run
from easearch.untrusted import parse_json, read_json, read_text
from refusals.refused import raised, refused
from refusals.test_recipes import SOUND

HUGE = "9" * 5000
PROFILE = "name: board\nreach: table\n"
PROFILES = {
    "an alias bomb": "reach: &a [x]\nname: *a\n",
    "a key twice": PROFILE + "name: other\n",
    "a name that leads elsewhere": "name: ../../x\nreach: table\n",
    "a name with an escape": 'name: "\\e[31mx"\nreach: table\n',
    "threads of this host": "name: board\nreach: host\nthreads: 5000\n",
    "threads of 5,000 digits": PROFILE + f"threads: {HUGE}\n",
    "a port of 70,000": "name: b\nreach: ssh\nssh: {address: b, port: 70000}\n",
    "an address like an option": "name: b\nreach: ssh\nssh: {address: -oProxyCommand=x}\n",
    "a Python with words": "name: b\nreach: ssh\nssh: {address: b, python: 'sh -c x'}\n",
    "energies below 0": PROFILE + "energy: {pj_per_mac: {fp32: -1}, pj_per_byte: 1, how: measured, "
    "source: x}\n",
    "energies as infinity": PROFILE + "energy: {pj_per_mac: {fp32: .inf}}\n",
    "an interval as nan": PROFILE + "calibration: {fp32: {a_ms: .nan}}\n",
    "an unknown key": PROFILE + "color: red\n",
    "a list": "- board\n",
    "nothing": "",
}
HEAD = "kind,in,out,size,us\n"
TABLES = {
    "no channels": HEAD + "conv,0,8,3x3,5\n",
    "half a channel": HEAD + "conv,1.7,8,3x3,5\n",
    "channels of 5,000 digits": HEAD + f"conv,{HUGE},8,3x3,5\n",
    "a time below 0": HEAD + "conv,8,8,3x3,-5\n",
    "a time as nan": HEAD + "conv,8,8,3x3,nan\n",
    "a time as infinity": HEAD + "conv,8,8,3x3,inf\n",
    "a size of 0": HEAD + "conv,8,8,0x0,5\n",
    "a size as text": HEAD + "conv,8,8,big,5\n",
    "a kind with an escape": HEAD + "\x1b[31mconv,8,8,3x3,5\n",
    "a column twice": "kind,in,in,out,size,us\nconv,8,8,8,3x3,5\n",
    "no rows": HEAD,
    "nothing": "",
    "a cell of 200 KB": HEAD + "x" * 200_000 + ",1,1,1,1\n",
    "zero bytes": "\0" * 100,
}
NETWORKS = {
    "a key twice": '{"factory": "mobilenet_v1", "factory": "x"}',
    "a width as nan": '{"factory": "mobilenet_v1", "input": [1, 28, 28], "widths": {"a": NaN}}',
    "a width of 5,000 digits": '{"factory": "x", "input": [1, ' + HUGE + "]}",
    "lists to a depth of 1e5": "[" * 100_000,
    "an input of 1e30": '{"factory": "mobilenet_v1", "input": [1, 1000000, 1000000], "format": 1}',
    "half a character": '{"factory": "\\ud800", "input": [1]}',
    "a list": "[]",
    "nothing": "",
}
DOCUMENTS = {
    "a key twice": '{"a": 1, "a": 2}',
    "NaN": "[NaN]",
    "-Infinity": "-Infinity",
    "1e999": "1e999",
    "5,000 digits": HUGE,
    "a depth of 1e5": "[" * 100_000,
    "a depth of 100": "[" * 100 + "]" * 100,
    "half a character": '"\\udc00"',
    "two values": "1 2",
}


@pytest.mark.parametrize("name", PROFILES)
def test_profiles(name: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(PROFILES[name])
    raised(lambda: Profile.read(tmp_path), kind=DeviceError, folder=tmp_path)


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEARCH_BUDGETS", str(tmp_path / "budgets"))
    (tmp_path / "t.csv").write_text(TABLES[name])
    raised(lambda: read_pasted(tmp_path / "t.csv"), kind=DeviceError)
    refused(["profile", "--device", "board", "--csv", "t.csv"], tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, tmp_path: Path) -> None:
    (tmp_path / ARCHITECTURE).write_text(NETWORKS[name])
    raised(lambda: read_architecture(tmp_path), kind=FileFormatError, folder=tmp_path)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents(name: str) -> None:
    raised(lambda: parse_json(DOCUMENTS[name]), kind=FileFormatError)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)  # of holes


KINDS: dict[str, Callable[[Path], None]] = {
    "pipe": _pipe,
    "link to itself": _loop,
    "folder": Path.mkdir,
    "file of a terabyte": _large,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["recipe", "table", "profile", "network", "run", "text"])
def test_what_is_no_regular_file(kind: str, what: str, tmp_path: Path) -> None:
    names = {"profile": FILE, "network": ARCHITECTURE, "run": "recipe.yaml"}
    file = tmp_path / names.get(what, "x.yaml")
    KINDS[kind](file)
    if what in ("recipe", "table"):
        words = ["profile", "--device", "b", "--csv"] if what == "table" else ["plan"]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            from easearch.cli import main

            assert main([*words, file.name]) == 1
        return
    reading: dict[str, Callable[[], object]] = {
        "profile": lambda: Profile.read(tmp_path),
        "network": lambda: read_architecture(tmp_path),
        "run": lambda: read_run(tmp_path),
        "text": lambda: _text(file),
    }
    raised(reading[what])


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except OSError as error:  # the system's word, which the reader's caller tells
        raise FileFormatError(error.strerror or "") from None


@pytest.mark.parametrize("damage", [b"garbage" * 1000, b"SQLite format 3\0" + b"x" * 5000])
def test_a_study_that_is_damaged(damage: bytes, tmp_path: Path) -> None:
    text = SOUND + "sweep: {training.rate: {low: 0.1, high: 0.2}}\n"
    (tmp_path / "s.yaml").write_text(text)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.db").write_bytes(damage)
    refused(["sweep", "s.yaml", "--out", "study"], tmp_path, "database of a study")


@pytest.mark.parametrize("name", ["a%20b", "what?x", "a#b", "a%2Fb", "ü x"])
def test_a_study_lies_in_the_folder_that_was_named(name: str, tmp_path: Path) -> None:
    from easearch.recipe import Recipe
    from easearch.sweeps.study import DATABASE, _open

    (tmp_path / "s.yaml").write_text(SOUND)
    (tmp_path / name).mkdir()
    _open(Recipe.load(tmp_path / "s.yaml"), tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"s.yaml", name}
    assert [path.name for path in (tmp_path / name).iterdir()] == [DATABASE]


def test_sound_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": [1, 2.5, "ü"]}).encode())
    assert read_json(tmp_path / "a.json") == {"a": [1, 2.5, "ü"]}
    (tmp_path / FILE).write_text(PROFILE)
    assert Profile.read(tmp_path).name == "board"
    assert issubclass(FileFormatError, EasearchError)
