"""The training of ``lite``: one process, top to bottom.

Stage ``coarse`` trains the coarse network on pictures reduced to its own size; stage ``joint`` goes on with
coarse network and refiner together on full-size crops. Schedules follow the clock, not a step count, so that
``minutes`` is kept on any machine: ``progress`` is the share of them that is spent.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from cleanplate.networks.lite import SIZE_MULTIPLE, LiteNetwork
from cleanplate.networks.windows import cut_windows, refine_everywhere, refiner_inputs
from cleanplate.training.losses import alpha_loss, error_loss, foreground_loss
from cleanplate.training.material import Material, load_material
from cleanplate.training.synthesis import Case, Synthesis

_COARSE_SIZES = ((256, 448), (224, 384), (320, 512), (288, 288), (192, 352), (368, 640))
_JOINT_SIZES = ((432, 768), (512, 512), (384, 704))
_JOINT_SCALES = (0.5, 0.4, 1 / 3, 0.25)
_WINDOW = 160


@dataclass(frozen=True)
class Settings:
    """All that can be set about a run.

    Attributes:
        data: Root of the training material.
        out: Folder of the run: checkpoints, ``log.jsonl``.
        stage: ``"coarse"`` or ``"joint"``.
        minutes: How long to train, in all, also over several resumed runs.
        batch: Cases a step; half as many where they are full-size crops.
        learning_rate: At its peak, after the warm-up.
        start: Checkpoint whose weights to begin with.
        seed: Of the cases; a resumed run goes on with fresh ones.
        validate_minutes: Time between two validations, each followed by a checkpoint.
        workers: Processes that make cases.
        limit: Read so many files of each folder only.
        shapes: Procedural sprites to draw.
        trial_batches: Batches of four cases to validate on.
    """

    data: Path
    out: Path
    stage: str = "coarse"
    minutes: float = 60.0
    batch: int = 16
    learning_rate: float = 1e-3
    start: Path | None = None
    seed: int = 0
    validate_minutes: float = 8.0
    workers: int = 1
    limit: int | None = None
    shapes: int = 500
    trial_batches: int = 16


class _Cases(IterableDataset[tuple[str, Case]]):
    """An endless stream of batches and the stage that each is for; every worker has a seed of its own.

    The stage ``joint`` alternates: on crops alone the coarse network would forget how large subjects can be.
    """

    def __init__(self, material: Material, settings: Settings, seed: int) -> None:
        self._material, self._settings, self._seed = material, settings, seed

    def __iter__(self) -> Iterator[tuple[str, Case]]:
        worker = torch.utils.data.get_worker_info()
        number = worker.id if worker else 0
        torch.set_num_threads(1)
        seed = 1_000_003 * self._seed + number
        synthesis = Synthesis(self._material, seed=seed)
        random = torch.Generator().manual_seed(seed)
        stages = ("coarse",) if self._settings.stage == "coarse" else ("joint", "coarse")
        for stage in itertools.cycle(stages):
            sizes = _COARSE_SIZES if stage == "coarse" else _JOINT_SIZES
            count = self._settings.batch if stage == "coarse" else max(1, self._settings.batch // 2)
            height, width = sizes[int(torch.randint(len(sizes), (), generator=random))]
            low, high = (0.25, 0.8) if stage == "coarse" else (0.7, 1.0)
            synthesis.detail = low + (high - low) * float(torch.rand((), generator=random))
            yield stage, synthesis.batch(count, height, width)


def train(settings: Settings) -> Path:
    """Train, and return the path of the best checkpoint by validation."""
    settings.out.mkdir(parents=True, exist_ok=True)
    checkpoint, best_path = settings.out / "last.pt", settings.out / "best.pt"
    network = LiteNetwork()
    average = LiteNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    spent, step, best = 0.0, 0, math.inf
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        spent, step, best = state["spent"], state["step"], state["best"]
    else:
        if settings.start is not None:
            network.load_state_dict(torch.load(settings.start, weights_only=True)["average"])
        average.load_state_dict(network.state_dict())
    network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average.eval().requires_grad_(False)

    material = load_material(settings.data, "train", limit=settings.limit, shapes=settings.shapes)
    cases = DataLoader(
        _Cases(material, settings, settings.seed + step),
        batch_size=None, num_workers=settings.workers, prefetch_factor=3 if settings.workers else None,
    )  # fmt: skip
    trial = validation_cases(settings)
    log = (settings.out / "log.jsonl").open("a")
    began, validated = time.monotonic() - spent, spent
    running: dict[str, float] = {}
    for stage, case in cases:
        spent = time.monotonic() - began
        progress = min(1.0, spent / (60 * settings.minutes))
        rate = (
            settings.learning_rate
            * min(1.0, (step + 1) / 300)
            * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = step_losses(network, case, stage, step)
        loss = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        if torch.isfinite(norm):
            optimizer.step()
        step += 1
        with torch.no_grad():
            keep = min(0.999, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)
        for name, value in losses.items():
            now = float(value.detach())
            running[name] = 0.99 * running.get(name, now) + 0.01 * now
        if spent - validated > 60 * settings.validate_minutes or progress >= 1:
            validated = spent
            scores = validate(average, trial, settings.stage)
            record = {"minutes": round(spent / 60, 2), "step": step, "rate": rate, "loss": running, **scores}
            log.write(json.dumps(record) + "\n")
            log.flush()
            better = scores["mad"] < best
            best = min(best, scores["mad"])
            state = {
                "network": network.state_dict(), "average": average.state_dict(),
                "optimizer": optimizer.state_dict(), "spent": spent, "step": step,
                "best": best, "scores": scores,
            }  # fmt: skip
            _save(state, checkpoint)
            if better:
                _save(state, best_path)
        if progress >= 1:
            break
    log.close()
    return best_path


def step_losses(network: LiteNetwork, case: Case, stage: str, step: int) -> dict[str, Tensor]:
    """The terms of the loss for one batch."""
    scale = 1.0 if stage == "coarse" else _JOINT_SCALES[step // 2 % len(_JOINT_SCALES)]
    source, plate = _shrink(case, scale)
    with torch.autocast("cpu", torch.bfloat16):
        alpha, residual, error, hidden = network.coarse(source, plate)
    alpha, residual, error, hidden = (x.float() for x in (alpha, residual, error, hidden))
    size = (alpha.shape[2], alpha.shape[3])
    truth = F.interpolate(case.alpha, size, mode="area")
    colour = F.interpolate(case.foreground, size, mode="area")
    foreground = F.interpolate(source, size, mode="area") + residual
    losses = {
        "alpha": alpha_loss(alpha, truth),
        "foreground": foreground_loss(foreground, colour, truth),
        "error": error_loss(error, alpha, case.alpha),
    }
    if stage == "joint":
        half, full = refiner_inputs(alpha, residual, hidden, case.source, case.plate[:, :3])
        corners = interesting_corners(case.alpha, 2, _WINDOW)
        fine = network.refiner(*cut_windows(half, full, corners, _WINDOW))
        fine_truth, fine_colour, fine_source = (
            torch.stack([x[b, :, top : top + _WINDOW, left : left + _WINDOW] for b, top, left in corners])
            for x in (case.alpha, case.foreground, case.source)
        )
        losses["fine_alpha"] = alpha_loss(fine[:, :1], fine_truth)
        losses["fine_foreground"] = foreground_loss(fine_source + fine[:, 1:], fine_colour, fine_truth)
    return losses


def interesting_corners(alpha: Tensor, windows: int, side: int) -> list[tuple[int, int, int]]:
    """Where training the refiner pays: windows around random pixels of soft alpha, else anywhere.

    Args:
        alpha: ``(B, 1, H, W)``, true.
        windows: How many for each member of the batch.
        side: Of a window, in pixels.

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
                centre = [int(torch.randint(side_length, ())) for side_length in one.shape]
            top, left = (
                min(max(middle - side // 2, 0), length - side) // 2 * 2
                for middle, length in zip(centre, one.shape, strict=True)
            )
            corners.append((member, top, left))
    return corners


def _shrink(case: Case, scale: float) -> tuple[Tensor, Tensor]:
    """Source and plate at the coarse network's size, sides rounded to its multiple, channels last."""
    size = [max(1, round(side * scale / SIZE_MULTIPLE)) * SIZE_MULTIPLE for side in case.source.shape[2:]]
    source, plate = case.source, case.plate
    if size != list(source.shape[2:]):
        source, plate = (F.interpolate(x, size, mode="area") for x in (source, plate))
    return (
        source.contiguous(memory_format=torch.channels_last),
        plate.contiguous(memory_format=torch.channels_last),
    )


def validation_cases(settings: Settings) -> list[Case]:
    """The same cases for every run of a stage, from the held-out material."""
    material = load_material(
        settings.data, "validation", limit=settings.limit, shapes=min(60, settings.shapes)
    )
    synthesis = Synthesis(material, seed=7, detail=0.5 if settings.stage == "coarse" else 1.0)
    height, width = (288, 512) if settings.stage == "coarse" else (576, 1024)
    return [synthesis.batch(4, height, width) for _ in range(settings.trial_batches)]


@torch.no_grad()
def validate(network: LiteNetwork, cases: list[Case], stage: str) -> dict[str, float]:
    """Mean absolute difference of alpha: everywhere, off the subject (leak), inside it (holes)."""
    totals = torch.zeros(6, dtype=torch.float64)
    for case in cases:
        source, plate = _shrink(case, 1.0 if stage == "coarse" else 0.5)
        alpha, residual, _, hidden = network.coarse(source, plate)
        coarse = F.interpolate(alpha, case.alpha.shape[2:], mode="bilinear", align_corners=False)
        fine = coarse
        if stage == "joint":
            fine = refine_everywhere(
                network.refiner, alpha, residual, hidden, case.source, case.plate[:, :3]
            )[0]
        fine, truth = fine.clamp(0, 1), case.alpha
        off, inside = (truth < 0.004).double(), (truth > 0.98).double()
        made = (fine - truth).abs()
        totals += torch.stack([
            made.sum(dtype=torch.float64), (coarse - truth).abs().sum(dtype=torch.float64),
            (made * off).sum(), off.sum(), (made * inside).sum(), inside.sum(),
        ])  # fmt: skip
    pixels = sum(case.alpha.numel() for case in cases)
    mad, coarse_mad, leak, off_count, holes, inside_count = totals.tolist()
    return {
        "mad": mad / pixels, "coarse_mad": coarse_mad / pixels,
        "leak": leak / off_count, "holes": holes / max(inside_count, 1),
    }  # fmt: skip


def _save(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint beside ``path`` and rename it, so that a kill never leaves half a file."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
