"""The command line: `easearch VERB`, a file a verb. Here the process is made ready."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]

# On busy cores, threads of OpenMP that spin while they wait make torch 10 to 15 times slower. The
# library reads these once, when torch is loaded: so here, before any verb imports it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with these words (default: the process's own); return the exit status.

    0: done, 1: refused or failed, 2: the command was not understood, 130: interrupted.
    """
    from easearch.cli.app import app
    from easearch.cli.door import run

    return run(app, list(sys.argv[1:] if arguments is None else arguments))
