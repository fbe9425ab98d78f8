"""Layers to meet every kind: those of the spellings, and what mixes or combines."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from spelled import LINES, MAPS, VOLUMES, plain, weighted
from spellings import LAYERS, PADDED
from torch import nn

VECTORS = (2, 6)
Case = tuple[Callable[[], Any], tuple[int, ...]]


def _attending(**settings: Any) -> Callable[[], nn.Module]:
    make = partial(nn.MultiheadAttention, 6, 2, **settings)
    return weighted(make, lambda m, x: m(x, x, x, need_weights=False)[0])


def _first(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(0, 1)


EXAMPLES: defaultdict[str, list[Case]] = defaultdict(list)
for _case, (_size, _spelled) in (LAYERS | PADDED).items():
    EXAMPLES[_case.split(":")[0].split()[0]].append((_spelled[0], _size))
EXAMPLES.update(
    {
        "conv": [
            (partial(nn.Conv2d, 6, 5, (3, 2), (2, 1), (1, 0)), MAPS),
            (partial(nn.Conv2d, 6, 5, 3, padding=2, dilation=2, bias=False), MAPS),
            (partial(nn.Conv1d, 6, 5, 3, padding=1), LINES),
            (partial(nn.Conv3d, 6, 5, 2), VOLUMES),
            *EXAMPLES["conv"],
        ],
        "depthwise": [
            (partial(nn.Conv2d, 6, 6, 3, 2, 1, groups=6), MAPS),
            (partial(nn.Conv1d, 6, 6, 3, groups=6, bias=False), LINES),
            *EXAMPLES["depthwise"],
        ],
        "grouped": [
            (partial(nn.Conv2d, 6, 9, 3, 2, 1, groups=3), MAPS),
            (partial(nn.Conv1d, 6, 6, 3, groups=2, bias=False), LINES),
        ],
        "linear": [
            (partial(nn.Linear, 6, 5), VECTORS),
            (partial(nn.Linear, 6, 5, bias=False), VECTORS),
        ],
        "matmul": [
            (weighted(partial(nn.Linear, 5, 6, bias=False), lambda m, x: x @ m.weight), VECTORS),
            (
                weighted(partial(nn.Linear, 5, 6, bias=False), lambda m, x: x.matmul(m.weight)),
                (2, 4, 6),
            ),
        ],
        "multihead_attention": [
            (_attending(batch_first=True), (2, 5, 6)),
            (_attending(batch_first=True, bias=False, add_bias_kv=True), (2, 5, 6)),
            (
                weighted(
                    partial(nn.MultiheadAttention, 6, 3),
                    lambda m, x: _first(m(*[_first(x)] * 3, need_weights=False)[0]),
                ),
                (2, 5, 6),
            ),
        ],
        "flatten": [
            (nn.Flatten, MAPS),
            (plain(lambda x: torch.flatten(x, 1)), LINES),
            (plain(lambda x: x.flatten(1)), MAPS),
        ],
        "reshape": [(plain(lambda x: x.view(x.shape[0], 6, -1)), MAPS)],
        "permute": [(plain(lambda x: x.permute(0, 2, 3, 1)), MAPS)],
        "add": [
            (plain(lambda x: x + x.relu()), MAPS),
            (plain(lambda x: torch.add(x, x.relu())), VECTORS),
            (plain(lambda x: operator.iadd(x.relu(), x)), MAPS),
        ],
        "mul": [(plain(lambda x: x * x.sigmoid()), MAPS)],
        "combine": [
            *EXAMPLES["combine"],
            (plain(lambda x: torch.where(x > 0, x, 0.1 * x)), MAPS),
            (plain(lambda x: x.masked_fill(x < 0, 0.5)), LINES),
        ],
        "positions": [*EXAMPLES["positions"], (plain(lambda x: F.normalize(x, dim=2)), LINES)],
        "concat": [(plain(lambda x: torch.cat([x, x.relu()], 1)), MAPS)],
        "stack": [(plain(lambda x: torch.stack([x, x.relu()], 2)), MAPS)],
        "split": [(plain(lambda x: x.chunk(2, 1)[1]), MAPS)],
        "channel_shuffle": [(partial(nn.ChannelShuffle, 2), MAPS)],
        "pixel_shuffle": [(partial(nn.PixelShuffle, 2), (2, 8, 3, 3))],
        "select": [(plain(lambda x: x[:, :, 1:]), MAPS)],
        "expand": [(plain(lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 4, 3)), MAPS)],
    }
)
