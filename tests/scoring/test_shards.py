"""Data parallel: ranks that score a shard each hold the same candidates, bit for bit.

They are those that one process finds on all the samples.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import easearch as ea

RANKS = 2
CASES = ("unit", "unit-signed", "fast", "neurons", "firefly")
WORKER = """
import json, sys
import torch, torch.distributed as dist
sys.path.insert(0, {tests!r})
from test_shards import scored
rank, folder, case, spoiled = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
torch.set_num_threads(1)
meeting = f"file://{{folder}}/meet-{{case}}-{{spoiled}}"
dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size={ranks})
try:
    told = scored(case, rank, spoiled)
except Exception as error:
    told = {{"error": f"{{type(error).__name__}}: {{error}}"}}
print(json.dumps(told))
dist.destroy_process_group()
"""


def scored(case: str, rank: int | None, spoiled: str = "") -> dict[str, object]:
    """What one rank finds (None: a process alone, on all), with a digest of all its numbers."""
    from networks import batches, sample, trained

    model = trained("mobilenet_v1")
    # Micro-batches of one size, dealt out so that every process parts them alike.
    data = batches(8)
    own = data
    if rank is not None:
        own = [data[k] for k in range(8) if k % 4 // 2 == rank]
    if spoiled and rank == 1:
        own = [(x * float(spoiled), y) for x, y in own]
    found = ea.score(model, ea.trace(model, sample()), own, case)
    digest = hashlib.sha256()
    rows = []
    for candidate in found:
        move = candidate.move
        rows.append([move.group, [*move.channels], candidate.gain])
        digest.update(repr([rows[-1], candidate.interval]).encode())
        for offset in getattr(move, "offsets", ()) or (getattr(move, "into", {}),):
            for key, tensor in sorted(offset.items()):
                digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
    return {
        "digest": digest.hexdigest(),
        "rows": rows,
        "images": found.images,  # type: ignore[attr-defined]
        "held_out": found.held_out,  # type: ignore[attr-defined]
    }


def ranks(folder: Path, case: str, spoiled: str = "") -> list[dict[str, object]]:
    """Both ranks' words."""
    code = WORKER.format(tests=str(Path(__file__).parent), ranks=RANKS)
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, str(rank), str(folder), case, spoiled],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        for rank in range(RANKS)
    ]
    return [json.loads(one.communicate(timeout=120)[0].splitlines()[-1]) for one in started]


@pytest.mark.parametrize("case", CASES)
def test_all_ranks_hold_what_one_process_finds(tmp_path: Path, case: str) -> None:
    one, other = ranks(tmp_path, case)
    assert "error" not in one, one
    assert one == other
    alone = scored(case, None)
    assert one["images"] == alone["images"] == 128
    if case in ("fast", "firefly"):  # steps are a batch each: another order of them ends elsewhere
        return
    found, expected = ([gain for _, _, gain in told["rows"]] for told in (one, alone))  # type: ignore
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-9)
    assert one["held_out"] == pytest.approx(alone["held_out"], rel=0.02)


@pytest.mark.parametrize("case", ["unit", "fast"])
def test_one_ranks_failure_is_everybodys(tmp_path: Path, case: str) -> None:
    """No rank waits for one that has given up."""
    told = [str(one["error"]) for one in ranks(tmp_path, case, "nan")]
    assert "failed on 1 other rank" in told[0]
    assert "loss of a batch is nan" in told[1]


def test_without_a_process_group_nothing_is_exchanged() -> None:
    from easearch.scoring.samples import shards

    tensor = torch.ones(3)
    assert shards.alone()
    assert shards.summed([tensor])[0] is tensor
