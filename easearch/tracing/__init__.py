"""Model and sample in, Graph out: one file a kind of layer, and the walk that applies them."""

from easearch.tracing.activation import Activation
from easearch.tracing.add import Add
from easearch.tracing.conv import Conv
from easearch.tracing.depthwise import Depthwise
from easearch.tracing.flatten import Flatten
from easearch.tracing.identity import Identity
from easearch.tracing.kind import Call, Kind, Op, Role
from easearch.tracing.linear import Linear
from easearch.tracing.norm import BatchNorm
from easearch.tracing.pooling import GlobalPool, Pool
from easearch.tracing.registry import KINDS, register
from easearch.tracing.walk import trace

for _kind in (
    Conv(),
    Depthwise(),
    Linear(),
    BatchNorm(),
    Activation(),
    GlobalPool(),
    Pool(),
    Add(),
    Flatten(),
    Identity(),
):
    register(_kind)

__all__ = ["KINDS", "Call", "Kind", "Op", "Role", "register", "trace"]
