"""How good the averaged network is on cases that are always the same, made of held-out material."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.models.build import TwoPartNetwork
from cleanplate.networks.windows import refine_everywhere
from cleanplate.training.distributed import Group
from cleanplate.training.material import Material
from cleanplate.training.objective import feed
from cleanplate.training.presets import Preset, Trial
from cleanplate.training.synthesis import Case, Synthesis

SEED = 7
_CASES_AT_ONCE = 4
_REFINED_FROM = 0.1
"""Predicted error from which a pixel counts as refined: about what the router would choose."""


@dataclass(frozen=True)
class Prediction:
    """What the networks make of a case: fine and coarse alpha ``(B, 1, H, W)`` in [0, 1], colour, error."""

    alpha: Tensor
    coarse_alpha: Tensor
    foreground: Tensor
    error: Tensor


class Validation:
    """The cases of one stage; each process keeps and measures its share of them.

    Args:
        material: The held-out part.
        preset: How the networks are fed.
        trial: Size and detail of the cases.
        batches: How many batches of four, over all processes.
        group: The processes.
    """

    def __init__(self, material: Material, preset: Preset, trial: Trial, batches: int, group: Group) -> None:
        self._preset, self._trial, self._group = preset, trial, group
        synthesis = Synthesis(
            material, faults=preset.faults, seed=SEED, device=group.device, detail=trial.detail
        )
        self._cases = []
        for number in range(group.rank, batches, group.world):
            synthesis.reseed(SEED + number)
            case = synthesis.batch(_CASES_AT_ONCE, *trial.size)
            # As bytes: pictures are multiples of 1/255 anyway, and this is a quarter of the memory.
            self._cases.append(_map(case, lambda x: x.mul(255).round().byte()))

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Mean absolute difference of alpha: everywhere, off the subject (leak), inside it (holes).

        ``coarse_mad`` is that of the coarse network alone, enlarged. All processes call this together.
        """
        totals = torch.zeros(7, dtype=torch.float64)
        for case in map(_unpack, self._cases):
            made = predict(network, case, self._preset, self._trial)
            truth = case.alpha
            off, inside = truth < 0.004, truth > 0.98
            difference = (made.alpha - truth).abs().double()
            totals += torch.stack([
                difference.sum(), (made.coarse_alpha - truth).abs().double().sum(), difference[off].sum(),
                off.sum(), difference[inside].sum(), inside.sum(), torch.tensor(truth.numel()),
            ]).cpu()  # fmt: skip
        sums = self._group.total(totals.tolist())
        mad, coarse_mad, leak, off_count, holes, inside_count, pixels = sums
        return {
            "mad": mad / max(pixels, 1), "coarse_mad": coarse_mad / max(pixels, 1),
            "leak": leak / max(off_count, 1), "holes": holes / max(inside_count, 1),
        }  # fmt: skip

    def example(self, network: nn.Module) -> tuple[Case, Prediction]:
        """The first cases, and what the network makes of them."""
        case = _unpack(self._cases[0])
        return case, predict(network, case, self._preset, self._trial)


@torch.no_grad()
def predict(network: nn.Module, case: Case, preset: Preset, trial: Trial) -> Prediction:
    """Run both networks on a case; the refiner's result counts where the predicted error is high."""
    parts = cast(TwoPartNetwork, network)
    maps: Any = parts.coarse(*feed(case, trial.scale, preset))
    alpha, residual, error, hidden = maps
    size = (case.alpha.shape[2], case.alpha.shape[3])
    coarse_alpha, colour, doubt = (
        F.interpolate(x, size, mode="bilinear", align_corners=False) for x in (alpha, residual, error)
    )
    coarse_alpha, fine = coarse_alpha.clamp(0, 1), coarse_alpha
    if trial.refines:
        plate = case.plate[:, :3]
        refiner = cast(nn.Module, parts.refiner)
        refined, fine_colour = refine_everywhere(refiner, alpha, residual, hidden, case.source, plate)
        chosen = doubt > _REFINED_FROM
        fine, colour = torch.where(chosen, refined, fine), torch.where(chosen, fine_colour, colour)
    return Prediction(fine.clamp(0, 1), coarse_alpha, (case.source + colour).clamp(0, 1), doubt.clamp(0, 1))


def _unpack(case: Case) -> Case:
    return _map(case, lambda x: x.float().div(255))


def _map(case: Case, function: Any) -> Case:
    return Case(*(function(x) for x in (case.source, case.plate, case.alpha, case.foreground)))
