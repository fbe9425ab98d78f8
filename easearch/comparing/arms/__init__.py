"""The arms of a comparison by name; a new one is one file and one line here."""

from easearch.comparing.arm import Arm
from easearch.comparing.arms.found import FOUND
from easearch.comparing.arms.grow import GROW, RANDOM, SHUFFLED
from easearch.comparing.arms.pruned import PRUNED
from easearch.comparing.arms.regrown import REGROWN
from easearch.comparing.arms.searched import SEARCHED
from easearch.comparing.arms.seed import SEED
from easearch.comparing.arms.sliced import SLICED
from easearch.comparing.arms.uniform import UNIFORM
from easearch.comparing.arms.uniform_grown import UNIFORM_GROWN

ARMS: dict[str, Arm] = {
    "grow": GROW,
    "uniform": UNIFORM,
    "uniform-grown": UNIFORM_GROWN,
    "found": FOUND,
    "seed": SEED,
    "shuffled": SHUFFLED,
    "random": RANDOM,
    "regrown": REGROWN,
    "sliced": SLICED,
    "pruned": PRUNED,
    "searched": SEARCHED,
}
"""Name -> arm, in the order of a table."""

__all__ = ["ARMS"]
