"""Camera model for pictures ``(B, C, H, W)`` in [0, 1]: blur, exposure, noise, compression."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.training.synthesis.random_generator import RandomGenerator


def blur(pictures: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of ``sigma`` pixels and replicated borders."""
    radius = max(1, math.ceil(2.5 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=pictures.device)
    kernel = torch.exp(-0.5 * (offsets / max(sigma, 1e-3)) ** 2)
    kernel = kernel / kernel.sum()
    batch, channels, height, width = pictures.shape
    x = pictures.reshape(batch * channels, 1, height, width)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), kernel[None, None, None])
    x = F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), kernel[None, None, :, None])
    return x.reshape(pictures.shape)


def blur_matte(alpha: Tensor, foreground: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Blur alpha ``(B, 1, H, W)`` and premultiplied foreground: a defocused edge is a soft edge.

    Returns:
        Alpha and straight foreground ``(B, 3, H, W)``.
    """
    both = blur(torch.cat([foreground * alpha, alpha], dim=1), sigma)
    soft = both[:, 3:]
    return soft, torch.where(soft > 1e-3, both[:, :3] / soft.clamp(min=1e-3), foreground)


def expose(pictures: Tensor, gain: Tensor, gamma: Tensor) -> Tensor:
    """Apply gain and gamma to code values, and clip; ``gain`` and ``gamma`` broadcast to the batch."""
    # exp(gamma log x) takes a third of the time of a power.
    return pictures.clamp(min=1e-4).log_().mul_(gamma).exp_().mul_(gain).clamp_(0, 1)


class SensorNoise:
    """Noise with a deviation that grows with brightness, cropped at random from a field that is drawn once.

    The field is the same for all seeds; half of the cases get grain of two pixels, like that of cameras that
    denoise and resize.
    """

    _SIDE = 1400

    def __init__(self, device: torch.device) -> None:
        fixed = torch.Generator().manual_seed(0)
        fine = torch.randn(3, self._SIDE + 1, self._SIDE + 1, generator=fixed)
        coarse = 1.6 * F.avg_pool2d(fine, 2, 1)
        self._fields = (fine[:, :-1, :-1].to(device), coarse.to(device))

    def add(self, random: RandomGenerator, pictures: Tensor, level: Tensor) -> Tensor:
        """Add noise to ``(B, 3, H, W)``; ``level`` ``(B, 1, 1, 1)`` is its deviation at mid grey."""
        deviation = (0.3 + 1.4 * pictures.clamp(0, 1)).sqrt() * level
        height, width = pictures.shape[2:]
        # For pictures larger than the field, it is repeated.
        times = (1, -(-height // self._SIDE), -(-width // self._SIDE))
        fields = [field.repeat(times) for field in self._fields] if max(times) > 1 else self._fields
        for index in range(len(pictures)):
            field = fields[int(random.happens(0.5))]
            top = int(random.uniform() * (field.shape[1] - height))
            left = int(random.uniform() * (field.shape[2] - width))
            window = field[:, top : top + height, left : left + width]
            deviation[index] *= window if random.happens(0.5) else -window
        return pictures + deviation


# Quantisation steps of ISO/IEC 10918-1 (JPEG), annex K, which encoders scale by the quality.
_LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def compress(pictures: Tensor, quality: float) -> Tensor:
    """Simulate JPEG of this quality (1 to 100) on ``(B, 3, H, W)``: 8 x 8 DCT, halved chroma."""
    height, width = pictures.shape[2:]
    device = pictures.device
    to_ycc = torch.tensor(_TO_YCC, device=device)
    x = F.pad(pictures, (0, -width % 16, 0, -height % 16), mode="replicate") * 255
    ycc = F.conv2d(x, to_ycc[:, :, None, None])
    scale = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
    steps = torch.tensor(_LUMA_STEPS, device=device, dtype=torch.float32)
    luma = _quantise(ycc[:, :1] - 128, (steps * scale).clamp(min=1)) + 128
    chroma_steps = torch.where(steps > 40, torch.full_like(steps, 99.0), 1.4 * steps + 3)
    chroma = _quantise(F.avg_pool2d(ycc[:, 1:], 2), (chroma_steps * scale).clamp(min=1))
    chroma = F.interpolate(chroma, scale_factor=2.0, mode="bilinear", align_corners=False)
    rgb = F.conv2d(torch.cat([luma, chroma], dim=1), torch.linalg.inv(to_ycc)[:, :, None, None])
    return (rgb / 255).clamp(0, 1)[..., :height, :width]


def _quantise(planes: Tensor, steps: Tensor) -> Tensor:
    """Round the 8 x 8 DCT coefficients of ``(B, C, 8m, 8n)`` to multiples of ``steps`` ``(8, 8)``."""
    index = torch.arange(8, dtype=torch.float32, device=planes.device)
    basis = torch.cos((2 * index[None] + 1) * index[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    # One matrix of 64 x 64 for rows and columns: one large product instead of thousands of small ones.
    transform = torch.kron(basis, basis)
    batch, channels, height, width = planes.shape
    blocks = planes.reshape(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = steps.reshape(64)
    coefficients = (blocks.reshape(-1, 64) @ transform.T / steps).round() * steps
    blocks = (coefficients @ transform).reshape(batch, channels, height // 8, width // 8, 8, 8)
    return blocks.transpose(3, 4).reshape(planes.shape)
