"""`python -m easearch` is `easearch`."""

import sys

from easearch.cli import main

if __name__ == "__main__":
    sys.exit(main())
