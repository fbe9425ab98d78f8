"""Small networks over tokens and points: mixers, attention, graphs of neighbours.

[Tolstikhin2021] MLP-Mixer: an all-MLP architecture for vision. NeurIPS 2021.
[Wang2019b] Dynamic graph CNN for learning on point clouds. ACM Transactions on Graphics 2019.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from families_plain import CLASSES
from torch import Tensor, nn

TOKENS = (6, 10)
POINTS = (3, 16)
NEIGHBOURS = 4


class Mixer(nn.Module):
    """[Tolstikhin2021] one block: a perceptron over positions, then one over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.norm, self.norm_two = nn.LayerNorm(8), nn.LayerNorm(8)
        self.tokens = nn.Sequential(nn.Linear(9, 11), nn.GELU(), nn.Linear(11, 9))
        self.channels = nn.Sequential(nn.Linear(8, 14), nn.GELU(), nn.Linear(14, 8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norm_two(x))
        return self.head(x.mean(dim=1))


class Attention(nn.Module):
    """One head, with the scale that its width had when it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(10, 8)
        self.query, self.key, self.value = nn.Linear(8, 6), nn.Linear(8, 6), nn.Linear(8, 7)
        self.out, self.head = nn.Linear(7, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.embed(x))
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = torch.softmax(torch.matmul(q, k.transpose(-2, -1)) * 6**-0.5, dim=-1)
        x = x + self.out(scores @ v)
        return self.head(x.mean(1))


class AttentionSDPA(Attention):
    """The same through torch's own function, which reads the scale from the width of the day."""

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.embed(x))
        y = F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        return self.head((x + self.out(y)).mean(1))


class AttentionQKV(nn.Module):
    """Two heads out of one linear layer, as timm writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.embed = 2, nn.Linear(10, 8)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        n, p, c = x.shape
        qkv = self.qkv(self.norm(x)).reshape(n, p, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = ((q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
        y = (scores @ v).transpose(1, 2).reshape(n, p, c)
        return self.head((x + self.out(y)).mean(1))


class MHA(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(10, 8)
        self.norm, self.norm_two = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(8, 14), nn.GELU(), nn.Linear(14, 8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.mlp(self.norm_two(x))
        return self.head(x.mean(dim=1))


def neighbours(x: Tensor) -> Tensor:
    """The nearest points of each in the space of `x` (N, C, P), itself among them: (N, P, k)."""
    squares = (x * x).sum(dim=1)
    products = torch.matmul(x.transpose(1, 2), x)
    distances = squares.unsqueeze(1) + squares.unsqueeze(2) - 2 * products
    return distances.topk(NEIGHBOURS, dim=-1, largest=False)[1]


def edges(x: Tensor, index: Tensor) -> Tensor:
    """(N, C, P) and (N, P, k) to (N, 2C, P, k): neighbour less centre, and centre."""
    n, c, p = x.size(0), x.size(1), x.size(2)
    flat = index.reshape(n, 1, p * NEIGHBOURS).expand(-1, c, -1)
    near = torch.gather(x, 2, flat).view(n, c, p, NEIGHBOURS)
    centre = x.unsqueeze(3).expand(-1, -1, -1, NEIGHBOURS)
    return torch.cat([near - centre, centre], dim=1)


def edges_arange(x: Tensor, index: Tensor) -> Tensor:
    """The same as [Wang2019b] published it: rows of one long table, by a running number."""
    n, c, p = x.size()
    base = torch.arange(0, n, device=x.device).view(-1, 1, 1) * p
    rows = x.transpose(2, 1).contiguous()
    near = rows.view(n * p, -1)[(index + base).view(-1), :].view(n, p, NEIGHBOURS, c)
    centre = rows.view(n, p, 1, c).repeat(1, 1, NEIGHBOURS, 1)
    return torch.cat((near - centre, centre), dim=3).permute(0, 3, 1, 2).contiguous()


def _edge_conv(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2 * inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
    )


class DGCNN(nn.Module):
    """[Wang2019b] with `dynamic`: neighbours in the space of the features below; without it, in
    that of the coordinates.
    """

    def __init__(self, dynamic: bool = False, edges: Callable[..., Tensor] = edges) -> None:
        super().__init__()
        self.dynamic, self.edges = dynamic, edges
        self.one, self.two, self.three = _edge_conv(3, 5), _edge_conv(5, 6), _edge_conv(6, 8)
        self.mix = nn.Sequential(
            nn.Conv1d(5 + 6 + 8, 12, 1, bias=False), nn.BatchNorm1d(12), nn.LeakyReLU(0.2)
        )
        self.hidden, self.head = nn.Linear(12, 9), nn.Linear(9, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        index = neighbours(x)
        one = self.one(self.edges(x, index)).max(dim=-1, keepdim=False)[0]
        index = neighbours(one) if self.dynamic else index
        two = self.two(self.edges(one, index)).max(dim=-1, keepdim=False)[0]
        index = neighbours(two) if self.dynamic else index
        three = self.three(self.edges(two, index)).max(dim=-1, keepdim=False)[0]
        x = self.mix(torch.cat((one, two, three), dim=1))
        return self.head(F.leaky_relu(self.hidden(x.amax(dim=-1)), 0.2))


POINTWISE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mixer": (Mixer, (3, 12, 12)),
    "attention": (Attention, TOKENS),
    "attention_sdpa": (AttentionSDPA, TOKENS),
    "attention_qkv": (AttentionQKV, TOKENS),
    "mha": (MHA, TOKENS),
    "dgcnn": (DGCNN, POINTS),
    "dgcnn_dynamic": (lambda: DGCNN(dynamic=True), POINTS),
    "dgcnn_arange": (lambda: DGCNN(edges=edges_arange), POINTS),
}
