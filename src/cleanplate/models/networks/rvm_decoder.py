"""The recurrent decoder of RVM: half of the channels of each block go through a GRU.

Lin et al., "Robust High-Resolution Video Matting with Temporal Guidance", WACV 2022, arXiv 2108.11515,
section 3.2. All modules here take sequences, ``(batch, time, channels, height, width)``; layers without a
state take them as one long batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ConvGRU(nn.Module):
    """A gated recurrent unit whose products are 3 x 3 convolutions (Ballas et al., ICLR 2016).

    Args:
        channels: Channels of input, state and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ih = nn.Sequential(nn.Conv2d(2 * channels, 2 * channels, 3, padding=1), nn.Sigmoid())
        self.hh = nn.Sequential(nn.Conv2d(2 * channels, channels, 3, padding=1), nn.Tanh())

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Process a sequence.

        Args:
            x: ``(b, t, c, h, w)``.
            state: State from the previous call, ``(b, c, h, w)``; None at the beginning: zeros.

        Returns:
            The states after all steps, ``(b, t, c, h, w)``, and the last state.
        """
        state = torch.zeros_like(x[:, 0]) if state is None else state
        states = []
        for now in x.unbind(dim=1):
            reset, update = self.ih(torch.cat([now, state], dim=1)).chunk(2, dim=1)
            candidate = self.hh(torch.cat([now, reset * state], dim=1))
            state = (1 - update) * state + update * candidate
            states.append(state)
        return torch.stack(states, dim=1), state


class BottleneckBlock(nn.Module):
    """Block at 1/16: half of the channels go through a GRU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gru = ConvGRU(channels // 2)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        return _remember(self.gru, x, state)


class UpsamplingBlock(nn.Module):
    """Upsampling by 2, concatenation with skip and picture, 3x3 convolution, GRU on half of the channels.

    Args:
        in_channels: Channels from the block below.
        skip_channels: Channels of the encoder's features at this size.
        out_channels: Channels of the output.
    """

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels + skip_channels + 3, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )
        self.gru = ConvGRU(out_channels // 2)

    def forward(
        self, x: Tensor, skip: Tensor, picture: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        joined = torch.cat([_double(x, picture), skip, picture], dim=2)
        return _remember(self.gru, each_frame(self.conv, joined), state)


class OutputBlock(nn.Module):
    """Upsampling to twice the size, concatenation with the picture, two 3x3 convolutions; no GRU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (in_channels + 3, out_channels):
            layers += [
                nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
            ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:
        return each_frame(self.conv, torch.cat([_double(x, picture), picture], dim=2))


class RecurrentDecoder(nn.Module):
    """Decoder from 1/16 to the full size, with recurrent states at 1/16, 1/8, 1/4 and 1/2.

    Args:
        features: Channels at 1/2, 1/4, 1/8 and 1/16; the last after LR-ASPP.
        widths: Output channels of the blocks at 1/8, 1/4, 1/2 and 1.
    """

    def __init__(self, features: tuple[int, int, int, int], widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = features
        self.decode4 = BottleneckBlock(sixteenth)
        self.decode3 = UpsamplingBlock(sixteenth, eighth, widths[0])
        self.decode2 = UpsamplingBlock(widths[0], quarter, widths[1])
        self.decode1 = UpsamplingBlock(widths[1], half, widths[2])
        self.decode0 = OutputBlock(widths[2], widths[3])

    def forward(
        self, picture: Tensor, features: tuple[Tensor, ...], state: tuple[Tensor | None, ...]
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Decode a sequence.

        Args:
            picture: ``(b, t, 3, h, w)`` in [0, 1].
            features: Features of the encoder at 1/2, 1/4, 1/8 and 1/16.
            state: States of the four GRUs, at 1/2, 1/4, 1/8 and 1/16; None before the first frame.

        Returns:
            ``(b, t, widths[3], h, w)``, and the four states after the last frame.
        """
        half, quarter, eighth, sixteenth = features
        picture2 = each_frame(_halve, picture)
        picture4 = each_frame(_halve, picture2)
        picture8 = each_frame(_halve, picture4)
        x, state4 = self.decode4(sixteenth, state[3])
        x, state3 = self.decode3(x, eighth, picture8, state[2])
        x, state2 = self.decode2(x, quarter, picture4, state[1])
        x, state1 = self.decode1(x, half, picture2, state[0])
        return self.decode0(x, picture), (state1, state2, state3, state4)


def each_frame(layer: Callable[[Tensor], Tensor], sequence: Tensor) -> Tensor:
    """Apply a layer for pictures to each frame of ``(b, t, c, h, w)``."""
    return as_sequence(layer(sequence.flatten(0, 1)), sequence)


def as_sequence(pictures: Tensor, like: Tensor) -> Tensor:
    """Reshape ``(b * t, c, h, w)`` to ``(b, t, c, h, w)``, with the batch and time of ``like``."""
    return pictures.view(like.shape[0], like.shape[1], *pictures.shape[1:])


def _halve(picture: Tensor) -> Tensor:
    """Average 2 x 2 pixels; the last row or column of an odd side is averaged alone."""
    return nn.functional.avg_pool2d(picture, 2, ceil_mode=True, count_include_pad=False)


def _double(x: Tensor, like: Tensor) -> Tensor:
    """Upsample to twice the size, cropped to the size of the skip where it is odd."""
    doubled = each_frame(
        lambda y: nn.functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False), x
    )
    return doubled[..., : like.shape[3], : like.shape[4]]


def _remember(gru: ConvGRU, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """Apply the GRU to the second half of the channels."""
    still, moving = x.chunk(2, dim=2)
    moving, state = gru(moving, state)
    return torch.cat([still, moving], dim=2), state
