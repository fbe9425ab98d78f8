"""MobileNetV1: a stem, then blocks of a depthwise and a pointwise convolution.

[Howard2017] A. Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications, arXiv:1704.04861, 2017, Table 1.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from easearch.models.arguments import (
    Layout,
    Stage,
    check_ranges,
    read_layout,
    scaled,
    scaled_stages,
)
from easearch.models.blocks import ConvNormAct, classifier, depthwise, initialise

LAYOUTS: dict[str, tuple[Stage, ...]] = {
    "tiny": (Stage(64, 1, 1), Stage(128, 2, 2), Stage(256, 2, 2)),
    "imagenet": (
        Stage(64, 1, 1),
        Stage(128, 2, 2),
        Stage(256, 2, 2),
        Stage(512, 6, 2),
        Stage(1024, 2, 2),
    ),
}
"""`imagenet` is the paper's list, for 224 pixels; `tiny` is its beginning, for 28 to 96 pixels."""


def mobilenet_v1(
    *,
    classes: int = 10,
    channels: int = 1,
    width: float = 1.0,
    depth: float = 1.0,
    layout: Layout = "tiny",
    stem_channels: int = 32,
    stem_stride: int = 2,
    activation: str = "silu",
    dropout: float = 0.0,
    divisor: int = 8,
) -> nn.Module:
    """Build a MobileNetV1: (N, `channels`, H, W) -> (N, `classes`) logits, for any H and W.

    `width` multiplies the channels of stem and stages, rounded to `divisor`; `depth` multiplies the
    repeats of every stage, at least 1. `layout` is a name in `LAYOUTS` or `[[channels, repeats,
    stride], ...]`. The paper's network: `layout="imagenet", activation="relu", channels=3,
    classes=1000`. Raises `ValueError` for an argument that makes no network.
    """
    check_ranges(
        width=width,
        depth=depth,
        dropout=dropout,
        classes=classes,
        channels=channels,
        stem_channels=stem_channels,
        stem_stride=stem_stride,
        divisor=divisor,
    )
    now = scaled(stem_channels, width, divisor)
    stem = ConvNormAct(channels, now, 3, stride=stem_stride, activation=activation)
    blocks: list[nn.Module] = []
    for stage in scaled_stages(read_layout(layout, LAYOUTS), width, depth, divisor):
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            blocks.append(separable(now, stage.channels, stride=stride, activation=activation))
            now = stage.channels
    parts = [("stem", stem), ("blocks", nn.Sequential(*blocks)), *classifier(now, classes, dropout)]
    model = nn.Sequential(OrderedDict(parts))
    initialise(model)
    return model


def separable(in_channels: int, out_channels: int, *, stride: int, activation: str) -> nn.Module:
    """One block, `depthwise` then `pointwise`: (N, in, H, W) -> (N, out, H / stride, ...)."""
    parts = {
        "depthwise": depthwise(in_channels, stride=stride, activation=activation),
        "pointwise": ConvNormAct(in_channels, out_channels, 1, activation=activation),
    }
    return nn.Sequential(OrderedDict(parts))
