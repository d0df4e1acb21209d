"""RVM, a recurrent network that segments people without a plate.

Lin et al., "Robust High-Resolution Video Matting with Temporal Guidance", WACV 2022, arXiv 2108.11515.
Written from the paper; parameters have the names of the official checkpoints, so that those load strictly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cleanplate.errors import OptionError
from cleanplate.models.networks.guided_filter import DeepGuidedFilter, FastGuidedFilter
from cleanplate.models.networks.mobilenetv3 import MobileNetV3
from cleanplate.models.networks.resnet import resnet50
from cleanplate.models.networks.rvm_decoder import RecurrentDecoder, as_sequence, each_frame

HIDDEN_CHANNELS = 16

# Mean and standard deviation of ImageNet's pictures.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class Variant(NamedTuple):
    """Differences between RVM's networks.

    Attributes:
        encoder: Factory of the encoder, given the number of input channels.
        normalises: Whether its input is normalised by ImageNet's mean and standard deviation.
        context: Output channels of LR-ASPP.
        widths: Channels of the decoder's blocks at 1/8, 1/4, 1/2 and 1.
    """

    encoder: Callable[[int], Any]
    normalises: bool
    context: int
    widths: tuple[int, int, int, int]


BACKBONES = {
    "mobilenetv3": Variant(MobileNetV3, True, 128, (80, 40, 32, HIDDEN_CHANNELS)),
    "resnet50": Variant(resnet50, False, 256, (128, 64, 32, HIDDEN_CHANNELS)),
}
FILTERS: dict[str, Callable[[], nn.Module]] = {"deep": DeepGuidedFilter, "fast": FastGuidedFilter}

State = tuple[Tensor, Tensor, Tensor, Tensor]
"""Recurrent states ``(batch, channels, height, width)`` at 1/2, 1/4, 1/8 and 1/16 of the small picture."""

NOTHING_SEEN = (None, None, None, None)


class RecurrentMatte(NamedTuple):
    """Result of the network for a sequence.

    Attributes:
        foreground: Colour in [0, 1], ``(batch, time, 3, height, width)``.
        alpha: In [0, 1], ``(batch, time, 1, height, width)``.
        state: Recurrent state for the next frames.
    """

    foreground: Tensor
    alpha: Tensor
    state: State


class LRASPP(nn.Module):
    """Lite reduced ASPP: channels weighed by a function of their means over the picture.

    Howard et al., "Searching for MobileNetV3", ICCV 2019, section 6.4.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.aspp1 = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )
        self.aspp2 = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.aspp1(x) * self.aspp2(x)
        return result


class Projection(nn.Module):
    """A 1x1 convolution from the decoder's features to the result."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x)
        return result


class RecurrentNetwork(nn.Module):
    """Encoder, LR-ASPP, recurrent decoder, guided filter.

    Args:
        backbone: "mobilenetv3" or "resnet50".
        guided_filter: "deep" or "fast"; the filter that enlarges the small matte to the picture's size.

    Raises:
        OptionError: Another backbone or filter.
    """

    def __init__(self, backbone: str = "mobilenetv3", guided_filter: str = "deep") -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise OptionError(f"Unknown backbone '{backbone}'.", f"one of: {', '.join(BACKBONES)}")
        if guided_filter not in FILTERS:
            raise OptionError(f"Unknown guided filter '{guided_filter}'.", f"one of: {', '.join(FILTERS)}")
        variant = BACKBONES[backbone]
        self.backbone = variant.encoder(3)
        half, quarter, eighth, sixteenth = self.backbone.channels
        self.aspp = LRASPP(sixteenth, variant.context)
        self.decoder = RecurrentDecoder((half, quarter, eighth, variant.context), variant.widths)
        self.project_mat = Projection(HIDDEN_CHANNELS, 4)
        self.project_seg = Projection(HIDDEN_CHANNELS, 1)
        self.refiner = FILTERS[guided_filter]()
        self.mean: Tensor
        self.deviation: Tensor
        mean, deviation = (
            (IMAGENET_MEAN, IMAGENET_DEVIATION) if variant.normalises else ((0.0,) * 3, (1.0,) * 3)
        )
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)

    def forward(
        self, source: Tensor, state: State | None = None, downsample_ratio: float = 1.0
    ) -> RecurrentMatte:
        """Key the frames of a sequence.

        Args:
            source: ``(batch, time, 3, height, width)`` in [0, 1]; any size.
            state: State after the frames before; None for the first.
            downsample_ratio: Size of the encoder's input over that of ``source``, in (0, 1].
        """
        small = shrink(source, downsample_ratio) if downsample_ratio != 1 else source
        return self.key(source, small, state)

    def key(self, source: Tensor, small: Tensor, state: State | None = None) -> RecurrentMatte:
        """Key like :meth:`forward`, with the encoder's small picture as an argument.

        If the small picture is ``source`` itself, the guided filter is left out.
        """
        hidden, state = self.decode(small, state)
        matte = each_frame(self.project_mat, hidden)
        if small is not source:
            pictures = (x.flatten(0, 1) for x in (source, small, matte, hidden))
            matte = as_sequence(self.refiner(*pictures), source)
        residual, alpha = matte[:, :, :3], matte[:, :, 3:]
        return RecurrentMatte((source + residual).clamp(0, 1), alpha.clamp(0, 1), state)

    def segment(self, source: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Segment people: logits ``(batch, time, 1, height, width)``, for training, and the state."""
        hidden, state = self.decode(source, state)
        return each_frame(self.project_seg, hidden), state

    def decode(self, picture: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Compute the features of every pixel, ``(batch, time, 16, height, width)``, and the state."""
        normalised = (picture.flatten(0, 1) - self.mean) / self.deviation
        _, half, quarter, eighth, sixteenth = self.backbone(normalised)
        features = tuple(as_sequence(x, picture) for x in (half, quarter, eighth, self.aspp(sixteenth)))
        hidden, state = self.decoder(picture, features, state or NOTHING_SEEN)
        return hidden, state


def shrink(source: Tensor, ratio: float) -> Tensor:
    """Shrink ``(b, t, c, h, w)`` bilinearly without antialiasing, as in RVM's training."""

    def one(pictures: Tensor) -> Tensor:
        return nn.functional.interpolate(
            pictures, scale_factor=ratio, mode="bilinear", align_corners=False, recompute_scale_factor=False
        )

    return each_frame(one, source)
