"""MobileNetV2 as an encoder: features at 1, 1/2, 1/4, 1/8 and 1/16 of the input.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018. The last two stages keep
the resolution of 1/16 and dilate instead, as DeepLabV3 does (Chen et al., arXiv 1706.05587). Parameters are
named as in torchvision's model, so that checkpoints of either load.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class MobileNetStage(NamedTuple):
    """A run of inverted residuals; its first block changes channels and resolution."""

    expansion: int
    channels: int
    blocks: int
    stride: int
    first_dilation: int
    dilation: int


STAGES = (
    MobileNetStage(1, 16, 1, 1, 1, 1),
    MobileNetStage(6, 24, 2, 2, 1, 1),
    MobileNetStage(6, 32, 3, 2, 1, 1),
    MobileNetStage(6, 64, 4, 2, 1, 1),
    MobileNetStage(6, 96, 3, 1, 1, 1),
    MobileNetStage(6, 160, 3, 1, 1, 2),
    MobileNetStage(6, 320, 1, 1, 2, 2),
)


def normalised_convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    """Make a convolution with padding to the same size, batch norm, ReLU6."""
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Widen with a 1x1, filter each channel with a 3x3, narrow with a 1x1; add the input where it fits."""

    def __init__(
        self, in_channels: int, out_channels: int, *, expansion: int, stride: int, dilation: int
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers.append(normalised_convolution(in_channels, wide, 1))
        layers.append(normalised_convolution(wide, wide, 3, stride=stride, dilation=dilation, groups=wide))
        layers.append(nn.Conv2d(wide, out_channels, 1, bias=False))
        layers.append(nn.BatchNorm2d(out_channels))
        self.conv = nn.Sequential(*layers)
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.adds_input else y


class MobileNetV2(nn.Module):
    """The encoder.

    Args:
        in_channels: Channels of the input.
    """

    channels = (16, 24, 32, 320)
    """Channels of the features at 1/2, 1/4, 1/8 and 1/16."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [normalised_convolution(in_channels, 32, 3, stride=2)]
        width = 32
        for stage in STAGES:
            for block in range(stage.blocks):
                layers.append(
                    InvertedResidual(
                        width,
                        stage.channels,
                        expansion=stage.expansion,
                        stride=stage.stride if block == 0 else 1,
                        dilation=stage.first_dilation if block == 0 else stage.dilation,
                    )
                )
                width = stage.channels
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Compute features at 1 (the input itself), 1/2, 1/4, 1/8 and 1/16."""
        half: Tensor = self.features[:2](x)
        quarter: Tensor = self.features[2:4](half)
        eighth: Tensor = self.features[4:7](quarter)
        sixteenth: Tensor = self.features[7:](eighth)
        return x, half, quarter, eighth, sixteenth
