"""Model and sample in, Graph out: one file a kind of layer, and the walk that applies them."""

from easearch.tracing.activation import Activation
from easearch.tracing.add import Add, Mul
from easearch.tracing.attention import DotProductAttention, MultiheadAttention
from easearch.tracing.call import Call
from easearch.tracing.concat import Concat, Stack
from easearch.tracing.constant import Constant
from easearch.tracing.conv import Conv
from easearch.tracing.depthwise import Depthwise
from easearch.tracing.glu import GLU
from easearch.tracing.group_norm import GroupNorm
from easearch.tracing.grouped import Grouped
from easearch.tracing.identity import Identity
from easearch.tracing.instance_norm import InstanceNorm
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.layer_norm import LayerNorm, RMSNorm
from easearch.tracing.linear import Linear, Matmul
from easearch.tracing.norm import BatchNorm
from easearch.tracing.padding import Pad
from easearch.tracing.permute import Permute
from easearch.tracing.pooling import AdaptivePool, GlobalPool, Pool
from easearch.tracing.prelu import PReLU
from easearch.tracing.product import Product
from easearch.tracing.reduce import Reduce
from easearch.tracing.registry import KINDS, register
from easearch.tracing.resample import Resample
from easearch.tracing.reshape import Flatten, Reshape
from easearch.tracing.select import Expand, Select
from easearch.tracing.shuffle import ChannelShuffle, PixelShuffle
from easearch.tracing.softmax import Softmax
from easearch.tracing.split import Split
from easearch.tracing.transposed import Transposed, TransposedDepthwise
from easearch.tracing.walk import trace

for _kind in (
    Conv(),
    Depthwise(),
    Grouped(),
    Transposed(),
    TransposedDepthwise(),
    Linear(),
    Matmul(),
    BatchNorm(),
    InstanceNorm(),
    GroupNorm(),
    LayerNorm(),
    RMSNorm(),
    Activation(),
    PReLU(),
    GLU(),
    GlobalPool(),
    AdaptivePool(),
    Pool(),
    Reduce(),
    Resample(),
    Pad(),
    Softmax(),
    DotProductAttention(),
    MultiheadAttention(),
    Product(),
    Add(),
    Mul(),
    Concat(),
    Stack(),
    Split(),
    Flatten(),
    Reshape(),
    Permute(),
    ChannelShuffle(),
    PixelShuffle(),
    Select(),
    Expand(),
    Identity(),
    Constant(),
):
    register(_kind)

__all__ = ["KINDS", "Call", "Kind", "Op", "Role", "register", "trace"]
