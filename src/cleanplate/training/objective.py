"""Objective: computes the terms of the loss of a batch; both networks run as in the keyer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.models.network_builder import TwoPartNetwork
from cleanplate.models.networks.whole_picture import FULL_HALO, cut_windows, refiner_inputs
from cleanplate.training.presets import Preset
from cleanplate.training.stream import Batch
from cleanplate.training.synthesis.synthesis import Case
from cleanplate.training.window_pool import Windows

Corner = tuple[int, int, int]

SOFT_WEIGHT = 0.3
"""Weight of errors around soft alpha, if the true alpha is an estimate. A choice: such alpha is right on
average, but not for each strand."""
EDGE_COLOUR = 0.3
"""Additional weight of the foreground's errors around soft alpha, as a share of alpha's. A choice between
alpha and colour."""


class Objective(nn.Module):
    """The loss as a module, so that ``DistributedDataParallel`` can wrap it.

    Args:
        network: A network of two parts, from :func:`cleanplate.models.network_builder.build_network`.
        preset: Preset with its inputs and its losses.
        precision: Of the coarse network's arithmetic. The refiner's is float32: it is small, and its alpha
            is the result.

    Attributes:
        windows: Those of the last batch that trained the refiner, without gradients.
    """

    def __init__(self, network: nn.Module, preset: Preset, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network, self._preset, self._precision = network, preset, precision
        self.windows: Windows | None = None

    def forward(self, batch: Batch | Windows) -> dict[str, Tensor]:
        """Compute the terms of the loss, by name, for their sum; windows train the refiner alone."""
        if isinstance(batch, Windows):
            return self._refine(batch)
        case, losses = cast(Case, batch.case), self._preset.losses
        network = cast(TwoPartNetwork, self.network)
        source, plate = feed(case, batch.scale, self._preset)
        device = source.device.type
        with torch.autocast(device, self._precision, enabled=self._precision != torch.float32):
            maps: Any = network.coarse(source, plate)
        alpha, residual, error, hidden = (x.float() for x in maps)
        size = (alpha.shape[2], alpha.shape[3])
        truth, colour, seen = (
            F.interpolate(x, size, mode="area") for x in (case.alpha, case.foreground, source)
        )
        trust = weigh_soft(truth, case.trust)
        terms = {
            "alpha": losses.alpha(truth + trust * (alpha - truth), truth),
            "foreground": losses.foreground(colour + trust * (seen + residual - colour), colour, truth),
            "error": losses.error(error, alpha, case.alpha),
        }
        if not batch.refines:
            return terms
        side = self._preset.window
        corners = soft_corners(case.alpha, self._preset.soft_windows, side)
        corners += doubtful_corners(error, case.alpha, self._preset.doubtful_windows, side)
        half, full = refiner_inputs(alpha, residual, hidden, case.source, case.plate[:, :3])
        fine_truth, fine_colour = (
            torch.stack([x[b, :, top : top + side, left : left + side] for b, top, left in corners])
            for x in (case.alpha, case.foreground)
        )
        trust = case.alpha.new_ones(len(case.alpha), 1, 1, 1) if case.trust is None else case.trust
        members = torch.tensor([member for member, _, _ in corners], device=trust.device)
        windows = Windows(*cut_windows(half, full, corners, side), fine_truth, fine_colour, trust[members])
        self.windows = replace(windows, half=windows.half.detach())
        return {**terms, **self._refine(windows)}

    def _refine(self, windows: Windows) -> dict[str, Tensor]:
        """Compute the terms of the refiner's loss."""
        losses, truth, colour = self._preset.losses, windows.alpha, windows.foreground
        refiner = cast(nn.Module, cast(TwoPartNetwork, self.network).refiner)
        fine = refiner(windows.half, windows.full)
        seen = windows.full[:, :3, FULL_HALO:-FULL_HALO, FULL_HALO:-FULL_HALO]
        trust = weigh_soft(truth, windows.trust)
        off_alpha, off_colour = trust * (fine[:, :1] - truth), trust * (seen + fine[:, 1:] - colour)
        edge = losses.edge * grow_soft(truth, 7) if losses.edge else 0.0
        # Errors are weighed by moving the results towards the truth: all terms are linear in them.
        made_alpha = truth + (1 + edge) * off_alpha
        made_colour = colour + (1 + EDGE_COLOUR * edge) * off_colour
        terms = {
            "fine_alpha": losses.alpha(made_alpha, truth),
            "fine_foreground": losses.foreground(made_colour, colour, truth),
        }
        if losses.flat:
            flat = ((truth < 0.004) | (truth > 0.98)).to(truth.dtype)
            terms["flat_alpha"] = losses.flat * ((fine[:, :1] - truth).abs() * flat).mean()
        if losses.recomposed is not None:
            terms["recomposed"] = losses.recomposed(truth + off_alpha, colour + off_colour, truth, colour)
        return terms


