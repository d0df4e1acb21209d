"""Learner: the network's weights, their average, the optimiser, and one training step."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cleanplate.models.network_builder import build_network
from cleanplate.training.distributed import Group, synchronise_batch_norms
from cleanplate.training.muon import Muon
from cleanplate.training.objective import Objective
from cleanplate.training.presets import Preset, TrainingStage
from cleanplate.training.rvm_objective import RecurrentObjective
from cleanplate.training.stream import Batch
from cleanplate.training.window_pool import WindowPool

MOST_GRADIENT = 1.0
"""Gradients are clipped to this norm, a usual value: single batches cannot move the weights far."""
AVERAGE_OVER = 1000
"""Window of the average of the weights in steps; shorter at the start. A choice: a tenth of a typical
training."""
KERNEL_DECAY = 0.05
"""Weight decay of the kernels that Muon trains, as their updates have a constant norm. A choice, not measured
apart."""
LEAST_CHANNELS = 12
"""Smallest number of channels on either side of a kernel that Muon trains. A choice: it leaves out the first
kernels and the heads."""


class Learner:
    """One stage's network and optimiser, the same in every process.

    Args:
        preset: The network and its losses.
        stage: Its learning rates; parts without one stay as they are.
        group: The processes that share the work.
        precision: Precision of the coarse network's arithmetic.
        weights: Initial weights; None for random ones.
        top_rate: The largest of the learning rates, which scales the others; None for the stage's own.
    """

    def __init__(
        self,
        preset: Preset,
        stage: TrainingStage,
        group: Group,
        precision: torch.dtype,
        weights: dict[str, Tensor] | None = None,
        top_rate: float | None = None,
    ) -> None:
        network = build_network(preset.config)
        if weights is not None:
            network.load_state_dict(weights)
        network.to(group.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.network, self.note = synchronise_batch_norms(network.train(), group)
        factor = 1.0 if top_rate is None else top_rate / max(stage.rates.values())
        groups = group_parameters(self.network, stage)
        self._rates = [factor * group["rate"] for group in groups]
        self.optimizer = Muon(
            [{name: value for name, value in group.items() if name != "rate"} for group in groups],
            preset.weight_decay,
        )
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=precision == torch.float16)
        some_skip_parts = len({course.refines for course in stage.courses}) > 1 or stage.again > 0
        self._again, self._pool = stage.again, WindowPool()
        self._plain_objective = objective = (
            Objective(self.network, preset, precision)
            if preset.config.needs_plate
            else RecurrentObjective(self.network, precision)
        )
        self._norms = [
            (module, module.momentum or 0.0)
            for module in self.network.modules()
            if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm)
        ]
        self._objective = group.parallel(objective, find_unused=some_skip_parts)

    def learn(self, batches: Iterator[Batch], accumulate: int, rate: float) -> dict[str, Tensor] | None:
        """Take one step of the optimiser.

        Args:
            batches: Iterator of batches; ``accumulate`` of them are used, and their gradients averaged.
            accumulate: Number of batches per step.
            rate: Learning rate as a share of its peak.

        Returns:
            Averaged terms of the loss; None if the gradient is not finite, and no step was taken.
        """
        for group, peak in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * peak
        self._hasten_statistics()
        self.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, Tensor] = {}
        for left in reversed(range(accumulate)):
            parts = next(batches).parts()
            for number, (part, share) in enumerate(parts, 1):
                # Gradients are exchanged between processes once a step, with the last part of the last batch.
                waits = left > 0 or number < len(parts)
                waits = waits and isinstance(self._objective, DistributedDataParallel)
                with self._objective.no_sync() if waits else nullcontext():  # type: ignore[operator]
                    terms = self._objective(part)
                    loss = torch.stack(list(terms.values())).sum() * (share / accumulate)
                    self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                for name, term in terms.items():
                    totals[name] = totals.get(name, 0) + term.detach() * (share / accumulate)
        finite = self._step()
        if finite:
            self._learn_again()
        return totals if finite else None

    def _learn_again(self) -> None:
        """Train the refiner alone on windows of earlier batches, where the stage wants it."""
        objective = self._plain_objective
        if not self._again or not isinstance(objective, Objective) or objective.windows is None:
            return
        windows, objective.windows = objective.windows, None
        self._pool.add(windows)
        for _ in range(self._again):
            self.optimizer.zero_grad(set_to_none=True)
            terms = self._objective(self._pool.draw(len(windows.alpha), windows.alpha.device))
            loss = torch.stack(list(terms.values())).sum()
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            self._step()

    def _step(self) -> bool:
        """Move the weights along the gradient, and return whether that is finite."""
        self.scaler.unscale_(self.optimizer)
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        norm = nn.utils.clip_grad_norm_(trained, MOST_GRADIENT)
        finite = bool(torch.isfinite(norm))
        if finite or self.scaler.is_enabled():  # the scaler skips the step itself, and learns from it
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return finite

    def _hasten_statistics(self) -> None:
        """Let new batch norms use the plain mean of their first batches, then their own momentum.

        MobileNetV3's average over 100 batches: before that, its statistics would still be the initial ones.
        """
        for norm, momentum in self._norms:
            seen = norm.num_batches_tracked
            norm.momentum = max(momentum, 1 / (1 + int(seen))) if seen is not None else momentum

    @torch.no_grad()
    def follow(self, steps: int) -> None:
        """Update the average of the weights, with a shorter window during the first steps."""
        keep = min(1 - 1 / AVERAGE_OVER, (steps + 1) / (steps + 10))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - keep)
        for mean, now in zip(self.average.buffers(), self.network.buffers(), strict=True):
            mean.copy_(now)

    def is_finite(self) -> bool:
        """Tell whether all weights and their averages are finite."""
        tensors = [*self.network.parameters(), *self.average.parameters()]
        return bool(torch.stack([torch.isfinite(tensor).all() for tensor in tensors]).all())

    def state(self) -> dict[str, Any]:
        """Collect the state for an exact continuation; tensors are not copied."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a result of :meth:`state`."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.scaler.load_state_dict(state["scaler"])


def group_parameters(network: nn.Module, stage: TrainingStage) -> list[dict[str, Any]]:
    """Make the optimiser's groups: ``params``, their peak ``rate`` and whether they are ``orthogonal``.

    Parameters without a rate in ``stage`` are frozen. Muon trains inner kernels; heads and kernels with few
    channels on a side (the first ones, the last ones) use AdamW.
    """
    kernels: list[nn.Parameter] = []
    parts: dict[str, list[nn.Parameter]] = {prefix: [] for prefix in stage.rates}
    for name, parameter in network.named_parameters():
        prefix = next((prefix for prefix in stage.rates if name.startswith(prefix)), None)
        if prefix is None:
            parameter.requires_grad_(False)
        elif stage.kernel_rate and _is_inner_kernel(name, parameter):
            kernels.append(parameter)
        else:
            parts[prefix].append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": parts[prefix], "rate": rate, "orthogonal": False} for prefix, rate in stage.rates.items()
    ]
    if kernels:
        kernel = {"rate": stage.kernel_rate, "orthogonal": True, "weight_decay": KERNEL_DECAY}
        groups.append({"params": kernels, **kernel})
    return groups


def _is_inner_kernel(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim == 4 and min(parameter.shape[:2]) >= LEAST_CHANNELS and ".head." not in name
