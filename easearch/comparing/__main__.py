"""One process of a comparison: `python -m easearch.comparing OUT`, its entries on stdin."""

import sys
from pathlib import Path

from easearch.comparing.running import worker

if __name__ == "__main__":
    worker(Path(sys.argv[1]), sys.stdin.read())
