"""The compositing equation inside of a refiner, as plain arithmetic.

A pixel is C = alpha F + (1 - alpha) B. The plate shows B, so a colour F of the subject gives alpha, and the
residual tells how well F fits. Convolutions cannot divide; therefore these maps are inputs of the refiner.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.models.networks.blocks import JoinedConvolution, clamp_to_unit
from cleanplate.models.networks.local_colours import CANDIDATES, COLOUR_CHANNELS

LEAST_CONTRAST = 2e-3
"""Added to the squared distance of F and B: a distance below 0.04 is mostly noise."""
MAPS = 3
"""Maps of each candidate: alpha, residual, contrast."""


def solve(source: Tensor, plate: Tensor, subject: Tensor) -> Tensor:
    """Solve the compositing equation for alpha, pixel by pixel.

    Args:
        source: C, ``(B, 3, H, W)``.
        plate: B, of the same shape.
        subject: F, of the same shape.

    Returns:
        ``(B, 3, H, W)``: alpha in [0, 1], the distance of C from the mixture of F and B with this alpha, and
        the distance of F from B.
    """
    along = source - plate
    return _solve(along, _square(along), subject - plate)


def _solve(along: Tensor, length: Tensor, across: Tensor) -> Tensor:
    """:func:`solve` for C - B, its squared length, and F - B."""
    alpha, shared, contrast = _project(along, across)
    residual = length - alpha * (2 * shared - alpha * contrast)
    return torch.cat([alpha, _root(torch.cat([residual, contrast], dim=1))], dim=1)


def _project(along: Tensor, across: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute alpha of :func:`solve` for C - B and F - B, their product, and the square of F - B."""
    contrast, shared = _square(across), (along * across).sum(dim=1, keepdim=True)
    return (shared / (contrast + LEAST_CONTRAST)).clamp(0, 1), shared, contrast


def _square(x: Tensor) -> Tensor:
    return (x * x).sum(dim=1, keepdim=True)


def _root(squares: Tensor) -> Tensor:
    return squares.clamp(min=1e-6).sqrt()


class EquationRefiner(nn.Module):
    """A refiner that finds the subject's colour, and solves the equation for alpha with it.

    The plate is first relit like the source. The equation solved for each candidate colour of the subject, at
    half and at full size, are inputs of the convolutions. The last one gives an alpha, the residual of the
    foreground, weights that blend the foreground with the candidates' colours, and the weight that blends
    alpha with the one solved for the resulting foreground. Inputs, halos and output are those of
    :class:`cleanplate.models.networks.refiner.Refiner`.

    Args:
        hidden_channels: Channels of the coarse network's hidden features; the last are local colours.
        widths: Output channels of the first three convolutions.
    """

    def __init__(self, hidden_channels: int, widths: tuple[int, int, int] = (32, 16, 16)) -> None:
        super().__init__()
        self.learnt = hidden_channels - COLOUR_CHANNELS
        maps = MAPS * CANDIDATES
        self.conv1 = nn.Conv2d(hidden_channels + 10 + maps, widths[0], 3)
        self.conv2 = nn.Conv2d(widths[0], widths[1], 3)
        self.conv3 = JoinedConvolution((widths[1], 6 + maps), widths[2], 3)
        self.conv4 = nn.Conv2d(widths[2], 5 + CANDIDATES, 3)

    def forward(self, half: Tensor, full: Tensor) -> Tensor:
        """Refine tiles of ``h`` x ``w`` pixels (both even).

        Args:
            half: ``cat(hidden, alpha, residual, source, plate)`` at half resolution,
                ``(n, hidden + 10, h / 2 + 6, w / 2 + 6)``: a halo of 3, zeros outside the picture.
            full: ``cat(source, plate)`` at full resolution, ``(n, 6, h + 4, w + 4)``: a halo of 2, likewise.

        Returns:
            ``(n, 4, h, w)``: alpha and the foreground residual, neither clamped.
        """
        colours = half[:, self.learnt : self.learnt + COLOUR_CHANNELS]
        along, across = _differences(half[:, -6:-3], half[:, -3:], colours)
        x = torch.cat([half, *_solve_all(along, across)], dim=1)
        x = _double(F.relu(self.conv2(F.relu(self.conv1(x)))))
        # Crop the colours to the full window: its halo of 2 is one of 1 at half size.
        colours = _double(colours[:, :, 2:-2, 2:-2])
        source = full[:, :3]
        along, across = _differences(source, full[:, 3:], colours)
        x = self.conv4(F.relu(self.conv3(x, torch.cat([full, *_solve_all(along, across)], dim=1))))
        alpha, residual, shares = x[:, :1], x[:, 1:4], clamp_to_unit(x[:, 4:], self.training)
        source, colours, along = (y[:, :, 2:-2, 2:-2] for y in (source, colours, along))
        for number in range(CANDIDATES):
            candidate = colours[:, 3 * number : 3 * number + 3]
            residual = residual + shares[:, number + 1 : number + 2] * (candidate - source)
        solved, _, _ = _project(along, along + residual)  # F - B is C - B and the residual F - C
        return torch.cat([alpha + shares[:, :1] * (solved - alpha), residual], dim=1)

    @torch.no_grad()
    def take_over(self, older: Mapping[str, Tensor]) -> None:
        """Start from the weights of a refiner without batch norms that does not solve the equation.

        All other weights start small and random, so that the first results are close to those of that
        refiner.

        Args:
            older: State dict of that refiner, with the same learnt hidden channels.
        """
        joined = self.conv3.parts[0]
        places = {
            "conv1": ((0, 0, self.learnt), (self.learnt + COLOUR_CHANNELS, self.learnt, 10)),
            "conv2": ((0, 0, older["conv2.weight"].shape[1]),),
            "conv3": ((0, 0, older["conv2.weight"].shape[0]), (joined, older["conv2.weight"].shape[0], 6)),
            "conv4": ((0, 0, older["conv4.weight"].shape[1]),),
        }
        for name, runs in places.items():
            layer: nn.Conv2d = getattr(self, name)
            weight, bias = older[f"{name}.weight"], older[f"{name}.bias"]
            layer.weight.mul_(0.1)
            for place, first, count in runs:
                layer.weight[: len(weight), place : place + count] = weight[:, first : first + count]
            layer.bias[: len(bias)] = bias  # type: ignore[index]


def _differences(source: Tensor, plate: Tensor, colours: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Compute C - B with the relit plate, and F - B for each candidate."""
    lit = (2 * plate * colours[:, 3 * CANDIDATES :]).clamp(0, 1)
    return source - lit, [colours[:, 3 * n : 3 * n + 3] - lit for n in range(CANDIDATES)]


def _solve_all(along: Tensor, across: list[Tensor]) -> list[Tensor]:
    """Run :func:`solve` for each candidate."""
    length = _square(along)
    return [_solve(along, length, one) for one in across]


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
