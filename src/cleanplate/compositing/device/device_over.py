"""The compositor on tensors: equal to :mod:`cleanplate.compositing.over` to a code value.

Pictures are ``(3, height, width)``, alpha is ``(height, width)``; finished pixels have the form for a sink:
channels last, uint8 or uint16.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cleanplate.compositing.device.device_matte import DeviceMatte
from cleanplate.router.torch_router import FULL_RANGE, to_pixels


@torch.inference_mode()
def over(foreground: Tensor, alpha: Tensor, backdrop: Tensor) -> Tensor:
    """Composite the foreground over the backdrop, a picture like it: ``(height, width, 3)``."""
    mixed = foreground * alpha + backdrop * (1 - alpha)
    return to_pixels(mixed.round().to(foreground.dtype))


@torch.inference_mode()
def alpha_picture(matte: DeviceMatte) -> Tensor:
    """Alpha as ``(height, width)`` in the frame's type."""
    return to_pixels(_alpha_codes(matte)[None])[..., 0]


@torch.inference_mode()
def cutout(matte: DeviceMatte, *, premultiplied: bool = False) -> Tensor:
    """Foreground and alpha as ``(height, width, 4)``."""
    colour, alpha = matte.foreground, _alpha_codes(matte)
    if premultiplied:
        # By the cut-out's alpha, which is rounded.
        colour = (colour.float() * alpha / FULL_RANGE[colour.dtype]).round().to(colour.dtype)
    return to_pixels(torch.cat([colour, alpha[None]]))


def _alpha_codes(matte: DeviceMatte) -> Tensor:
    kind = matte.foreground.dtype
    codes: Tensor = (matte.alpha * FULL_RANGE[kind]).round().to(kind)
    return codes
