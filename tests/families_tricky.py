"""Small networks whose channels take a way that is easily followed wrongly: cut, shuffled, folded
into positions, shared by two layers. `torch.fx` follows all but `needs_export`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from families_plain import CLASSES, IMAGE, conv, pooled
from torch import Tensor, nn


class GLU(nn.Module):
    """Half of the channels gates the other half."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.mix, self.head = nn.Conv2d(3, 14, 3, padding=1), conv(7, 9), pooled(9)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.wide(x).chunk(2, dim=1)
        return self.head(self.mix(a * torch.sigmoid(b)))


class SplitSizes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = conv(3, 11), conv(4, 6), conv(7, 9)
        self.head = pooled(15)

    def forward(self, x: Tensor) -> Tensor:
        a, b = torch.split(self.stem(x), [4, 7], dim=1)
        return self.head(torch.cat([self.left(a), self.right(b)], dim=1))


class CleanShuffle(nn.Module):
    """ShuffleNet's shuffle with sizes read from the tensor, before a dense convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = conv(3, 5), conv(5, 7), conv(5, 7, 1)
        self.mix, self.head = conv(14, 9, 1), pooled(9)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([self.left(x), self.right(x)], dim=1)
        n, c, h, w = x.size()
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.head(self.mix(x))


def _nn_channel_shuffle() -> nn.Module:
    """ShuffleNet's first form: grouped, shuffled, dense."""
    return nn.Sequential(
        conv(3, 9), conv(9, 12, 1, groups=3), nn.ChannelShuffle(3), conv(12, 7), pooled(7)
    )


def _pixel_shuffle() -> nn.Module:
    return nn.Sequential(conv(3, 12, stride=2), nn.PixelShuffle(2), conv(3, 7), pooled(7))


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide, self.narrow = conv(3, 7), nn.Linear(7, 18), nn.Linear(18, 9)
        self.head = nn.Linear(9, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).permute(0, 2, 3, 1)
        x = self.narrow(F.gelu(self.wide(x))).permute(0, 3, 1, 2)
        return self.head(x.mean([2, 3]))


