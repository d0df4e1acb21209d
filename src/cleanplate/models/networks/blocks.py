"""Layers that more than one network uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


class JoinedConvolution(nn.Conv2d):
    """A convolution over several inputs, joined along their channels.

    Numbers and parameter names are those of ``nn.Conv2d`` after ``torch.cat``; but the module knows the
    channels of each input, so that an export can give each input a convolution of its own and add the
    results.

    Args:
        in_channels: Channels of each input, in order.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel.
        padding: Zeros added on each side.
        bias: Whether a bias is learnt.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        kernel_size: int,
        *,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__(sum(in_channels), out_channels, kernel_size, padding=padding, bias=bias)
        self.parts = tuple(in_channels)

    def forward(self, *inputs: Tensor) -> Tensor:
        return super().forward(torch.cat(inputs, dim=1))


def upsample_to(x: Tensor, like: Tensor) -> Tensor:
    """Resize ``x`` bilinearly (half-pixel centres) to the height and width of ``like``."""
    return resize(x, like.shape[2], like.shape[3])


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Resize ``(n, c, h, w)`` bilinearly (half-pixel centres, no antialiasing)."""
    size = cast("list[int]", (height, width))
    return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def clamp_to_unit(x: Tensor, training: bool) -> Tensor:
    """Clamp to [0, 1]; in training a small slope stays, so that saturated values still learn."""
    clamped = x.clamp(0.0, 1.0)
    return clamped + 0.05 * (x - clamped) if training else clamped
