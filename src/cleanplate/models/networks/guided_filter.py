"""Guided filters: enlarge a small matte to the picture's size along the picture's edges.

A guided filter models the matte, in every small window, as ``a * picture + b`` (He et al., "Guided Image
Filtering", TPAMI 2013); ``a`` and ``b`` are found on the small picture and applied to the large one (He and
Sun, "Fast Guided Filter", arXiv 1505.00996). In the deep filter, convolutions predict ``a`` (Wu et al., "Fast
End-to-End Trainable Guided Filter", CVPR 2018). R, G and B each guide their foreground channel, their mean
guides alpha.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cleanplate.models.networks.blocks import resize

FAST_EPSILON = 1e-5


class FastGuidedFilter(nn.Module):
    """The guided filter without parameters; windows of 3 x 3."""

    def forward(self, source: Tensor, small: Tensor, matte: Tensor, hidden: Tensor) -> Tensor:  # noqa: ARG002
        """Enlarge like :meth:`DeepGuidedFilter.forward`; ``hidden`` is unused."""
        guide = with_mean(small)
        mean_guide, mean_matte = _mean(guide), _mean(matte)
        covariance = _mean(guide * matte) - mean_guide * mean_matte
        variance = _mean(guide * guide) - mean_guide * mean_guide
        slope = covariance / (variance + FAST_EPSILON)
        return _apply(slope, mean_matte - slope * mean_guide, source)


class DeepGuidedFilter(nn.Module):
    """The guided filter with slopes predicted from the window's statistics and the decoder's features.

    Args:
        hidden_channels: Channels of the decoder's features.
    """

    def __init__(self, hidden_channels: int = 16) -> None:
        super().__init__()
        self.box_filter = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        nn.init.constant_(self.box_filter.weight, 1 / 9)
        self.conv = nn.Sequential(
            nn.Conv2d(2 * 4 + hidden_channels, hidden_channels, 1, bias=False),
            nn.BatchNorm2d(hidden_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden_channels, hidden_channels, 1, bias=False),
            nn.BatchNorm2d(hidden_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden_channels, 4, 1),
        )

    def forward(self, source: Tensor, small: Tensor, matte: Tensor, hidden: Tensor) -> Tensor:
        """Enlarge a matte.

        Args:
            source: ``(n, 3, H, W)`` in [0, 1].
            small: The same picture at the matte's size, ``(n, 3, h, w)``.
            matte: Foreground residual and alpha, ``(n, 4, h, w)``.
            hidden: The decoder's features, ``(n, hidden_channels, h, w)``.

        Returns:
            Foreground residual and alpha, ``(n, 4, H, W)``, neither clamped.
        """
        guide = with_mean(small)
        mean_guide, mean_matte = self.box_filter(guide), self.box_filter(matte)
        covariance = self.box_filter(guide * matte) - mean_guide * mean_matte
        variance = self.box_filter(guide * guide) - mean_guide * mean_guide
        slope = self.conv(torch.cat([covariance, variance, hidden], dim=1))
        return _apply(slope, mean_matte - slope * mean_guide, source)


def with_mean(picture: Tensor) -> Tensor:
    """Append the mean of R, G and B as a fourth channel."""
    return torch.cat([picture, picture.mean(dim=1, keepdim=True)], dim=1)


def _mean(x: Tensor) -> Tensor:
    """Compute means of 3 x 3, with zeros outside the picture, as in the deep filter.

    Rows come first, then columns: where the picture is flat, a covariance is divided by little more than the
    epsilon, so that even the order of the additions is visible.
    """
    channels = x.shape[1]
    row = x.new_full((channels, 1, 1, 3), 1 / 3)
    means = nn.functional.conv2d(x, row, padding=(0, 1), groups=channels)
    return nn.functional.conv2d(means, row.transpose(2, 3), padding=(1, 0), groups=channels)


def _apply(slope: Tensor, offset: Tensor, source: Tensor) -> Tensor:
    height, width = source.shape[2], source.shape[3]
    return resize(slope, height, width) * with_mean(source) + resize(offset, height, width)
