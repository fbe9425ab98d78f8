"""Habits of people's code that hide a width: sizes read from shapes and attributes, results that
nobody uses, tuples turned round, weights used twice, tensors written in place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Halves(nn.Module):
    """A gate cut where another tensor's width says."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, 2 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        c = x.shape[1]
        value, gate = torch.split(self.gate(x), [c, c], 1)
        return torch.tanh(value) * torch.sigmoid(gate)


class Temperature(nn.Module):
    """A width as a number, from a shape or an attribute."""

    def __init__(self, channels: int, out: int, attribute: bool) -> None:
        super().__init__()
        self.one, self.two, self.attribute = (
            nn.Conv2d(channels, out, 1),
            nn.Conv2d(out, out, 1),
            attribute,
        )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.one(x))
        width = self.one.out_channels if self.attribute else y.size(1)
        return self.two(y) * width**-0.5


class Viewed(nn.Module):
    """A view under the width of another tensor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.one(x))
        n, c, h, w = x.shape
        return torch.tanh(self.two(x)).flatten(2).view(n, c, h, w)


class Helped(nn.Module):
    """A second head whose result evaluation does not use."""

    def __init__(self, channels: int, out: int, deep: bool) -> None:
        super().__init__()
        self.one, self.helper = nn.Conv2d(channels, out, 1), nn.Linear(out, 4)
        self.deeper = nn.Linear(4, 3) if deep else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.one(x))
        helped = self.deeper(torch.tanh(self.helper(x.mean((2, 3)))))
        return x + 0 * helped.sum() if self.training else x


class Turned(nn.Module):
    """Parts of a tensor in another order, some of them left out or twice."""

    def __init__(self, channels: int, way: int) -> None:
        super().__init__()
        self.conv, self.way = nn.Conv2d(channels, 6, 1), way

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.conv(x))
        if self.way == 0:
            return torch.cat(x.chunk(3, 1)[::-1], 1)
        if self.way == 1:
            return torch.cat(x.split(2, 1)[1:] + x.chunk(3, 1)[:1], 1)
        if self.way == 2:
            return torch.cat((x.chunk(2, 1)[-1], x.chunk(2, 1)[0]), 1)
        return torch.cat((x.unbind(1)[0].unsqueeze(1), x[:, 1:]), 1)


class TiedBack(nn.Module):
    """An encoder whose weight decodes as well."""

    def __init__(self, channels: int, out: int, linear: bool) -> None:
        super().__init__()
        self.linear = linear
        self.enc = nn.Linear(channels, out) if linear else nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.linear:
            y = torch.tanh(self.enc(x.permute(0, 2, 3, 1)))
            return F.linear(y, self.enc.weight.t()).permute(0, 3, 1, 2)
        return F.conv_transpose2d(torch.tanh(self.enc(x)), self.enc.weight)


class Overwritten(nn.Module):
    """Writes in place: rows, channels, through a view, by a mask."""

    def __init__(self, channels: int, way: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.one(x))
        y = torch.tanh(self.two(x)).clone()
        if self.way == 0:
            y[:, :, :4] = 3 * x[:, :, :4]
        elif self.way == 1:
            y[:, :1] = x[:, -1:]
        elif self.way == 2:
            y[..., 0] *= 2
            y.flatten(2).add_(1)
        else:
            y.masked_fill_(x > 0.2, 0.5)
            y.sub_(x)
        return y


class Placed(nn.Module):
    """A ramp over the channels made from a shape, and a norm over a shape."""

    def __init__(self, channels: int, out: int, norm: bool) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, out, 1), norm

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.conv(x))
        if self.norm:
            return F.layer_norm(x, x.shape[1:])
        ramp = torch.arange(x.shape[1], dtype=x.dtype)[None, :, None, None]
        return x + torch.sin(ramp)


class Counted(nn.Module):
    """A mean by hand."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(channels, out, 1), nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.conv(x))
        return y * torch.sigmoid(torch.tanh(self.gate(x)).sum(1, keepdim=True) / y.shape[1])


HABITS = (
    *("halves", "temperature", "viewed", "helped", "turned", "tied back", "overwritten"),
    *("placed", "counted"),
)


def habit(name: str, channels: int, out: int) -> tuple[nn.Module, int]:
    """A step with that habit, and the channels that it leaves; `out` draws its form too."""
    if name == "halves":
        return Halves(channels), channels
    if name == "temperature":
        return Temperature(channels, out, out % 2 == 0), out
    if name == "viewed":
        return Viewed(channels), channels
    if name == "helped":
        return Helped(channels, out, out % 2 == 0), out
    if name == "turned":
        return Turned(channels, out % 4), 6
    if name == "tied back":
        return TiedBack(channels, out, out % 2 == 0), channels
    if name == "overwritten":
        return Overwritten(channels, out % 4), channels
    if name == "placed":
        return Placed(channels, out, out % 2 == 0), out
    return Counted(channels, out), out
