"""MobileNetV3-Large as an encoder: features at 1/2, 1/4, 1/8 and 1/16 of the input.

Howard et al., "Searching for MobileNetV3", ICCV 2019, table 1. The last stage keeps the resolution of 1/16
and dilates instead, as that paper does for segmentation. Parameters are named as in torchvision's model, so
that checkpoints of either load.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Block(NamedTuple):
    """Settings of one inverted residual: kernel, widened and final channels, excitation, and so on."""

    kernel: int
    wide: int
    channels: int
    excites: bool
    hard_swish: bool
    stride: int = 1
    dilation: int = 1


BLOCKS = (
    Block(3, 16, 16, excites=False, hard_swish=False),
    Block(3, 64, 24, excites=False, hard_swish=False, stride=2),
    Block(3, 72, 24, excites=False, hard_swish=False),
    Block(5, 72, 40, excites=True, hard_swish=False, stride=2),
    Block(5, 120, 40, excites=True, hard_swish=False),
    Block(5, 120, 40, excites=True, hard_swish=False),
    Block(3, 240, 80, excites=False, hard_swish=True, stride=2),
    Block(3, 200, 80, excites=False, hard_swish=True),
    Block(3, 184, 80, excites=False, hard_swish=True),
    Block(3, 184, 80, excites=False, hard_swish=True),
    Block(3, 480, 112, excites=True, hard_swish=True),
    Block(3, 672, 112, excites=True, hard_swish=True),
    Block(5, 672, 160, excites=True, hard_swish=True, dilation=2),
    Block(5, 960, 160, excites=True, hard_swish=True, dilation=2),
    Block(5, 960, 160, excites=True, hard_swish=True, dilation=2),
)
STEM_CHANNELS = 16
LAST_CHANNELS = 960
CHANNEL_GRAIN = 8

# Epsilon and momentum of batch norms, as in the paper's code and in every checkpoint.
BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.01


def normalised_convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    activation: type[nn.Module] | None,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    """Make a convolution with padding to the same size, batch norm, and an optional activation."""
    padding = dilation * (kernel_size // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(out_channels, BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM),
    ]
    if activation is not None:
        layers.append(activation(inplace=True))
    return nn.Sequential(*layers)


class Excitation(nn.Module):
    """Squeeze and excitation: channels weighed by a function of all means (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = round_channels(channels / 4)
        self.fc1 = nn.Conv2d(channels, narrow, 1)
        self.fc2 = nn.Conv2d(narrow, channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.gate = nn.Hardsigmoid(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        mean = nn.functional.adaptive_avg_pool2d(x, 1)
        weights: Tensor = self.gate(self.fc2(self.relu(self.fc1(mean))))
        return x * weights


class WeighedResidual(nn.Module):
    """Widen with a 1x1, filter each channel, re-weigh, narrow with a 1x1; add the input where it fits."""

    def __init__(self, in_channels: int, block: Block) -> None:
        super().__init__()
        activation = nn.Hardswish if block.hard_swish else nn.ReLU
        layers: list[nn.Module] = []
        if block.wide != in_channels:
            layers.append(normalised_convolution(in_channels, block.wide, 1, activation))
        layers.append(
            normalised_convolution(
                block.wide,
                block.wide,
                block.kernel,
                activation,
                stride=block.stride,
                dilation=block.dilation,
                groups=block.wide,
            )
        )
        if block.excites:
            layers.append(Excitation(block.wide))
        layers.append(normalised_convolution(block.wide, block.channels, 1, None))
        self.block = nn.Sequential(*layers)
        self.adds_input = block.stride == 1 and in_channels == block.channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + y if self.adds_input else y


class MobileNetV3(nn.Module):
    """The encoder.

    Args:
        in_channels: Channels of the input.
    """

    channels = (16, 24, 40, LAST_CHANNELS)
    """Channels of the features at 1/2, 1/4, 1/8 and 1/16."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            normalised_convolution(in_channels, STEM_CHANNELS, 3, nn.Hardswish, stride=2)
        ]
        width = STEM_CHANNELS
        for block in BLOCKS:
            layers.append(WeighedResidual(width, block))
            width = block.channels
        layers.append(normalised_convolution(width, LAST_CHANNELS, 1, nn.Hardswish))
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Compute features at 1 (the input itself), 1/2, 1/4, 1/8 and 1/16."""
        half: Tensor = self.features[:2](x)
        quarter: Tensor = self.features[2:4](half)
        eighth: Tensor = self.features[4:7](quarter)
        sixteenth: Tensor = self.features[7:](eighth)
        return x, half, quarter, eighth, sixteenth


def round_channels(wanted: float) -> int:
    """Round to the nearest multiple of 8, at least 8, and never below 90% of the given number.

    >>> round_channels(18), round_channels(30), round_channels(60)
    (24, 32, 64)
    """
    rounded = max(CHANNEL_GRAIN, int(wanted + CHANNEL_GRAIN / 2) // CHANNEL_GRAIN * CHANNEL_GRAIN)
    return rounded if rounded >= 0.9 * wanted else rounded + CHANNEL_GRAIN
