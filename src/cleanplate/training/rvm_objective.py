"""Objective of RVM: computes the terms of the loss of sequences, with the state passed from part to part."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from cleanplate.models.networks.rvm import RecurrentNetwork, State, shrink
from cleanplate.models.networks.rvm_decoder import as_sequence, each_frame
from cleanplate.training import losses
from cleanplate.training.stream import Batch
from cleanplate.training.synthesis.moving_sequences import Footage


class RecurrentObjective(nn.Module):
    """The loss as a module, so that ``DistributedDataParallel`` can wrap it.

    It keeps the network's state after the last part of a sequence, detached: gradients go back to the start
    of a part only (truncated back-propagation through time).

    Args:
        network: A :class:`cleanplate.models.networks.rvm.RecurrentNetwork`.
        precision: Precision of encoder and decoder; the guided filter is float32.
    """

    def __init__(self, network: nn.Module, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network, self._precision = network, precision
        self._memory: State | None = None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the terms of the loss, by name; the training minimises their sum."""
        footage = cast(Footage, batch.case)
        before = None if batch.begins else self._memory
        matte, _, after = run_through(self.network, footage.source, before, batch.scale, self._precision)
        first, second, third, fourth = (state.detach() for state in after)
        self._memory = (first, second, third, fourth)
        return {
            "alpha": losses.sequence_alpha_loss(matte[:, :, 3:], footage.alpha),
            "foreground": losses.sequence_foreground_loss(
                footage.source + matte[:, :, :3], footage.foreground, footage.alpha
            ),
        }


def run_through(
    network: nn.Module,
    source: Tensor,
    memory: State | None,
    scale: float,
    precision: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, State]:
    """Run the network on a sequence; unlike in the keyer, results are not clamped.

    Clamped values have no gradient: a network that starts with alpha below 0 would not learn.

    Args:
        network: A :class:`cleanplate.models.networks.rvm.RecurrentNetwork`.
        source: ``(B, T, 3, H, W)`` in [0, 1].
        memory: State after the frames before.
        scale: Size of the encoder's input over that of ``source``; at 1, the guided filter is left out.
        precision: See :class:`RecurrentObjective`.

    Returns:
        Foreground residual and alpha, float32 ``(B, T, 4, H, W)``; the same before the guided filter,
        ``(B, T, 4, h, w)``; and the next state.
    """
    recurrent = cast(RecurrentNetwork, network)
    small = shrink(source, scale) if scale != 1 else source
    with torch.autocast(source.device.type, precision, enabled=precision != torch.float32):
        hidden, memory = recurrent.decode(small, memory)
        coarse = each_frame(recurrent.project_mat, hidden)
    coarse = coarse.float()
    if scale == 1:
        return coarse, coarse, memory
    pictures = (x.flatten(0, 1) for x in (source, small, coarse, hidden.float()))
    return as_sequence(recurrent.refiner(*pictures), source), coarse, memory
