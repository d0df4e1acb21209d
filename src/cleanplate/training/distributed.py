"""Distributed training: the group of processes, and values that they agree on.

``torchrun`` starts the processes and sets environment variables for their connection. Gradients are exchanged
over NCCL between GPUs and over gloo between CPUs; the few numbers on which the loop has to agree (the clock,
a Ctrl-C) are on the host and always use gloo.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cleanplate.training.machine import choose_device


@dataclass(frozen=True)
class Group:
    """This process among the processes of a training.

    Attributes:
        rank: Number of this process; 0 writes the files and reports to the user.
        world: Number of processes.
        device: Device of this process.
        local_world: Number of processes on this machine.
    """

    rank: int
    world: int
    device: torch.device
    local_world: int = 1
    _control: Any = None

    @property
    def leads(self) -> bool:
        """True if this process writes the files."""
        return self.rank == 0

    def largest(self, values: Sequence[float]) -> list[float]:
        """Compute the maximum of each value over all processes."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def total(self, values: Sequence[float]) -> list[float]:
        """Compute the sum of each value over all processes."""
        return self._reduce(values, dist.ReduceOp.SUM)

    def parallel(self, module: nn.Module, *, find_unused: bool) -> nn.Module:
        """Wrap ``module`` so that its gradients are averaged over all processes; no change for a single one.

        Args:
            module: A module with equal trainable parameters in every process.
            find_unused: Whether some batches use only a part of the parameters.
        """
        if self.world == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=find_unused)

    def _reduce(self, values: Sequence[float], operation: Any) -> list[float]:
        if self.world == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor, operation, group=self._control)
        return [float(value) for value in tensor]


@contextmanager
def join_group(device: str) -> Iterator[Group]:
    """Join the processes that torchrun started; without torchrun, make a group of one.

    Raises:
        OptionError, UnavailableError: The device is unknown or missing.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or "RANK" not in os.environ:
        yield Group(0, 1, choose_device(device))
        return
    where = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if where.type == "cuda":
        torch.cuda.set_device(where)
    dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
    control = dist.new_group(backend="gloo")
    local_world = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    yield Group(dist.get_rank(), world, where, local_world, control)
    # Only after success: when one process fails, waiting here for the others would hide its error.
    dist.destroy_process_group()


def synchronise_batch_norms(network: nn.Module, group: Group) -> tuple[nn.Module, str]:
    """Make batch norms use the batches of all processes, if PyTorch supports that.

    Returns:
        The network, and a note for the user, which may be empty.
    """
    if group.world == 1 or not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return network, ""
    if group.device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted, ""
    return network, (
        "On CPUs each process normalises its own batch (PyTorch's SyncBatchNorm needs CUDA): "
        "keep --batch at 4 or more."
    )
