"""From a checkpoint of the loop to the files that ship: safetensors, two ONNX networks, the manifest."""

from __future__ import annotations

from pathlib import Path

import torch

from cleanplate.errors import ModelError
from cleanplate.export.onnx import export_onnx
from cleanplate.models.build import save_model
from cleanplate.models.config import ModelConfig
from cleanplate.models.manifest import list_in_manifest
from cleanplate.networks.lite import HIDDEN_CHANNELS, OUTPUT_STRIDE, SIZE_MULTIPLE, LiteNetwork


def lite_config(version: str, refine: str) -> ModelConfig:
    """The record of ``lite``."""
    return ModelConfig(
        name="lite",
        version=version,
        family="lite",
        backbone=None,
        refiner_kernel=3,
        hidden_channels=HIDDEN_CHANNELS,
        coarse_output_stride=OUTPUT_STRIDE,
        size_multiple=SIZE_MULTIPLE,
        shrink="area",
        plate_channels=4,
        target_long_side=512,
        refine=refine,
        licence="MIT",
        source="trained by the cleanplate authors on composites made on the fly",
    )


def publish(checkpoint: Path, folder: Path, *, version: str, refine: str) -> None:
    """Write the averaged weights of ``checkpoint`` into ``folder`` as the model ``lite``, in every format.

    Args:
        checkpoint: From :func:`cleanplate.training.loop.train`.
        folder: Of embedded models; its manifest is brought up to date.
        version: Of the weights, as in "1.0".
        refine: Where to refine by default.

    Raises:
        ModelError: The checkpoint is missing or not one of ``lite``, or an export differs from PyTorch.
    """
    network = LiteNetwork()
    try:
        network.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    except (OSError, KeyError, RuntimeError) as error:
        raise ModelError(f"'{checkpoint}' is no checkpoint of lite: {error}.") from error
    config = lite_config(version, refine)
    save_model(network.eval(), config, folder / "lite.safetensors")
    export_onnx(network, config, folder / "lite")
    list_in_manifest(folder, "lite")
