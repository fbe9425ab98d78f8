"""A folder is claimed before anything is spent, by one process, and nothing of others goes."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from easearch.claims import MARK, claim, claim_numbered, lock, unfinished
from easearch.errors import FolderError, RecipeError


def test_numbers_are_claimed_once_however_many_ask_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: claim_numbered(tmp_path / "runs", "a"), range(16)))
    assert sorted(one.path.name for one in found) == sorted(f"a-{n}" for n in range(1, 17))
    found[3].release()
    assert claim_numbered(tmp_path / "runs", "a").path == found[3].path


def test_one_at_a_time(tmp_path: Path) -> None:
    held = claim(tmp_path / "run")
    for other in (claim, lock):
        with pytest.raises(RecipeError, match=r"another process is at work in .*run"):
            other(tmp_path / "run")
    assert unfinished(tmp_path) == []  # somebody works there
    held.leave()
    assert unfinished(tmp_path) == [tmp_path / "run"]
    claim(tmp_path / "run").release()  # taken over: the folder was there
    assert unfinished(tmp_path) == [] and (tmp_path / "run").is_dir()
    claim(tmp_path / "new").release()  # made, and nothing was written into it
    assert not (tmp_path / "new").exists()


def test_a_claim_of_a_killed_process_is_free(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from easearch.claims import claim; "
        "held = claim(Path(sys.argv[1])); print('here', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "run")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"here\n"
        with pytest.raises(RecipeError, match="another process"):
            claim(tmp_path / "run")
        other.send_signal(signal.SIGKILL)
    assert unfinished(tmp_path) == [tmp_path / "run"]
    claim(tmp_path / "run").release()


def test_what_others_put_there_stays(tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (away / "model.safetensors").write_text("theirs")
    held = claim(tmp_path / "a" / "run")
    (held.path / "recipe.yaml").write_text("ours")
    held.files.append("recipe.yaml")
    (held.path / "stage-0").mkdir()
    (held.path / "stage-1").symlink_to(away)
    (held.path / "thesis.txt").write_text("theirs")
    held.undo()
    assert sorted(one.name for one in held.path.iterdir()) == ["stage-1", "thesis.txt"]
    assert (away / "model.safetensors").read_text() == "theirs"


def test_what_was_made_goes_and_what_was_there_stays(tmp_path: Path) -> None:
    claim(tmp_path / "a" / "b" / "run").undo()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine" / "lost+found").mkdir(parents=True)  # as a new volume has it
    claim(tmp_path / "mine").undo()
    assert [one.name for one in (tmp_path / "mine").iterdir()] == ["lost+found"]


def test_places_that_cannot_be_claimed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / MARK).symlink_to(tmp_path / "file")
    before = sorted(tmp_path.rglob("*"))
    for name in ("file", "nowhere", "full"):
        with pytest.raises(RecipeError, match="empty or not there"):
            claim(tmp_path / name)
    for name in ("file/run", "nowhere/run", "trap", "x" * 300, "a\0b"):
        with pytest.raises(FolderError):
            claim(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == ""


def test_a_link_to_an_empty_folder_is_that_folder(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    held = claim(tmp_path / "link")
    assert [one.name for one in (tmp_path / "there").iterdir()] == [MARK]
    held.release()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there").is_dir()
