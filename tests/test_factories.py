"""Factories by import path: found where the user stands, named again, and refused in a sentence."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest
from networks import Plain
from torch import nn

from easearch.errors import GraphError
from easearch.factories import find_factory, import_path, is_import_path, made
from easearch.models import mobilenet_v1

MODULE = """
from torch import nn

class Net(nn.Module):
    @classmethod
    def small(cls):
        return cls()

def net(width=4):
    return nn.Conv2d(1, width, 3)

def fails():
    raise RuntimeError("no luck")

number = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine_of_factories.py").write_text(MODULE)
    (tmp_path / "broken_of_factories.py").write_text("1 / 0\n")
    (tmp_path / "script_of_factories.py").write_text("import sys\nsys.exit(7)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    return tmp_path


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("a:b", True),
        ("a.b:C.d", True),
        ("größe:netz", True),
        ("a", False),
        ("a:", False),
        (":b", False),
        ("a:b:c", False),
        (".a:b", False),
        ("a-b:c", False),
        ("a:<lambda>", False),
        ("a:b c", False),
        ("C:\\a", False),
    ],
)
def test_the_form_of_an_import_path(text: str, is_one: bool) -> None:
    assert is_import_path(text) is is_one
    if not is_one:
        with pytest.raises(GraphError, match=r"expected package\.module:factory"):
            find_factory(text)


def test_a_factory_is_found_in_the_current_folder_and_named_again(here: Path) -> None:
    net = find_factory("mine_of_factories:net")
    assert str(here) in sys.path
    assert import_path(net) == "mine_of_factories:net"
    assert made(net, {"width": 7}).out_channels == 7
    small = find_factory("mine_of_factories:Net.small")
    assert import_path(small) == "mine_of_factories:Net.small"
    assert isinstance(made(small, {}), nn.Module)


def test_what_has_no_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def local() -> nn.Module:
        return Plain()

    def elsewhere() -> nn.Module:
        return Plain()

    elsewhere.__qualname__ = "Plain"  # claims another's place, as decorated functions do
    elsewhere.__module__ = "networks"
    for factory in (local, lambda: Plain(), functools.partial(Plain), elsewhere):
        assert import_path(factory) == ""
    assert import_path(Plain) == "networks:Plain"
    assert import_path(mobilenet_v1) == "easearch.models.mobilenet_v1:mobilenet_v1"
    monkeypatch.setattr(Plain, "__module__", "__main__")
    assert import_path(Plain) == ""


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no_such_module:net", "No module named 'no_such_module'"),
        ("mine_of_factories:nett", "no attribute 'nett'"),
        ("mine_of_factories:net.x", "no attribute 'x'"),
        ("mine_of_factories:number", "to be a function, got a int"),
        ("broken_of_factories:net", "importing broken_of_factories failed with ZeroDivisionError"),
        ("script_of_factories:net", "importing script_of_factories failed with SystemExit: 7"),
    ],
)
def test_what_is_not_found_is_a_sentence(here: Path, path: str, said: str) -> None:
    with pytest.raises(GraphError) as caught:
        find_factory(path)
    assert said in str(caught.value)
    assert path.partition(":")[0] in str(caught.value)


def test_a_factory_that_fails(here: Path) -> None:
    fails = find_factory("mine_of_factories:fails")
    with pytest.raises(GraphError, match="mine_of_factories:fails failed with RuntimeError: no l"):
        made(fails, {})
    with pytest.raises(GraphError, match=r"fails failed with TypeError: .*'width'"):
        made(fails, {"width": 1})
    with pytest.raises(GraphError, match=r"builtins:dict to return an nn\.Module, got a dict"):
        made(dict, {})
