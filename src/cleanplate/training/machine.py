"""The machine's device and precision, and its settings of threads and memory for training."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from cleanplate.errors import OptionError, UnavailableError

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Choose the device for ``auto``, ``cpu`` or ``cuda``; with several GPUs, the one of this process.

    Raises:
        OptionError: The name is unknown.
        UnavailableError: The device is missing on this machine.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise OptionError(f"Unknown device '{name}'.", "training knows auto, cpu and cuda")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UnavailableError("PyTorch sees no CUDA device here.", "train with --device=cpu")
    if local_rank >= torch.cuda.device_count():
        raise UnavailableError(
            f"Process {local_rank} finds {torch.cuda.device_count()} CUDA devices.",
            "start one process per GPU: torchrun --nproc-per-node",
        )
    return torch.device("cuda", local_rank)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Resolve the precision of the coarse network's arithmetic; weights and losses are always float32.

    ``auto`` is bfloat16 if the hardware has it (Ampere and later; CPUs with AVX512-BF16 or AMX, where it
    is about twice as fast; others emulate it slowly), else float16 on CUDA and float32 on a CPU.

    Raises:
        OptionError: The name is unknown, or it is float16 on a CPU.
    """
    if name not in PRECISIONS:
        raise OptionError(f"Unknown precision '{name}'.", f"one of: {', '.join(PRECISIONS)}")
    if name == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16
        return torch.bfloat16 if _cpu_has_bfloat16() else torch.float32
    if name == "float16" and device.type == "cpu":
        raise OptionError("float16 cannot be trained on a CPU.", "use --precision=float32 or bfloat16")
    chosen: torch.dtype = getattr(torch, name)
    return chosen


def _cpu_has_bfloat16() -> bool:
    if sys.platform != "linux":
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
