"""Runtimes, which execute a model's networks: ONNX Runtime (part of the core), PyTorch and others."""

from cleanplate.runtimes.recurrent_runtime import RecurrentRuntime
from cleanplate.runtimes.runtime import Runtime
from cleanplate.runtimes.selection import (
    Availability,
    available_runtimes,
    has_files_for,
    open_recurrent_runtime,
    open_runtime,
)
from cleanplate.vocabulary import RUNTIMES

__all__ = [
    "RUNTIMES",
    "Availability",
    "RecurrentRuntime",
    "Runtime",
    "available_runtimes",
    "has_files_for",
    "open_recurrent_runtime",
    "open_runtime",
]
