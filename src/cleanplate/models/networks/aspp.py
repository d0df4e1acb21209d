"""Atrous spatial pyramid pooling: context of a pixel at several distances at once.

Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation" (DeepLabV3), arXiv 1706.05587.
Parameters are named as in torchvision's DeepLabV3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def branch(in_channels: int, out_channels: int, *, rate: int | None = None) -> nn.Sequential:
    """Make a 1x1 convolution, or a 3x3 one with dilation ``rate``; batch norm, ReLU."""
    if rate is None:
        convolution = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    else:
        convolution = nn.Conv2d(in_channels, out_channels, 3, padding=rate, dilation=rate, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


class PooledBranch(nn.Sequential):
    """The mean of the whole picture through a 1x1 convolution, repeated over the picture."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *branch(in_channels, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        mean = x
        for layer in self:
            mean = layer(mean)
        return mean.expand(-1, -1, x.shape[2], x.shape[3])


class ASPP(nn.Module):
    """The pyramid: 1x1, one 3x3 per rate, and the pooled branch, joined and projected.

    Args:
        in_channels: Channels of the input.
        rates: Dilations of the 3x3 branches.
        out_channels: Channels of each branch and of the output.
    """

    def __init__(self, in_channels: int, rates: Sequence[int] = (3, 6, 9), out_channels: int = 256) -> None:
        super().__init__()
        branches: list[nn.Module] = [branch(in_channels, out_channels)]
        branches += [branch(in_channels, out_channels, rate=rate) for rate in rates]
        branches.append(PooledBranch(in_channels, out_channels))
        self.convs = nn.ModuleList(branches)
        self.project = nn.Sequential(*branch(len(branches) * out_channels, out_channels), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(batch, out_channels, h, w)`` from ``(batch, in_channels, h, w)``."""
        joined = torch.cat([convolution(x) for convolution in self.convs], dim=1)
        result: Tensor = self.project(joined)
        return result
