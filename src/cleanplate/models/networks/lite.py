"""``lite``, the network inside the package: plain convolutions, sized for two CPU cores.

The encoder sees the source, the plate, their absolute difference and the plate's validity, so the first
convolution already compares source and plate. All widths are multiples of 16, the block size in which CPU
runtimes lay out convolutions, and there is no normalisation: residual branches start at zero instead, which
trains as well here and costs nothing when the network runs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.models.networks.blocks import clamp_to_unit
from cleanplate.models.networks.equation import EquationRefiner
from cleanplate.models.networks.local_colours import COLOUR_CHANNELS, find_local_colours
from cleanplate.models.networks.refiner import Refiner

LEARNT_CHANNELS = 11
HIDDEN_CHANNELS = LEARNT_CHANNELS + COLOUR_CHANNELS
OUTPUT_STRIDE = 2
SIZE_MULTIPLE = 16


class Residual(nn.Module):
    """Two 3 x 3 convolutions with a skip connection; the shape ``(B, C, h, w)`` stays."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class Merge(nn.Module):
    """Enlarge deep features to twice their size and add them to the skip of that size."""

    def __init__(self, deep_channels: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(deep_channels, channels, 1)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        up = F.interpolate(self.project(deep), scale_factor=2.0, mode="bilinear", align_corners=False)
        return F.relu(up + skip)


class LiteCoarse(nn.Module):
    """The coarse network of ``lite``.

    Features at 1/2, 1/4, 1/8 and 1/16 of the input; the deepest ones see the whole picture through dilation
    and a global mean. The result has half of the input's height and width.

    Args:
        hidden_channels: Number of channels of the hidden features.
        colours: Whether the last of these channels are local colours, which are computed and not learnt.
    """

    def __init__(self, hidden_channels: int = LEARNT_CHANNELS, *, colours: bool = False) -> None:
        super().__init__()
        self.colours = colours
        learnt = hidden_channels - COLOUR_CHANNELS if colours else hidden_channels
        self.stem = nn.Conv2d(10, 16, 3, stride=2, padding=1)
        self.quarter = nn.Sequential(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(), Residual(32))
        self.eighth = nn.Sequential(
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(), Residual(64), Residual(64)
        )
        self.sixteenth = nn.Sequential(nn.Conv2d(64, 96, 3, stride=2, padding=1), nn.ReLU())
        self.context = nn.Conv2d(96, 96, 1)
        self.deep = nn.Sequential(Residual(96, 2), Residual(96, 4), Residual(96, 2))
        self.to_eighth, self.at_eighth = Merge(96, 64), Residual(64)
        self.to_quarter, self.at_quarter = Merge(64, 32), Residual(32)
        self.to_half, self.at_half = Merge(32, 16), nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Conv2d(16, 1 + 3 + 1 + learnt, 3, padding=1)

    def forward(self, source: Tensor, plate: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Segment coarsely the part of the source that differs from the plate.

        Args:
            source: ``(B, 3, h, w)`` in [0, 1]; both sides multiples of 16.
            plate: ``(B, 4, h, w)``: colour in [0, 1], and 1 where the plate is valid, 0 where it is unknown.

        Returns:
            Maps of ``(h/2, w/2)``: alpha (1 channel, in [0, 1]), foreground residual (3, to be added to the
            source), error (1, in [0, 1]: expected error of alpha) and hidden features (>= 0).
        """
        valid = plate[:, 3:4]
        colour = plate[:, :3] * valid
        difference = (source * valid - colour).abs()
        half = F.relu(self.stem(torch.cat([source, colour, difference, valid], dim=1)))
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        deep = self.sixteenth(eighth)
        deep = self.deep(deep + self.context(deep.mean(dim=(2, 3), keepdim=True)))
        x = self.at_eighth(self.to_eighth(deep, eighth))
        x = self.at_quarter(self.to_quarter(x, quarter))
        x = self.head(F.relu(self.at_half(self.to_half(x, half))))
        alpha, hidden = clamp_to_unit(x[:, 0:1], self.training), F.relu(x[:, 5:])
        if self.colours:
            hidden = torch.cat([hidden, find_local_colours(source, plate, alpha)], dim=1)
        return alpha, x[:, 1:4], clamp_to_unit(x[:, 4:5], self.training), hidden


class LiteNetwork(nn.Module):
    """Both parts of ``lite``: ``coarse`` and ``refiner``.

    Args:
        hidden_channels: Number of channels of the hidden features.
        equation: Whether the refiner solves the compositing equation with local colours (version 2).
    """

    def __init__(self, hidden_channels: int = LEARNT_CHANNELS, *, equation: bool = False) -> None:
        super().__init__()
        self.coarse = LiteCoarse(hidden_channels, colours=equation)
        self.refiner = (
            EquationRefiner(hidden_channels) if equation else Refiner(hidden_channels, normalisation=False)
        )
