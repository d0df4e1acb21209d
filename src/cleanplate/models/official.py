"""Checkpoints of BGMv2's and RVM's authors, recognised by the names and shapes of their tensors.

https://github.com/PeterL1n/BackgroundMattingV2 (MIT licence, weights too) and
https://github.com/PeterL1n/RobustVideoMatting (GPL-3.0, weights too). State dicts and TorchScript archives
are read; reading never runs code from the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.errors import ModelError
from cleanplate.models.config import ModelConfig
from cleanplate.models.network_builder import check_tensors
from cleanplate.models.tensor_files import find_odd_tensor, read_checkpoint
from cleanplate.models.torchscript_archive import is_torchscript, read_archive_config

if TYPE_CHECKING:
    from torch import Tensor

HINT = (
    "expected BGMv2's pytorch_mobilenetv2.pth, pytorch_resnet50.pth or pytorch_resnet101.pth, "
    "RVM's rvm_mobilenetv3.pth or rvm_resnet50.pth, or one of their TorchScript archives"
)

TELLTALES = (
    ("backbone.features.0.0.weight", "mobilenetv2"),
    ("backbone.layer3.22.conv1.weight", "resnet101"),
    ("backbone.layer3.5.conv1.weight", "resnet50"),
)
"""Names of tensors that identify the encoder of a BGMv2 checkpoint; the first match counts."""

RECURRENT_TELLTALES = (
    ("backbone.features.16.0.weight", "mobilenetv3"),
    ("backbone.layer3.5.conv1.weight", "resnet50"),
)
"""Names of tensors that identify the encoder of an RVM checkpoint."""

ARCHIVE_PREFIX = "model."
"""Prefix in BGMv2's TorchScript archives, where a module with settings holds the network."""

OTHERS = (
    ("classifier.classifier.3.weight", "a DeepLabV3+, which training can start from (train --init)"),
    ("classifier.4.weight", "torchvision's DeepLabV3, which training can start from (train --init)"),
    ("classifier.1.weight", "an image classifier, which training can start from (train --init)"),
    ("fc.weight", "an image classifier, which training can start from (train --init)"),
)
"""Networks of other kinds that users try to load, each by the name of a tensor that identifies it."""


def bgmv2_config(backbone: str, refiner_kernel: int | None = 3, *, name: str | None = None) -> ModelConfig:
    """Make the record of a BGMv2 network, with its authors' recommended settings."""
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


def rvm_config(backbone: str, guided_filter: str = "deep", *, name: str | None = None) -> ModelConfig:
    """Make the record of an RVM network, with its authors' recommended settings."""
    return ModelConfig(
        name=name or f"rvm-{backbone}",
        version="1.0",
        family="rvm",
        backbone=backbone,
        refiner_kernel=None,
        hidden_channels=16,
        coarse_output_stride=1,
        size_multiple=1,
        shrink="bilinear",
        plate_channels=0,
        target_long_side=512,
        refine="off",
        licence="GPL-3.0-only",
        source="https://github.com/PeterL1n/RobustVideoMatting",
        guided_filter=guided_filter,
    )


def load_official(path: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Read an official checkpoint of BGMv2 or RVM.

    Args:
        path: A state dict written by ``torch.save``, or a TorchScript archive (also one of this package's
            export).

    Returns:
        The model's record and its float32 tensors, complete and of the right shapes.

    Raises:
        ModelError: The file is missing, damaged or of another kind, or some of its tensors do not fit.
        MissingExtraError: PyTorch is not installed.
    """
    state = _read_tensors(path)
    if all(name.startswith(ARCHIVE_PREFIX) for name in state):
        state = {name.removeprefix(ARCHIVE_PREFIX): tensor for name, tensor in state.items()}
    own = read_archive_config(path) if is_torchscript(path) else None
    if own is not None and own.family == "bgmv2":
        state = {name.removeprefix("coarse."): tensor for name, tensor in state.items()}
    config = own or _recognise(state, path)

    check_tensors(config, state, f"'{path}'")
    return config, state


def _recognise(state: Mapping[str, Tensor], path: Path) -> ModelConfig:
    """Identify the family and the network of a checkpoint."""
    if "project_mat.conv.weight" in state:
        backbone = next((backbone for name, backbone in RECURRENT_TELLTALES if name in state), None)
        if backbone is not None:
            return rvm_config(backbone, "deep" if "refiner.box_filter.weight" in state else "fast")
    backbone = next((backbone for name, backbone in TELLTALES if name in state), None)
    if backbone is None or "decoder.conv4.weight" not in state:
        other = next((what for name, what in OTHERS if name in state), None)
        other = other or f"{len(state)} tensors such as {', '.join(list(state)[:3])}"
        raise ModelError(f"'{path}' is a checkpoint of another network: {other}.", HINT)
    if "refiner.conv1.weight" not in state:
        return bgmv2_config(backbone, None)
    shape = state["refiner.conv1.weight"].shape
    kernel = int(shape[-1]) if shape else 0
    if kernel not in (1, 3):
        raise ModelError(f"'{path}' has a refiner with a kernel of {kernel}; BGMv2's are 1 or 3.", HINT)
    return bgmv2_config(backbone, kernel)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    content = read_checkpoint(path, HINT)

    import torch

    if isinstance(content, dict) and isinstance(content.get("average"), dict):
        raise ModelError(
            f"'{path}' is a checkpoint of a training run, not a model yet.",
            f"make one: cleanplate publish {path} -o models --version 1.0",
        )
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        keys = ", ".join(map(str, list(content)[:4])) if isinstance(content, dict) else type(content).__name__
        raise ModelError(f"'{path}' is no plain dictionary of tensors (it holds: {keys}).", HINT)
    if odd := find_odd_tensor(content):
        raise ModelError(f"'{path}' holds more than plain tensors: {odd}.", HINT)
    return {
        str(name): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in content.items()
    }
