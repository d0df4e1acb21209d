"""ResNet-50 and ResNet-101 as encoders: features at 1, 1/2, 1/4, 1/8 and 1/16 of the input.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the stride in the 3x3 convolution
as in torchvision's models. The last stage keeps the resolution of 1/16 and dilates instead, as DeepLabV3
does (Chen et al., arXiv 1706.05587). Parameters are named as in torchvision's models, so that checkpoints of
either load.
"""

from __future__ import annotations

from torch import Tensor, nn


class ResNetBottleneck(nn.Module):
    """1x1 to ``width``, 3x3, 1x1 to ``4 * width``; the input is added, projected where its shape differs."""

    def __init__(self, in_channels: int, width: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        out_channels = 4 * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(y + shortcut)
        return result


def stage(in_channels: int, width: int, blocks: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Make ``blocks`` bottlenecks; the first changes channels and resolution and is never dilated."""
    first = ResNetBottleneck(in_channels, width, stride=stride)
    rest = [ResNetBottleneck(4 * width, width, dilation=dilation) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


class ResNet(nn.Module):
    """The encoder.

    Args:
        in_channels: Channels of the input.
        blocks: Bottlenecks in each of the four stages.
    """

    channels = (64, 256, 512, 2048)
    """Channels of the features at 1/2, 1/4, 1/8 and 1/16."""

    def __init__(self, in_channels: int, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(64, 64, blocks[0])
        self.layer2 = stage(256, 128, blocks[1], stride=2)
        self.layer3 = stage(512, 256, blocks[2], stride=2)
        self.layer4 = stage(1024, 512, blocks[3], dilation=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Compute features at 1 (the input itself), 1/2, 1/4, 1/8 and 1/16."""
        half = self.relu(self.bn1(self.conv1(x)))
        quarter = self.layer1(self.maxpool(half))
        eighth = self.layer2(quarter)
        sixteenth = self.layer4(self.layer3(eighth))
        return x, half, quarter, eighth, sixteenth


def resnet50(in_channels: int) -> ResNet:
    """Make a ResNet-50: stages of 3, 4, 6 and 3 bottlenecks."""
    return ResNet(in_channels, (3, 4, 6, 3))


def resnet101(in_channels: int) -> ResNet:
    """Make a ResNet-101: stages of 3, 4, 23 and 3 bottlenecks."""
    return ResNet(in_channels, (3, 4, 23, 3))
