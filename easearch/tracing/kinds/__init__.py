"""The kinds of layers, a file each; here they are made known, the particular before the general."""

from easearch.tracing.kinds.activation import Activation
from easearch.tracing.kinds.add import Add, Mul
from easearch.tracing.kinds.attention import DotProductAttention, MultiheadAttention
from easearch.tracing.kinds.combine import Combine
from easearch.tracing.kinds.concat import Concat, Stack
from easearch.tracing.kinds.constant import Constant
from easearch.tracing.kinds.conv import Conv
from easearch.tracing.kinds.depthwise import Depthwise
from easearch.tracing.kinds.embedding import Embedding
from easearch.tracing.kinds.glu import GLU
from easearch.tracing.kinds.group_norm import GroupNorm
from easearch.tracing.kinds.grouped import Grouped
from easearch.tracing.kinds.identity import Identity
from easearch.tracing.kinds.instance_norm import InstanceNorm
from easearch.tracing.kinds.layer_norm import LayerNorm, RMSNorm
from easearch.tracing.kinds.like import ExpandAs, Fill, ViewAs
from easearch.tracing.kinds.linear import Linear, Matmul
from easearch.tracing.kinds.norm import BatchNorm
from easearch.tracing.kinds.padding import Pad
from easearch.tracing.kinds.permute import Permute
from easearch.tracing.kinds.pooling import AdaptivePool, GlobalPool, Pool
from easearch.tracing.kinds.positions import Positions, Sample
from easearch.tracing.kinds.prelu import PReLU
from easearch.tracing.kinds.product import Product
from easearch.tracing.kinds.recurrent import Recurrent
from easearch.tracing.kinds.reduce import Reduce
from easearch.tracing.kinds.resample import Resample
from easearch.tracing.kinds.reshape import Flatten, Reshape
from easearch.tracing.kinds.select import Expand, Select
from easearch.tracing.kinds.shuffle import ChannelShuffle, PixelShuffle
from easearch.tracing.kinds.softmax import Softmax
from easearch.tracing.kinds.split import Split
from easearch.tracing.kinds.transposed import Transposed, TransposedDepthwise
from easearch.tracing.kinds.unused import Unused
from easearch.tracing.registry import register

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
    Recurrent(),
    Embedding(),
    Product(),
    Add(),
    Mul(),
    Combine(),
    ExpandAs(),
    Concat(),
    Stack(),
    Split(),
    Flatten(),
    Reshape(),
    ViewAs(),
    Positions(),
    Sample(),
    Fill(),
    Permute(),
    ChannelShuffle(),
    PixelShuffle(),
    Select(),
    Expand(),
    Identity(),
    Constant(),
    Unused(),
):
    register(_kind)
