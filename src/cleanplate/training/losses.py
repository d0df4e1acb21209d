"""Losses of the training.

Alpha by L1, by L1 of its gradient and by L1 over a pyramid; foreground by L1 where there is some; error by
its squared difference from the actual error (Lin et al., CVPR 2021, section 4; the pyramid is this
project's). Sequences as in Lin et al., WACV 2022, section 4.3.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gradient(alpha: Tensor) -> Tensor:
    """Compute Sobel derivatives of ``(B, 1, H, W)``: ``(B, 2, H, W)``, in alpha per pixel."""
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=alpha.device) / 8
    kernels = torch.stack([across, across.T])[:, None].to(alpha.dtype)
    return F.conv2d(F.pad(alpha, (1, 1, 1, 1), mode="replicate"), kernels)


def alpha_loss(alpha: Tensor, truth: Tensor, levels: int = 3) -> Tensor:
    """Compute the loss of ``alpha`` against ``truth``, both ``(B, 1, H, W)``."""
    loss = (alpha - truth).abs().mean() + 2 * (gradient(alpha) - gradient(truth)).abs().mean()
    difference = alpha - truth
    for _ in range(levels):
        # Averages show errors that are small in single pixels: a faint leak over a wide area, a thin hole.
        difference = F.avg_pool2d(difference, 2, ceil_mode=True)
        loss = loss + 0.5 * difference.abs().mean()
    return loss


def foreground_loss(foreground: Tensor, truth: Tensor, alpha: Tensor, above: float = 0.02) -> Tensor:
    """Compute L1 of straight colour ``(B, 3, H, W)`` where the true alpha is above ``above``."""
    seen = (alpha > above).to(foreground.dtype)
    return ((foreground - truth).abs() * seen).mean()


def strand_alpha_loss(alpha: Tensor, truth: Tensor) -> Tensor:
    """Compute :func:`alpha_loss` plus the three finest levels of a Laplacian pyramid, which show strands."""
    difference = alpha - truth
    levels = laplacian_pyramid(difference)[:3]
    return alpha_loss(alpha, truth) + torch.stack([level.abs().mean() for level in levels]).sum()


def edge_foreground_loss(foreground: Tensor, truth: Tensor, alpha: Tensor) -> Tensor:
    """Compute :func:`foreground_loss` with a weight of 3 where the true alpha is between 0.02 and 0.99."""
    weight = (alpha > 0.02).to(foreground.dtype) * (1 + 2 * (alpha < 0.99).to(foreground.dtype))
    return ((foreground - truth).abs() * weight).mean()


def recomposition_loss(alpha: Tensor, foreground: Tensor, true_alpha: Tensor, true: Tensor) -> Tensor:
    """Compute L1 of the composite over a random colour for each member of the batch."""
    backdrop = torch.rand(len(alpha), 3, 1, 1).to(alpha.device)
    made = alpha * foreground + (1 - alpha) * backdrop
    return (made - (true_alpha * true + (1 - true_alpha) * backdrop)).abs().mean()


def error_loss(error: Tensor, alpha: Tensor, truth: Tensor) -> Tensor:
    """Compute the squared difference between predicted and true error.

    Args:
        error: ``(B, 1, h, w)`` at the size of the coarse maps.
        alpha: ``(B, 1, h, w)``, the coarse alpha; no gradient goes through it here.
        truth: ``(B, 1, H, W)`` at full size. The true error of a coarse pixel is the largest error of the
            enlarged alpha inside of it, because the refiner can still correct it.
    """
    with torch.no_grad():
        enlarged = F.interpolate(alpha.clamp(0, 1), truth.shape[2:], mode="bilinear", align_corners=False)
        made = F.adaptive_max_pool2d((enlarged - truth).abs(), (error.shape[2], error.shape[3]))
    return F.mse_loss(error, made)


def enlarged_error_loss(error: Tensor, alpha: Tensor, truth: Tensor) -> Tensor:
    """Compute the paper's error loss: both are enlarged to the size of ``truth`` and compared by pixels.

    Arguments as for :func:`error_loss`.
    """
    size = truth.shape[2:]
    enlarged, predicted = (
        F.interpolate(x, size, mode="bilinear", align_corners=False) for x in (alpha.detach(), error)
    )
    return F.mse_loss(predicted, (enlarged - truth).abs())


COHERENCE = 5.0
"""Weight of temporal coherence."""
PYRAMID_LEVELS = 5


def sequence_alpha_loss(alpha: Tensor, truth: Tensor) -> Tensor:
    """Compute the loss of ``alpha`` against ``truth``, both ``(B, T, 1, H, W)``: L1, pyramid, coherence."""
    loss = (alpha - truth).abs().mean()
    # A pyramid is linear: that of the difference is the difference of the two.
    for number, level in enumerate(laplacian_pyramid((alpha - truth).flatten(0, 1))):
        loss = loss + 2**number / PYRAMID_LEVELS * level.abs().mean()
    return loss + COHERENCE * incoherence(alpha, truth)


def sequence_foreground_loss(foreground: Tensor, truth: Tensor, alpha: Tensor) -> Tensor:
    """Compute L1 and coherence of straight colour ``(B, T, 3, H, W)`` where the true alpha is above 0."""
    seen = (alpha > 0).to(foreground.dtype)
    foreground, truth = foreground * seen, truth * seen
    return (foreground - truth).abs().mean() + COHERENCE * incoherence(foreground, truth)


def incoherence(made: Tensor, truth: Tensor) -> Tensor:
    """Compute the mean square difference between the frame-to-frame changes of two ``(B, T, C, H, W)``."""
    if made.shape[1] < 2:
        return made.new_zeros(())
    return F.mse_loss(made[:, 1:] - made[:, :-1], truth[:, 1:] - truth[:, :-1])


def laplacian_pyramid(pictures: Tensor) -> list[Tensor]:
    """Compute the Laplacian pyramid of ``(N, 1, H, W)``: five levels, the finest first; fewer if small.

    Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983; with a binomial kernel of even
    length, so that a pixel of the halved picture lies in the middle of four.
    """
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], device=pictures.device, dtype=pictures.dtype) / 8
    levels = []
    for _ in range(PYRAMID_LEVELS):
        height, width = pictures.shape[2:]
        if min(height, width) < 4:
            break
        padded = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
        across = F.conv2d(padded, row[None, None, None], stride=(1, 2))
        smaller = F.conv2d(across, row[None, None, :, None], stride=(2, 1))
        enlarged = F.interpolate(smaller, (height, width), mode="bilinear", align_corners=False)
        levels.append(pictures - enlarged)
        pictures = smaller
    return levels
