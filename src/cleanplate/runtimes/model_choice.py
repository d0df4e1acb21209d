"""Choice of the model for ``--model auto``, by the runtime, the device and the processor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cleanplate.models.registry import Model, find_model
from cleanplate.runtimes.selection import expect_place
from cleanplate.system.processor import read_cpu_flags
from cleanplate.vocabulary import DEFAULT_MODEL, KeyerOptions
from cleanplate.vocabulary.options import AUTO_MODEL

INT8_MODEL = "lite-int8"

VNNI = ("avx512_vnni", "avx_vnni")
"""Flags of processors with instructions for products of bytes; without them int8 was slower than float."""


@dataclass(frozen=True)
class ModelChoice:
    """Model that ``auto`` takes.

    Attributes:
        name: Its name.
        reason: A clause for users.
    """

    name: str
    reason: str


def choose_model(options: KeyerOptions) -> ModelChoice:
    """Choose the model for ``auto``: int8 for ONNX Runtime on a CPU with VNNI, float elsewhere.

    Nothing is loaded. A wrong runtime or device gives the float model, and an error when it is opened.
    """
    runtime, device = str(options.runtime), options.device
    if runtime not in ("auto", "onnx"):
        return ModelChoice(DEFAULT_MODEL, f"int8 runs on ONNX Runtime only, the runtime is {runtime}")
    if device not in ("auto", "cpu"):
        return ModelChoice(DEFAULT_MODEL, f"int8 is faster on CPUs only, the device is {device}")
    if options.precision != "auto":
        return ModelChoice(DEFAULT_MODEL, f"the precision is {options.precision}")
    found = sorted(read_cpu_flags().intersection(VNNI))
    if not found:
        return ModelChoice(DEFAULT_MODEL, "no VNNI was found on this processor")
    runtime, device = expect_place(runtime, device)
    if (runtime, device) != ("onnx", "cpu"):
        return ModelChoice(DEFAULT_MODEL, f"the network runs with {runtime} on {device}")
    return ModelChoice(INT8_MODEL, f"ONNX Runtime on a CPU with {found[0]}")


def name_model(options: KeyerOptions) -> str | Path | Model:
    """The model of the options; for ``auto``, the name of the chosen one, or the model of an open runtime."""
    if isinstance(options.model, Model) or str(options.model) != AUTO_MODEL:
        return options.model
    if not isinstance(options.runtime, str):
        opened: Model = options.runtime.model
        return opened
    return choose_model(options).name


def find_model_for(options: KeyerOptions) -> Model:
    """Find the model of the options, ``auto`` among them.

    Raises:
        ModelError, UnavailableError, MissingExtraError: As of :func:`cleanplate.models.find_model`.
    """
    named = name_model(options)
    return named if isinstance(named, Model) else find_model(named)