class FlattenLast(nn.Module):
    """Channels come last in the vector: a channel's columns are not neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = conv(3, 7, stride=2), nn.Linear(4 * 4 * 7, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x).permute(0, 2, 3, 1).flatten(1))


class ViewDynamic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.hidden = conv(3, 7, stride=2), nn.Linear(7 * 4 * 4, 9)
        self.head = nn.Linear(9, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x.view(x.size(0), -1)
        return self.head(torch.tanh(self.hidden(x)))


class ViewLiteral(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.hidden = conv(3, 6, stride=2), nn.Linear(96, 9)
        self.head = nn.Linear(9, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).view(-1, 96)
        return self.head(torch.tanh(self.hidden(x)))


class SharedConv(nn.Module):
    """One module, called twice on a residual stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch, self.head = conv(3, 8), conv(8, 8), pooled(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.branch(x)
        x = x + self.branch(x)
        return self.head(x)


class Twice(nn.Module):
    """One block for both halves of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(conv(3, 6), conv(6, 9, stride=2))
        self.mix, self.head = conv(18, 7), pooled(7)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = self.block(x[:, :, :4]), self.block(x[:, :, 4:])
        return self.head(self.mix(torch.cat([top, bottom], dim=1)))


class TiedWeights(nn.Module):
    """Two layers, each with a bias of its own, over one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(10, 9), nn.Linear(10, 9)
        self.one, self.two, self.head = nn.Linear(9, 7), nn.Linear(9, 7), nn.Linear(14, CLASSES)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        a = torch.tanh(self.one(torch.tanh(self.left(x))))
        b = F.silu(self.two(F.silu(self.right(x))))
        return self.head(torch.cat([a, b], dim=1))


class DoubleAdd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.head = conv(3, 6), conv(6, 8), pooled(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.mix(x + x)
        return self.head(x.add(x))


class MultiReader(nn.Module):
    """A stream with two reading convolutions and a residual addition."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = conv(3, 8), conv(8, 6), conv(8, 7, 1)
        self.back, self.head = conv(13, 8, 1), pooled(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        both = torch.cat([self.one(x), self.two(x)], dim=1)
        return self.head(x + self.back(both))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.low = conv(3, 4), conv(4, 6, stride=2), conv(6, 9, stride=2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.back_two, self.back_one, self.head = conv(9 + 6, 7), conv(7 + 4, 5), pooled(5)

    def forward(self, x: Tensor) -> Tensor:
        one = self.one(x)
        two = self.two(one)
        x = self.back_two(torch.cat([self.up(self.low(two)), two], dim=1))
        x = F.interpolate(x, size=one.shape[2:], mode="nearest")
        return self.head(self.back_one(torch.cat([x, one], dim=1)))


class Inplace(nn.Module):
    """As torchvision writes a residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.act = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True)
        self.one, self.two = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(8), pooled(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        y = self.one(x).relu_()
        y = self.norm(self.two(y))
        y += x
        return self.head(torch.relu_(y))


class Dropouts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = conv(3, 6), conv(6, 8), nn.Linear(8, CLASSES)
        self.maps, self.drop = nn.Dropout2d(0.1), nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.two(self.maps(self.one(x)))).mean((2, 3))
        return self.head(F.dropout(x, 0.1, training=self.training))


class Pools(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = conv(3, 5), conv(5, 6), conv(6, 8)
        self.most, self.mean = nn.AdaptiveMaxPool2d(3), nn.AdaptiveAvgPool2d((2, 2))
        self.head = nn.Linear(8 * 2 * 2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.one(x), 2)
        x = F.avg_pool2d(self.two(x), kernel_size=3, stride=1, padding=1)
        x = self.mean(self.most(self.three(x)))
        return self.head(torch.flatten(x, 1))


class DepthToVector(nn.Module):
    """Three ways from maps to a vector, two of them from the same maps."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = conv(3, 7), conv(7, 9), nn.Linear(7 + 7 + 9, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        most = self.two(x).flatten(2).max(dim=-1)[0]
        return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3)), most], dim=1))


class NeedsExport(nn.Module):
    """Decisions and loops over sizes, which are no numbers to `torch.fx`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.strip, self.head = conv(3, 6), conv(6, 8), pooled(8)

    def forward(self, x: Tensor) -> Tensor:
        if len(x.shape) == 3:
            x = x.unsqueeze(0)
        rows = torch.arange(x.shape[2], dtype=x.dtype, device=x.device) / x.shape[2]
        x = self.stem(x + rows[:, None])
        strips = [self.strip(x[..., 4 * i : 4 * i + 4]) for i in range(x.shape[3] // 4)]
        return self.head(torch.cat(strips, dim=3))


TRICKY: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "glu": (GLU, IMAGE),
    "split_sizes": (SplitSizes, IMAGE),
    "clean_shuffle": (CleanShuffle, IMAGE),
    "nn_channel_shuffle": (_nn_channel_shuffle, IMAGE),
    "pixel_shuffle": (_pixel_shuffle, IMAGE),
    "channels_last_linear": (ChannelsLast, IMAGE),
    "flatten_last": (FlattenLast, IMAGE),
    "view_dynamic": (ViewDynamic, IMAGE),
    "view_literal": (ViewLiteral, IMAGE),
    "shared_conv": (SharedConv, IMAGE),
    "twice": (Twice, IMAGE),
    "tied_weights": (TiedWeights, (10,)),
    "double_add": (DoubleAdd, IMAGE),
    "multi_reader": (MultiReader, IMAGE),
    "unet": (UNet, IMAGE),
    "inplace": (Inplace, IMAGE),
    "dropouts": (Dropouts, IMAGE),
    "pools": (Pools, IMAGE),
    "depth_to_vector": (DepthToVector, IMAGE),
    "needs_export": (NeedsExport, IMAGE),
}
