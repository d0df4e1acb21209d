"""Checkpoints of BGMv2's authors: recognised by names and shapes of their tensors, and checked one by one.

https://github.com/PeterL1n/BackgroundMattingV2 (MIT licence, weights too). Reading never runs code from the
file.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.errors import MissingExtraError, ModelError
from cleanplate.models.config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

HINT = "expected BGMv2's pytorch_mobilenetv2.pth, pytorch_resnet50.pth or pytorch_resnet101.pth"

TELLTALES = (
    ("backbone.features.0.0.weight", "mobilenetv2"),
    ("backbone.layer3.22.conv1.weight", "resnet101"),
    ("backbone.layer3.5.conv1.weight", "resnet50"),
)
"""The first of these names that a checkpoint holds tells its encoder."""

READING_ERRORS = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
)
"""What ``torch.load`` raises, besides UnpicklingError, for files that no ``torch.save`` wrote."""


def bgmv2_config(backbone: str, refiner_kernel: int | None = 3, *, name: str | None = None) -> ModelConfig:
    """The record of a BGMv2 network, with its authors' recommended settings."""
    return ModelConfig(
        name=name or backbone,
        version="1.0",
        family="bgmv2",
        backbone=backbone,
        refiner_kernel=refiner_kernel,
        hidden_channels=32,
        coarse_output_stride=1,
        size_multiple=1,
        shrink="bilinear",
        plate_channels=3,
        target_long_side=None,
        refine="off" if refiner_kernel is None else "sampling:80000",
        licence="MIT",
        source="https://github.com/PeterL1n/BackgroundMattingV2",
    )


def load_official(path: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Read an official BGMv2 checkpoint.

    Args:
        path: A state dict as ``torch.save`` wrote it.

    Returns:
        The model's record and its float32 tensors, complete and of the right shapes.

    Raises:
        ModelError: Missing, damaged, something else, or not all of its tensors fit.
        MissingExtraError: PyTorch is not installed.
    """
    state = _read_tensors(path)
    backbone = next((backbone for name, backbone in TELLTALES if name in state), None)
    if backbone is None or "decoder.conv4.weight" not in state:
        first = ", ".join(list(state)[:3])
        raise ModelError(
            f"'{path}' is a checkpoint of another network: {len(state)} tensors such as {first}.", HINT
        )
    refiner_kernel = None
    if "refiner.conv1.weight" in state:
        refiner_kernel = int(state["refiner.conv1.weight"].shape[-1])
        if refiner_kernel not in (1, 3):
            raise ModelError(
                f"'{path}' has a refiner with a kernel of {refiner_kernel}; BGMv2's are 1 or 3.", HINT
            )
    config = bgmv2_config(backbone, refiner_kernel)

    from cleanplate.models.build import check_tensors

    check_tensors(config, state, f"'{path}'")
    return config, state


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch", "Reading a PyTorch checkpoint") from None

    if not path.is_file():
        raise ModelError(f"There is no model file '{path}'.")
    if _is_torchscript(path):
        raise ModelError(f"'{path}' is a TorchScript archive, not a state dict.", HINT)
    try:
        with warnings.catch_warnings():
            # An odd pickle is warned about before it is refused; the refusal is enough.
            warnings.simplefilter("ignore", UserWarning)
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"'{path}' holds more than tensors, or is damaged; it was not loaded.", HINT
        ) from error
    except READING_ERRORS as error:
        raise ModelError(f"'{path}' is damaged, or no PyTorch checkpoint.", HINT) from error
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        keys = ", ".join(map(str, list(content)[:4])) if isinstance(content, dict) else type(content).__name__
        raise ModelError(f"'{path}' is no plain dictionary of tensors (it holds: {keys}).", HINT)
    return {
        str(name): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in content.items()
    }


def _is_torchscript(path: Path) -> bool:
    """Whether a file is a zip archive with TorchScript's table of constants."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
