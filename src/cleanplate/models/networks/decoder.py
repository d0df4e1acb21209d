"""The decoder of BGMv2's coarse network: back to the input's size, one skip connection per step."""

from __future__ import annotations

from torch import Tensor, nn

from cleanplate.models.networks.blocks import JoinedConvolution, upsample_to


class CoarseDecoder(nn.Module):
    """Four steps of: resize to the skip's size, join the skip, 3x3 convolution, batch norm, ReLU.

    The last step is a plain convolution with bias.

    Args:
        channels: Input channels at 1/16, then the output channels of each step; five numbers.
        skips: Channels of the skips at 1/8, 1/4, 1/2 and 1.
    """

    def __init__(self, channels: tuple[int, int, int, int, int], skips: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.conv1 = JoinedConvolution((channels[0], skips[0]), channels[1], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[1])
        self.conv2 = JoinedConvolution((channels[1], skips[1]), channels[2], 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels[2])
        self.conv3 = JoinedConvolution((channels[2], skips[2]), channels[3], 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels[3])
        self.conv4 = JoinedConvolution((channels[3], skips[3]), channels[4], 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(
        self, sixteenth: Tensor, eighth: Tensor, quarter: Tensor, half: Tensor, whole: Tensor
    ) -> Tensor:
        """Decode features at 1/16 and skips, small to large, to ``(batch, channels[4], height, width)``."""
        x = self.relu(self.bn1(self.conv1(upsample_to(sixteenth, eighth), eighth)))
        x = self.relu(self.bn2(self.conv2(upsample_to(x, quarter), quarter)))
        x = self.relu(self.bn3(self.conv3(upsample_to(x, half), half)))
        result: Tensor = self.conv4(upsample_to(x, whole), whole)
        return result
