"""What is counted: a backward pass of all gradients is two forward passes, whatever the groups."""

from __future__ import annotations

import pytest
import torch
from networks import NETWORKS, sample, trained
from torch import nn

import easearch as ea
from easearch.growth.compute import Compute, counted


@pytest.mark.parametrize("name", NETWORKS)
def test_forward_is_the_graphs_macs_and_backward_twice_that(name: str) -> None:
    model, x = trained(name), sample()
    with counted() as forward, torch.no_grad():
        model(x)
    assert forward.macs == len(x) * Compute.macs_of(ea.trace(model, x))
    with counted() as both:
        model(x.requires_grad_()).sum().backward()
    assert both.macs == 3 * forward.macs


@pytest.mark.parametrize("groups", [1, 4, 8])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_groups_and_transposed(kind: type[nn.Conv2d], groups: int) -> None:
    layer, x = kind(8, 16, 3, stride=2, groups=groups, bias=False), torch.randn(2, 8, 9, 9)
    with counted() as forward:
        layer(x)
    with counted() as weights_only:
        layer(x).sum().backward()
    with counted() as both:
        layer(x.requires_grad_()).sum().backward()
    assert weights_only.macs == 2 * forward.macs
    assert both.macs == 3 * forward.macs