def weigh_soft(alpha: Tensor, trust: Tensor | None) -> Tensor:
    """Compute the weight of each pixel's error: lower around the soft part of an estimated alpha.

    Args:
        alpha: True alpha ``(B, 1, H, W)``.
        trust: ``(B, 1, 1, 1)`` of :class:`Case`; None: 1 for all.
    """
    if trust is None:
        return torch.ones_like(alpha)
    return 1 - (1 - SOFT_WEIGHT) * (1 - trust) * grow_soft(alpha, 5)


def grow_soft(alpha: Tensor, side: int) -> Tensor:
    """Mark squares of ``side`` pixels around each soft alpha with 1."""
    soft = ((alpha > 0.01) & (alpha < 0.99)).to(alpha.dtype)
    return F.max_pool2d(soft, side, 1, side // 2)


def feed(case: Case, scale: float, preset: Preset) -> tuple[Tensor, Tensor]:
    """Prepare source and plate for the coarse network: size, plate channels, channels last."""
    config = preset.config
    source, plate = case.source, case.plate[:, : config.plate_channels]
    multiple = config.size_multiple
    size = [max(1, round(side * scale / multiple)) * multiple for side in source.shape[2:]]
    if size != list(source.shape[2:]):
        # Bilinear as at inference, where BGMv2's pictures are reduced without smoothing.
        how: dict[str, Any] = {"mode": "bilinear", "align_corners": False}
        how = {"mode": "area"} if config.shrink == "area" else how
        source, plate = (F.interpolate(x, size, **how) for x in (source, plate))
    return (
        source.contiguous(memory_format=torch.channels_last),
        plate.contiguous(memory_format=torch.channels_last),
    )


def soft_corners(alpha: Tensor, windows: int, side: int) -> list[Corner]:
    """Choose windows for training the refiner: around random pixels of soft alpha, else anywhere.

    Args:
        alpha: ``(B, 1, H, W)``, true.
        windows: Number of windows for each member of the batch.
        side: Side of a window in pixels.

    Returns:
        Member, top and left of each window; top and left are even.
    """
    corners = []
    for member, one in enumerate(alpha[:, 0]):
        soft = ((one > 0.02) & (one < 0.98)).nonzero()
        for _ in range(windows):
            if len(soft):
                centre = soft[int(torch.randint(len(soft), ()))].tolist()
            else:
                centre = [int(torch.randint(length, ())) for length in one.shape]
            corners.append(_around(member, centre, (one.shape[0], one.shape[1]), side))
    return corners


@torch.no_grad()
def doubtful_corners(error: Tensor, alpha: Tensor, windows: int, side: int) -> list[Corner]:
    """Choose windows around pixels drawn in proportion to the predicted error ``(B, 1, h, w)``."""
    if windows == 0:
        return []
    height, width = alpha.shape[2:]
    rows, columns = error.shape[2:]
    chance = error.flatten(1).clamp(min=1e-4)
    corners = []
    for member, cells in enumerate(torch.multinomial(chance, windows, replacement=True).tolist()):
        for cell in cells:
            centre = [(cell // columns) * height // rows, (cell % columns) * width // columns]
            corners.append(_around(member, centre, (height, width), side))
    return corners


def _around(member: int, centre: list[int], size: tuple[int, int], side: int) -> Corner:
    top, left = (
        min(max(middle - side // 2, 0), length - side) // 2 * 2
        for middle, length in zip(centre, size, strict=True)
    )
    return member, top, left
