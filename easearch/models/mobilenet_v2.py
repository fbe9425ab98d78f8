"""MobileNetV2: inverted residuals with linear bottlenecks, skips only where they are the identity.

[Sandler2018] M. Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018,
Table 2.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

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
    "tiny": (Stage(16, 1, 1), Stage(24, 2, 2), Stage(32, 3, 2)),
    "imagenet": (
        Stage(16, 1, 1),
        Stage(24, 2, 2),
        Stage(32, 3, 2),
        Stage(64, 4, 2),
        Stage(96, 3, 1),
        Stage(160, 3, 2),
        Stage(320, 1, 1),
    ),
}
"""`imagenet` is the paper's list, for 224 pixels; `tiny` is its beginning, for 28 to 96 pixels."""


class InvertedResidual(nn.Module):
    """Widen (`expand`), filter (`depthwise`), narrow linearly (`project`), and add the input.

    (N, in, H, W) -> (N, out, H / stride, W / stride). The input is added only where stride is 1 and
    `in` equals `out`; `expand` is left out where `expansion` is 1.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, expansion: int, activation: str
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        parts: list[tuple[str, nn.Module]] = [
            ("depthwise", depthwise(hidden, stride=stride, activation=activation)),
            ("project", ConvNormAct(hidden, out_channels, 1, activation=None)),
        ]
        if expansion > 1:
            expand = ConvNormAct(in_channels, hidden, 1, activation=activation)
            parts.insert(0, ("expand", expand))
        self.branch = nn.Sequential(OrderedDict(parts))
        self.skip = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to (N, in, H, W)."""
        return x + self.branch(x) if self.skip else self.branch(x)  # type: ignore[no-any-return]


def mobilenet_v2(
    *,
    classes: int = 10,
    channels: int = 1,
    width: float = 1.0,
    depth: float = 1.0,
    layout: Layout = "tiny",
    expansion: int = 6,
    stem_channels: int = 32,
    stem_stride: int = 2,
    last_channels: int | None = None,
    activation: str = "silu",
    dropout: float = 0.0,
    divisor: int = 8,
) -> nn.Module:
    """Build a MobileNetV2: (N, `channels`, H, W) -> (N, `classes`) logits, for any H and W.

    `width` multiplies the channels of stem and stages, rounded to `divisor`; `depth` multiplies the
    repeats of every stage, at least 1. `layout` is a name in `LAYOUTS` or `[[channels, repeats,
    stride], ...]`; the very first block is not expanded. `last_channels`, taken as it is, adds a
    1x1 convolution before the pooling. The paper's network: `layout="imagenet", last_channels=1280,
    activation="relu6", channels=3, classes=1000`. Raises `ValueError` for an argument that makes no
    network.
    """
    check_ranges(
        width=width,
        depth=depth,
        dropout=dropout,
        classes=classes,
        channels=channels,
        expansion=expansion,
        stem_channels=stem_channels,
        stem_stride=stem_stride,
        last_channels=1 if last_channels is None else last_channels,
        divisor=divisor,
    )
    now = scaled(stem_channels, width, divisor)
    stem = ConvNormAct(channels, now, 3, stride=stem_stride, activation=activation)
    stages = scaled_stages(read_layout(layout, LAYOUTS), width, depth, divisor)
    blocks = _blocks(now, stages, expansion, activation)
    parts: list[tuple[str, nn.Module]] = [("stem", stem), ("blocks", blocks)]
    now = stages[-1].channels
    if last_channels is not None:
        parts.append(("last", ConvNormAct(now, last_channels, 1, activation=activation)))
        now = last_channels
    model = nn.Sequential(OrderedDict([*parts, *classifier(now, classes, dropout)]))
    initialise(model)
    return model


def _blocks(now: int, stages: list[Stage], expansion: int, activation: str) -> nn.Sequential:
    blocks = nn.Sequential()
    for stage in stages:
        for repeat in range(stage.repeats):
            block = InvertedResidual(
                now,
                stage.channels,
                stride=stage.stride if repeat == 0 else 1,
                expansion=expansion if len(blocks) else 1,
                activation=activation,
            )
            blocks.append(block)
            now = stage.channels
    return blocks
