"""The last step on a matte, on tensors: equal to :mod:`cleanplate.compositing.finish` to a code value.

Colours are code values in float32, rounded in the same places as on the host: pictures are
``(3, height, width)``, weights and alpha ``(height, width)``.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.compositing.device.device_matte import DeviceMatte
from cleanplate.compositing.finish import BAND, ENOUGH, KEPT, SHORTEST_WAY, SPILLED, SUBJECT, Finish
from cleanplate.compositing.specks import Specks, find_specks
from cleanplate.frame import BoolArray
from cleanplate.router.device_transfers import Transfers
from cleanplate.router.torch_router import FULL_RANGE, cover, to_planes


@torch.inference_mode()
def finish_matte(matte: DeviceMatte, finish: Finish, plate: Tensor | None = None) -> DeviceMatte:
    """Apply ``finish`` on the device, with the result of the main-memory version; there is no shadow.

    Args:
        matte: The matte.
        finish: The options.
        plate: Its plate as a picture, which a finish with ``despill`` needs.
    """
    if finish.despeckle > 0:
        transfers = Transfers(matte.alpha.device)
        specks = find_specks(transfers.bring(matte.alpha), finish.despeckle)
        matte = apply_specks(matte, specks, transfers)
    colour = matte.foreground
    if finish.spreads:
        colour = bleed_colour(colour, matte.alpha, plate, finish.despill)
    alpha = blur_alpha(choke_alpha(matte.alpha, finish.choke_pixels), finish.blur_pixels)
    if finish.gamma != 1:
        alpha = alpha.pow(1 / finish.gamma)
    return replace(matte, alpha=alpha, foreground=colour)


def apply_specks(matte: DeviceMatte, specks: Specks, transfers: Transfers) -> DeviceMatte:
    """Make alpha 0 in islands and 1 in holes, where the foreground is then the frame."""
    alpha, foreground = matte.alpha, matte.foreground
    if specks.islands is not None:
        alpha = alpha * ~_send_mask(specks.islands, transfers)
    if specks.holes is not None:
        holes = _send_mask(specks.holes, transfers)
        alpha = torch.where(holes, 1.0, alpha)
        foreground = torch.where(holes, to_planes(transfers.send(matte.frame.pixels).take()), foreground)
    return matte if alpha is matte.alpha else replace(matte, alpha=alpha, foreground=foreground)


def _send_mask(mask: BoolArray, transfers: Transfers) -> Tensor:
    return transfers.send(mask.view(np.uint8)).take().bool()


def choke_alpha(alpha: Tensor, pixels: float) -> Tensor:
    """Shrink alpha by ``pixels``; a negative number grows it."""
    if pixels == 0:
        return alpha
    sign = -1 if pixels > 0 else 1  # erosion is dilation of the background
    whole, fraction = divmod(abs(pixels), 1)
    near = sign * _widen(sign * alpha, int(whole))
    if fraction == 0:
        return near
    return near * (1 - fraction) + sign * _widen(sign * alpha, int(whole) + 1) * fraction


def _widen(alpha: Tensor, radius: int) -> Tensor:
    """Largest value within a disc around each pixel, row by row of the disc."""
    height = len(alpha)
    widest = alpha
    for down in range(-min(radius, height - 1), min(radius, height - 1) + 1):
        reach = math.isqrt(int(radius * radius + radius * 0.5) - down * down)
        row = F.max_pool1d(alpha[None], 2 * reach + 1, 1, reach)[0]
        padding = (0, 0, max(down, 0), max(-down, 0))
        shifted = row[max(-down, 0) : height - max(down, 0)]
        widest = widest.maximum(F.pad(shifted, padding, value=-math.inf))
    return widest


def blur_alpha(alpha: Tensor, pixels: float) -> Tensor:
    """Blur by a Gaussian of this standard deviation, cut off at four deviations."""
    if pixels == 0:
        return alpha
    down, across = (_gaussian(side, pixels, alpha) for side in alpha.shape)
    return (down @ alpha @ across.T).clamp(0, 1)


def _gaussian(size: int, deviation: float, like: Tensor) -> Tensor:
    """Matrix ``(size, size)`` of a blur along one axis; the outermost pixels are repeated.

    A matrix product, because PyTorch rounds the inputs of convolutions to 10 bits on newer GPUs.
    """
    reach = (round(8 * deviation + 1) | 1) // 2
    offsets = torch.arange(-reach, reach + 1, device=like.device)
    kernel = torch.exp(-0.5 * (offsets / deviation) ** 2)
    places = (torch.arange(size, device=like.device)[:, None] + offsets).clamp(0, size - 1)
    shares = (kernel / kernel.sum()).expand(places.shape)
    return torch.zeros(size, size, device=like.device).scatter_add_(1, places, shares)


def bleed_colour(foreground: Tensor, alpha: Tensor, plate: Tensor | None, despill: float) -> Tensor:
    """Continue the subject's colour outward; with ``despill``, remove the plate's colour first."""
    top = FULL_RANGE[foreground.dtype]
    colour = foreground.float()
    subject = _spread_subject(colour, alpha, top)
    if plate is not None and despill > 0:
        colour = _take_off_plate(colour, alpha, subject, plate.float(), despill, top)
    weight = _ramp(alpha, KEPT, top)
    own, other = (colour * weight / top).round(), (subject * (top - weight) / top).round()
    return (own + other).clamp(max=top).to(foreground.dtype)


def _take_off_plate(
    colour: Tensor, alpha: Tensor, subject: Tensor, plate: Tensor, amount: float, top: int
) -> Tensor:
    solid, full = SPILLED
    own, near, behind = (picture / top for picture in (colour, subject, plate))
    way = behind - near
    share = ((own - near) * way).sum(0) / (way * way).sum(0).clamp(min=SHORTEST_WAY)
    weight = amount * ((full - alpha) / (full - solid)).clamp(0, 1)
    cleaned = (own - way * (share.clamp(0, 1) * weight)) * top
    return torch.where((alpha > KEPT[0]) & (alpha < full), cleaned.round().clamp(0, top), colour)


def _spread_subject(colour: Tensor, alpha: Tensor, top: int) -> Tensor:
    """The subject's colour everywhere, by averages over growing blocks, filled from coarse to fine."""
    weight = _ramp(alpha, SUBJECT, top)
    weighted = torch.cat([(colour * weight / top).round(), weight[None]])
    # In main memory the last band is shrunk separately, which matters if its height is no multiple of 4.
    whole = len(alpha) // BAND * BAND
    parts = [part for part in (weighted[:, :whole], weighted[:, whole:]) if part.shape[1]]
    # In 16 bits from the second halving on, because 8 bits cannot hold the weight of one pixel of 16.
    quarter = torch.cat([_halve_codes(_halve_codes(part) * (65535 // top)) for part in parts], 1)
    small = (_fill(quarter[:3], quarter[3]) * top).round().clamp(0, top)
    return _enlarge(small, (alpha.shape[0], alpha.shape[1])).round()


def _fill(colour: Tensor, weight: Tensor) -> Tensor:
    """Divide by the weight (65535: all); fill gaps from a picture of half the size."""
    own = colour / weight.clamp(min=1e-6)
    if weight.numel() == 1:
        return own
    coarser = _fill(_halve(colour), _halve(weight[None])[0])
    around = _enlarge(coarser, (weight.shape[0], weight.shape[1]))
    return around + (own - around) * (weight / (65535 * ENOUGH)).clamp(max=1)


def _enlarge(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(picture[None], size, mode="bilinear", align_corners=False)[0]


def _halve(picture: Tensor) -> Tensor:
    """Shrink to half the size (rounded up) by area averages."""
    height, width = picture.shape[1:]
    if height % 2 == width % 2 == 0:
        return F.avg_pool2d(picture, 2)
    down, across = cover(height, -(-height // 2), picture), cover(width, -(-width // 2), picture)
    return down @ picture @ across.T


def _halve_codes(picture: Tensor) -> Tensor:
    """Likewise, rounded as in main memory: halves up if whole pixels are averaged, else to even."""
    half = _halve(picture)
    return (half + 0.5).floor() if picture.shape[1] % 2 == picture.shape[2] % 2 == 0 else half.round()


def _ramp(alpha: Tensor, ends: tuple[float, float], top: int) -> Tensor:
    """Linear ramp from 0 at the first alpha to ``top`` at the second, in 256 steps of alpha."""
    steps = torch.arange(256, device=alpha.device, dtype=torch.float64) / 255
    table = ((steps - ends[0]) / (ends[1] - ends[0])).clamp(0, 1).mul(top).round().float()
    return table[(alpha * 255).round().long()]
