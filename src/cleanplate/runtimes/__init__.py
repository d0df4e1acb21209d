"""What executes a model's networks: ONNX Runtime, which the core brings, or PyTorch."""

from cleanplate.runtimes.base import Runtime
from cleanplate.runtimes.choose import RUNTIMES, Availability, available_runtimes, open_runtime

__all__ = ["RUNTIMES", "Availability", "Runtime", "available_runtimes", "open_runtime"]
