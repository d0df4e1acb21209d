"""Validation of the averaged network on fixed cases made of held-out material."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.models.network_builder import TwoPartNetwork
from cleanplate.models.networks.rvm import State
from cleanplate.models.networks.whole_picture import refine_everywhere
from cleanplate.training.distributed import Group
from cleanplate.training.objective import feed
from cleanplate.training.presets import Preset, Trial
from cleanplate.training.rvm_objective import run_through
from cleanplate.training.synthesis.material import Material
from cleanplate.training.synthesis.moving_sequences import Footage, SequenceSynthesis
from cleanplate.training.synthesis.synthesis import Case, Synthesis

SEED = 7
_CASES_AT_ONCE = 4
_SEQUENCES_AT_ONCE = 2
_REFINED_FROM = 0.1
"""Predicted error above which a pixel counts as refined, similar to the router's choice."""


@dataclass(frozen=True)
class Prediction:
    """Result of the networks for a case.

    Attributes:
        alpha: Alpha in [0, 1], shaped like the true one.
        coarse_alpha: Alpha without the refiner.
        foreground: Foreground in [0, 1], shaped like the true one.
    """

    alpha: Tensor
    coarse_alpha: Tensor
    foreground: Tensor


class Validation:
    """Validation cases of one stage; each process keeps and measures its share of them.

    Args:
        material: Held-out material.
        preset: Preset of the networks' inputs.
        trial: Size and detail of the cases.
        batches: Number of batches of four cases or two sequences, over all processes.
        group: The processes.
    """

    def __init__(self, material: Material, preset: Preset, trial: Trial, batches: int, group: Group) -> None:
        self._preset, self._trial, self._group = preset, trial, group
        maker = Synthesis if preset.config.needs_plate else SequenceSynthesis
        synthesis = maker(material, faults=preset.faults, seed=SEED, device=group.device, detail=trial.detail)
        self._cases: list[Case | Footage] = []
        for number in range(group.rank, batches, group.world):
            synthesis.reseed(SEED + number)
            case = (
                synthesis.batch(_CASES_AT_ONCE, *trial.size)
                if isinstance(synthesis, Synthesis)
                else synthesis.batch(_SEQUENCES_AT_ONCE, trial.frames, *trial.size)
            )
            # As bytes: pictures are multiples of 1/255, and bytes take a quarter of the memory.
            self._cases.append(case.map(lambda x: x.mul(255).round().byte()))

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Measure the mean difference of alpha: everywhere, outside (leak) and inside of the subject (holes).

        ``coarse_mad`` is the MAD without the refiner. Sequences have ``dtssd``, too. All processes must call
        this together.
        """
        totals = torch.zeros(9, dtype=torch.float64)
        for case in map(_unpack, self._cases):
            made = predict(network, case, self._preset, self._trial)
            truth = case.alpha
            off, inside = truth < 0.004, truth > 0.98
            difference = (made.alpha - truth).abs().double()
            flicker = _flicker(made.alpha, truth)
            totals += torch.stack([
                difference.sum(), (made.coarse_alpha - truth).abs().double().sum(), difference[off].sum(),
                off.sum(), difference[inside].sum(), inside.sum(), torch.tensor(truth.numel()),
                flicker.sum(), torch.tensor(flicker.numel()),
            ]).cpu()  # fmt: skip
        sums = self._group.total(totals.tolist())
        mad, coarse_mad, leak, off_count, holes, inside_count, pixels, dtssd, pairs = sums
        scores = {
            "mad": mad / max(pixels, 1), "coarse_mad": coarse_mad / max(pixels, 1),
            "leak": leak / max(off_count, 1), "holes": holes / max(inside_count, 1),
        }  # fmt: skip
        return {**scores, "dtssd": dtssd / pairs} if pairs else scores

    def example(self, network: nn.Module) -> tuple[Case | Footage, Prediction]:
        """Give the first cases, and the network's results for them."""
        case = _unpack(self._cases[0])
        return case, predict(network, case, self._preset, self._trial)


@torch.no_grad()
def predict(network: nn.Module, case: Case | Footage, preset: Preset, trial: Trial) -> Prediction:
    """Run the network on a case; the refiner's result is used where the predicted error is high."""
    if isinstance(case, Footage):
        return _predict_sequences(network, case, trial)
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
    return Prediction(fine.clamp(0, 1), coarse_alpha, (case.source + colour).clamp(0, 1))


def _predict_sequences(network: nn.Module, footage: Footage, trial: Trial) -> Prediction:
    """Run frame by frame, as in use: a batch of whole sequences would take gigabytes."""
    memory: State | None = None
    mattes, enlarged = [], []
    for source in footage.source.unbind(1):
        matte, coarse, memory = run_through(network, source[:, None], memory, trial.scale)
        size = (source.shape[2], source.shape[3])
        mattes.append(matte)
        enlarged.append(F.interpolate(coarse[:, 0, 3:], size, mode="bilinear", align_corners=False))
    matte = torch.cat(mattes, dim=1)
    colour = (footage.source + matte[:, :, :3]).clamp(0, 1)
    return Prediction(matte[:, :, 3:].clamp(0, 1), torch.stack(enlarged, dim=1).clamp(0, 1), colour)


def _flicker(alpha: Tensor, truth: Tensor) -> Tensor:
    """Compute dtSSD of each pair of consecutive frames of ``(B, T, 1, H, W)``; empty for single pictures."""
    if alpha.ndim < 5:
        return alpha.new_zeros(0)
    change = (alpha[:, 1:] - alpha[:, :-1]) - (truth[:, 1:] - truth[:, :-1])
    return change.double().square().mean(dim=(2, 3, 4)).sqrt()


def _unpack(case: Case | Footage) -> Case | Footage:
    return case.map(lambda x: x.float().div(255))
