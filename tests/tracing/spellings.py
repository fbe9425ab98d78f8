"""Ways to write the same layer, as a module, a function, a method: all must give one graph."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from spelled import LINES, MAPS, VOLUMES, Spelling, activations, plain, weighted
from torch import nn


def _norms() -> dict[str, tuple[tuple[int, ...], list[Spelling]]]:
    batch, line = partial(nn.BatchNorm2d, 6), partial(nn.BatchNorm1d, 6)
    own = partial(nn.InstanceNorm2d, 6, affine=True)
    tracked = partial(nn.InstanceNorm2d, 6, track_running_stats=True)
    layer, rms = partial(nn.LayerNorm, (8, 7)), partial(nn.RMSNorm, 7)
    whole = partial(nn.LayerNorm, (6, 8, 7), bias=False)
    return {
        "batch_norm": (
            MAPS,
            [
                batch,
                weighted(
                    batch,
                    lambda m, x: F.batch_norm(x, m.running_mean, m.running_var, m.weight, m.bias),
                ),
            ],
        ),
        "batch_norm of lines": (LINES, [line]),
        "instance_norm": (
            MAPS,
            [own, weighted(own, lambda m, x: F.instance_norm(x, weight=m.weight, bias=m.bias))],
        ),
        "instance_norm without parameters": (VOLUMES, [partial(nn.InstanceNorm3d, 6)]),
        "instance_norm with statistics": (
            MAPS,
            [
                tracked,
                weighted(
                    tracked,
                    lambda m, x: F.instance_norm(
                        x, m.running_mean, m.running_var, use_input_stats=False
                    ),
                ),
            ],
        ),
        "group_norm": (MAPS, [partial(nn.GroupNorm, 3, 6)]),
        "group_norm of one group": (
            MAPS,
            [
                partial(nn.GroupNorm, 1, 6, affine=False),
                plain(lambda x: F.group_norm(x, 1)),
                plain(lambda x: torch.group_norm(x, num_groups=1)),
            ],
        ),
        "layer_norm of positions": (
            MAPS,
            [layer, weighted(layer, lambda m, x: F.layer_norm(x, (8, 7), m.weight, m.bias))],
        ),
        "layer_norm of channels": (
            MAPS,
            [whole, weighted(whole, lambda m, x: F.layer_norm(x, x.shape[1:], m.weight))],
        ),
        "rms_norm": (MAPS, [rms, weighted(rms, lambda m, x: F.rms_norm(x, (7,), m.weight))]),
        "prelu": (
            MAPS,
            [
                partial(nn.PReLU, 6),
                weighted(partial(nn.PReLU, 6), lambda m, x: F.prelu(x, m.weight)),
                weighted(partial(nn.PReLU, 6), lambda m, x: torch.prelu(x, weight=m.weight)),
            ],
        ),
        "prelu of one slope": (
            LINES,
            [nn.PReLU, weighted(nn.PReLU, lambda m, x: F.prelu(x, m.weight))],
        ),
    }


def _pools() -> dict[str, tuple[tuple[int, ...], list[Spelling]]]:
    return {
        "pool: max": (
            MAPS,
            [
                partial(nn.MaxPool2d, 3, 2, 1, ceil_mode=True),
                plain(lambda x: F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)),
                plain(lambda x: torch.max_pool2d(x, (3, 3), (2, 2), 1, ceil_mode=True)),
            ],
        ),
        "pool: dilated max": (LINES, [partial(nn.MaxPool1d, 2, 1, 0, 2)]),
        "pool: average": (
            MAPS,
            [
                partial(nn.AvgPool2d, (3, 2), 1, 1, count_include_pad=False),
                plain(lambda x: F.avg_pool2d(x, (3, 2), 1, 1, count_include_pad=False)),
            ],
        ),
        "pool: over a whole map": (
            MAPS,
            [partial(nn.AvgPool2d, (8, 7)), plain(lambda x: F.avg_pool2d(x, x.size()[2:]))],
        ),
        "pool: lines": (LINES, [partial(nn.AvgPool1d, 3), plain(lambda x: F.avg_pool1d(x, 3))]),
        "pool: volumes": (
            VOLUMES,
            [partial(nn.MaxPool3d, 2), plain(lambda x: F.max_pool3d(x, 2, 2))],
        ),
        "adaptive_pool: average": (
            MAPS,
            [
                partial(nn.AdaptiveAvgPool2d, (4, 3)),
                plain(lambda x: F.adaptive_avg_pool2d(x, (4, 3))),
                plain(lambda x: F.interpolate(x, (4, 3), mode="area")),
            ],
        ),
        "adaptive_pool: max": (
            MAPS,
            [partial(nn.AdaptiveMaxPool2d, 2), plain(lambda x: F.adaptive_max_pool2d(x, 2))],
        ),
        "adaptive_pool: lines": (
            LINES,
            [partial(nn.AdaptiveAvgPool1d, 1), plain(lambda x: F.adaptive_avg_pool1d(x, 1))],
        ),
        "global_pool": (
            MAPS,
            [
                partial(nn.AdaptiveAvgPool2d, 1),
                plain(lambda x: F.adaptive_avg_pool2d(x, (1, 1))),
                plain(lambda x: x.mean((2, 3), keepdim=True)),
                plain(lambda x: torch.mean(x, dim=(-1, -2), keepdim=True)),
            ],
        ),
        "global_pool without axes": (
            MAPS,
            [plain(lambda x: x.mean([2, 3])), plain(lambda x: torch.mean(x, (-2, -1)))],
        ),
        "reduce: mean": (LINES, [plain(lambda x: x.mean(-1)), plain(lambda x: torch.mean(x, 2))]),
        "reduce: sum": (
            MAPS,
            [plain(lambda x: x.sum(2, keepdim=True)), plain(lambda x: torch.sum(x, -2, True))],
        ),
        "reduce: amax": (
            LINES,
            [
                *(plain(lambda x: x.amax(2)), plain(lambda x: torch.amax(x, dim=-1))),
                *(plain(lambda x: x.max(2)[0]), plain(lambda x: torch.max(x, dim=2)[0])),
            ],
        ),
        "reduce: amin": (LINES, [plain(lambda x: x.amin(2)), plain(lambda x: torch.min(x, 2)[0])]),
        "reduce: std": (
            MAPS,
            [
                plain(lambda x: x.std((2, 3))),
                plain(lambda x: torch.std(x, dim=(3, 2))),
                plain(lambda x: x.std((2, 3), correction=1)),
            ],
        ),
        "reduce: var": (MAPS, [plain(lambda x: x.var(2)), plain(lambda x: torch.var(x, 2))]),
        "reduce: norm": (
            LINES,
            [
                plain(lambda x: x.norm(dim=2)),
                plain(lambda x: x.norm(p=2, dim=2)),
                plain(lambda x: torch.linalg.vector_norm(x, dim=2)),
            ],
        ),
    }


def _positions() -> dict[str, tuple[tuple[int, ...], list[Spelling]]]:
    deep = partial(nn.ConvTranspose2d, 6, 5, 3, 2, 1, output_padding=1)
    own = partial(nn.ConvTranspose1d, 6, 6, 3, groups=3, bias=False)
    return {
        "transposed": (
            MAPS,
            [
                deep,
                weighted(deep, lambda m, x: F.conv_transpose2d(x, m.weight, m.bias, 2, 1, 1)),
                weighted(
                    partial(nn.ConvTranspose2d, 6, 5, 3, 2, 1),
                    lambda m, x: m(x, output_size=(2, 5, 16, 14)),
                ),
            ],
        ),
        "transposed of volumes": (VOLUMES, [partial(nn.ConvTranspose3d, 6, 5, 2, dilation=2)]),
        "transposed_depthwise": (LINES, [own]),
        "resample: nearest": (
            MAPS,
            [
                partial(nn.Upsample, scale_factor=2),
                partial(nn.UpsamplingNearest2d, scale_factor=2),
                plain(lambda x: F.interpolate(x, scale_factor=2)),
                plain(lambda x: F.interpolate(x, size=(2 * x.shape[2], 2 * x.shape[3]))),
            ],
        ),
        "resample: linear": (
            MAPS,
            [
                partial(nn.Upsample, size=(9, 5), mode="bilinear", align_corners=True),
                partial(nn.UpsamplingBilinear2d, size=(9, 5)),
                plain(lambda x: F.interpolate(x, (9, 5), mode="bilinear", align_corners=True)),
            ],
        ),
        "resample: cubic": (MAPS, [plain(lambda x: F.interpolate(x, (9, 5), mode="bicubic"))]),
        "resample: smoothed": (
            MAPS,
            [plain(lambda x: F.interpolate(x, (4, 3), mode="bilinear", antialias=True))],
        ),
        "resample: exact": (
            LINES,
            [plain(lambda x: F.interpolate(x, scale_factor=3, mode="nearest-exact"))],
        ),
        "pad: zeros": (
            MAPS,
            [
                *(partial(nn.ZeroPad2d, (1, 2, 0, 3)), partial(nn.ConstantPad2d, (1, 2, 0, 3), 0)),
                plain(lambda x: F.pad(x, (1, 2, 0, 3))),
                plain(lambda x: F.pad(x, (1, 2, 0, 3, 0, 0))),
                plain(lambda x: F.pad(x, [1, x.shape[2] - 6, 0, 3])),
            ],
        ),
        "pad: cut": (LINES, [plain(lambda x: F.pad(x, (-1, -2)))]),
        "pad: reflected": (
            LINES,
            [partial(nn.ReflectionPad1d, 2), plain(lambda x: F.pad(x, (2, 2), mode="reflect"))],
        ),
        "pad: repeated": (
            MAPS,
            [partial(nn.ReplicationPad2d, 1), plain(lambda x: F.pad(x, (1,) * 4, "replicate"))],
        ),
        "pad: around": (MAPS, [partial(nn.CircularPad2d, 1)]),
    }


def _rest() -> dict[str, tuple[tuple[int, ...], list[Spelling]]]:
    return {
        "softmax of positions": (
            MAPS,
            [
                *(partial(nn.Softmax, -1), plain(lambda x: F.softmax(x, dim=3))),
                *(plain(lambda x: x.softmax(-1)), plain(lambda x: torch.softmax(x, 3))),
            ],
        ),
        "softmax of channels": (
            MAPS,
            [nn.Softmax2d, partial(nn.Softmax, 1), plain(lambda x: F.softmax(x, 1))],
        ),
        "softmax with logarithm": (
            LINES,
            [
                *(partial(nn.LogSoftmax, 2), plain(lambda x: F.log_softmax(x, -1))),
                *(plain(lambda x: x.log_softmax(2)), plain(lambda x: torch.log_softmax(x, 2))),
            ],
        ),
        "dot_product_attention": (
            MAPS,
            [plain(lambda x: F.scaled_dot_product_attention(x, x, x))],
        ),
        "glu of channels": (MAPS, [partial(nn.GLU, 1), plain(lambda x: F.glu(x, dim=1))]),
        "glu of positions": ((2, 6, 8), [nn.GLU, plain(F.glu)]),
        "product": (
            (2, 6, 6),
            [
                *(plain(lambda x: x @ x), plain(lambda x: torch.matmul(x, x))),
                *(plain(lambda x: torch.bmm(x, x)), plain(lambda x: x.matmul(x))),
            ],
        ),
        "product by letters": (
            MAPS,
            [
                plain(lambda x: torch.einsum("nchw,nchv->nwv", x, x)),
                plain(lambda x: torch.einsum("nchw, nchv -> nwv", [x, x])),
            ],
        ),
        "identity": (
            MAPS,
            [
                *(partial(nn.Dropout, 0.3), nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout),
                *(plain(lambda x: F.dropout(x, 0.5, False)), plain(lambda x: x.clone())),
                *(plain(lambda x: x.detach()), plain(lambda x: x.to(x.dtype))),
                plain(lambda x: F.dropout2d(x, 0.5, training=False)),
            ],
        ),
    }


def _several() -> dict[str, tuple[tuple[int, ...], list[Spelling]]]:
    return {
        "combine: largest": (
            MAPS,
            [
                *(plain(lambda x: torch.maximum(x, x)), plain(lambda x: torch.max(x, x))),
                plain(lambda x: x.maximum(x)),
            ],
        ),
        "combine: smallest": (
            LINES,
            [plain(lambda x: torch.minimum(x, x)), plain(lambda x: x.min(x))],
        ),
        "combine: between": (
            MAPS,
            [
                *(plain(lambda x: torch.lerp(x, x, 0.25)), plain(lambda x: x.lerp(x, 0.25))),
                plain(lambda x: x.lerp(end=x, weight=0.25)),
            ],
        ),
        "combine: product added": (
            MAPS,
            [plain(lambda x: torch.addcmul(x, x, x)), plain(lambda x: x.addcmul(x, x))],
        ),
        "combine: bounds": (
            MAPS,
            [plain(lambda x: torch.clamp(x, x, x)), plain(lambda x: x.clamp(min=x, max=x))],
        ),
        "combine: comparison": (
            LINES,
            [
                *(plain(lambda x: (x > 0.5).float()), plain(lambda x: x.gt(0.5).float())),
                plain(lambda x: torch.gt(x, 0.5).float()),
            ],
        ),
        "combine: sign": (LINES, [plain(torch.sign), plain(lambda x: x.sign())]),
        "expand_as": (MAPS, [plain(lambda x: x.expand_as(x))]),
        "view_as": (MAPS, [plain(lambda x: x.view_as(x)), plain(lambda x: x.view_as(other=x))]),
        "positions: roll": (
            MAPS,
            [
                plain(lambda x: x.roll((1, -2), (3, 2))),
                plain(lambda x: torch.roll(x, shifts=(1, -2), dims=(-1, 2))),
            ],
        ),
        "positions: flip": (
            MAPS,
            [
                *(plain(lambda x: x.flip(2, 3)), plain(lambda x: x.flip([2, 3]))),
                plain(lambda x: torch.flip(x, (2, -1))),
            ],
        ),
        "positions: cumsum": (
            LINES,
            [plain(lambda x: x.cumsum(2)), plain(lambda x: torch.cumsum(x, dim=-1))],
        ),
        "positions: sort": (
            LINES,
            [plain(lambda x: x.sort(2)[0]), plain(lambda x: torch.sort(x, dim=-1)[0])],
        ),
        "positions: topk": (
            MAPS,
            [plain(lambda x: x.topk(3, 2)[0]), plain(lambda x: torch.topk(x, 3, dim=2).values)],
        ),
        "sample": (
            MAPS,
            [
                plain(
                    lambda x: F.grid_sample(
                        x, torch.zeros(x.shape[0], 4, 3, 2, dtype=x.dtype), align_corners=False
                    )
                )
            ],
        ),
        "fill": (LINES, [plain(lambda x: torch.zeros_like(x))]),
    }


LAYERS = {**activations(), **_norms(), **_pools(), **_positions(), **_rest(), **_several()}
"""What is written -> the input's size, and the ways to write it."""

PADDED: dict[str, tuple[tuple[int, ...], list[Spelling]]] = {
    "conv: reflected": (
        MAPS,
        [partial(nn.Conv2d, 6, 5, (3, 2), padding=(1, 2), padding_mode="reflect")],
    ),
    "conv: around": (
        VOLUMES,
        [partial(nn.Conv3d, 6, 5, 3, padding=1, padding_mode="circular")],
    ),
    "depthwise: repeated": (
        LINES,
        [partial(nn.Conv1d, 6, 6, 3, padding=1, groups=6, padding_mode="replicate")],
    ),
}
"""What torch.export takes in two."""
