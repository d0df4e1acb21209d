"""The refiner: a small network that runs at full resolution, only where the coarse result is uncertain.

Lin et al., "Real-Time High-Resolution Background Matting", CVPR 2021, section 3.2, as ordinary convolutions
without padding. The result of a convolution does not depend on the tiles: any tile with its halo gives the
numbers of the whole picture. The router chooses the tiles.
"""

from __future__ import annotations

from torch import Tensor, nn

from cleanplate.errors import OptionError
from cleanplate.models.networks.blocks import JoinedConvolution


class Refiner(nn.Module):
    """Alpha and foreground residual of square or oblong tiles at full resolution.

    Args:
        hidden_channels: Channels of the coarse network's hidden features.
        widths: Output channels of the four convolutions; the last is 4, alpha and the residual.
        kernel_size: 3, or 1, which ignores neighbours and is faster.
        normalisation: Whether batch norms follow the first three convolutions; otherwise
            biases take their place.

    Raises:
        OptionError: ``kernel_size`` is neither 1 nor 3.
    """

    def __init__(
        self,
        hidden_channels: int = 32,
        widths: tuple[int, int, int, int] = (24, 16, 12, 4),
        kernel_size: int = 3,
        *,
        normalisation: bool = True,
    ) -> None:
        super().__init__()
        if kernel_size not in (1, 3):
            raise OptionError(f"A refiner's kernel is 1 or 3, got {kernel_size}.")
        bias = not normalisation
        self.conv1 = nn.Conv2d(hidden_channels + 10, widths[0], kernel_size, bias=bias)
        self.bn1 = batch_norm_or_nothing(widths[0], normalisation)
        self.conv2 = nn.Conv2d(widths[0], widths[1], kernel_size, bias=bias)
        self.bn2 = batch_norm_or_nothing(widths[1], normalisation)
        self.conv3 = JoinedConvolution((widths[1], 6), widths[2], kernel_size, bias=bias)
        self.bn3 = batch_norm_or_nothing(widths[2], normalisation)
        self.conv4 = nn.Conv2d(widths[2], widths[3], kernel_size)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, half: Tensor, full: Tensor) -> Tensor:
        """Refine tiles of ``h`` x ``w`` pixels (both even).

        Args:
            half: ``cat(hidden, alpha, residual, source, plate)`` at half resolution,
                ``(n, hidden + 10, h / 2 + 6, w / 2 + 6)``: a halo of 3, zeros outside the picture. With a
                kernel of 1 there is no halo.
            full: ``cat(source, plate)`` at full resolution, ``(n, 6, h + 4, w + 4)``: a halo of 2, likewise.

        Returns:
            ``(n, 4, h, w)``: alpha and the foreground residual, neither clamped.
        """
        x = self.relu(self.bn1(self.conv1(half)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.relu(self.bn3(self.conv3(x, full)))
        result: Tensor = self.conv4(x)
        return result


def batch_norm_or_nothing(channels: int, normalisation: bool) -> nn.Module:
    return nn.BatchNorm2d(channels) if normalisation else nn.Identity()
