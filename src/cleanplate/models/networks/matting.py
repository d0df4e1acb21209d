"""The networks of "Real-Time High-Resolution Background Matting" (Lin et al., CVPR 2021, arXiv 2012.07810).

Parameters have the names of the official checkpoints, so that those load strictly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cleanplate.errors import OptionError
from cleanplate.models.networks.aspp import ASPP
from cleanplate.models.networks.decoder import CoarseDecoder
from cleanplate.models.networks.mobilenetv2 import MobileNetV2
from cleanplate.models.networks.refiner import Refiner
from cleanplate.models.networks.resnet import resnet50, resnet101

HIDDEN_CHANNELS = 32

BACKBONES: dict[str, Callable[[int], Any]] = {
    "mobilenetv2": MobileNetV2,
    "resnet50": resnet50,
    "resnet101": resnet101,
}


class CoarseMaps(NamedTuple):
    """Result of a coarse network, at the size of its input.

    Attributes:
        alpha: ``(batch, 1, h, w)`` in [0, 1].
        residual: ``(batch, 3, h, w)``: foreground minus source, not clamped.
        error: ``(batch, 1, h, w)`` in [0, 1]: error of alpha that the network expects.
        hidden: ``(batch, channels, h, w)``, not negative: features for the refiner.
    """

    alpha: Tensor
    residual: Tensor
    error: Tensor
    hidden: Tensor


class CoarseNetwork(nn.Module):
    """The encoder-decoder that runs at reduced scale.

    Args:
        backbone: "mobilenetv2", "resnet50" or "resnet101".

    Raises:
        OptionError: Another backbone.
    """

    def __init__(self, backbone: str) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise OptionError(f"Unknown backbone '{backbone}'.", f"one of: {', '.join(BACKBONES)}")
        self.backbone = BACKBONES[backbone](6)
        half, quarter, eighth, sixteenth = self.backbone.channels
        self.aspp = ASPP(sixteenth)
        self.refiner: Refiner | None = None
        self.decoder = CoarseDecoder((256, 128, 64, 48, 5 + HIDDEN_CHANNELS), (eighth, quarter, half, 6))

    def coarse(self, source: Tensor, plate: Tensor) -> CoarseMaps:
        """Find the subject.

        Args:
            source: ``(batch, 3, h, w)`` in [0, 1]; any size.
            plate: The same shape.
        """
        whole, half, quarter, eighth, sixteenth = self.backbone(torch.cat([source, plate], dim=1))
        x = self.decoder(self.aspp(sixteenth), eighth, quarter, half, whole)
        alpha, residual, error, hidden = torch.split(x, [1, 3, 1, HIDDEN_CHANNELS], dim=1)
        return CoarseMaps(alpha.clamp(0, 1), residual, error.clamp(0, 1), hidden.relu())

    def forward(self, source: Tensor, plate: Tensor) -> CoarseMaps:
        """Call :meth:`coarse`."""
        return self.coarse(source, plate)


class MattingNetwork(CoarseNetwork):
    """The coarse network together with its refiner.

    Args:
        backbone: "mobilenetv2", "resnet50" or "resnet101".
        refiner_kernel: 1 or 3.

    Raises:
        OptionError: Another backbone or kernel.
    """

    def __init__(self, backbone: str, refiner_kernel: int = 3) -> None:
        super().__init__(backbone)
        self.refiner: Refiner = Refiner(HIDDEN_CHANNELS, kernel_size=refiner_kernel)
