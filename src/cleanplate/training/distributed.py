"""One process or many: who this one is, and what all of them agree on.

``torchrun`` starts the processes and says in environment variables how they find each other. Gradients
travel over NCCL between GPUs and over gloo between CPUs; what the loop has to agree on (the clock, a Ctrl-C)
are a few numbers on the host, and go over gloo always.
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
    """This process among those that train together.

    Attributes:
        rank: Its number; 0 writes the files and speaks to the user.
        world: How many there are.
        device: Where this one computes.
        local_world: How many share this machine.
    """

    rank: int
    world: int
    device: torch.device
    local_world: int = 1
    _control: Any = None

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def largest(self, values: Sequence[float]) -> list[float]:
        """The largest of each value over all processes."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def total(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over all processes."""
        return self._reduce(values, dist.ReduceOp.SUM)

    def parallel(self, module: nn.Module, *, find_unused: bool) -> nn.Module:
        """Wrap ``module`` so that its gradients are averaged over all processes; alone, it stays as it is.

        Args:
            module: Its trainable parameters are the same in every process.
            find_unused: Whether some batches leave some of the parameters alone.
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
    """Join the processes that torchrun started with this one; without torchrun, be alone.

    Raises:
        OptionError, UnavailableError: No such device.
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
    """Let batch norms see the batches of all processes, where PyTorch can do that.

    Returns:
        The network, and what the user should know; nothing if there is nothing to say.
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
