"""Backbones trained for other tasks: state dicts of torchvision's classifiers and of DeepLabV3.

The encoder is taken over and, from a DeepLabV3, the ASPP; names are translated and every shape is checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.errors import ModelError
from cleanplate.models.tensor_files import find_odd_tensor, read_checkpoint

if TYPE_CHECKING:
    from torch import Tensor, nn

_RENAMES = (
    (r"module\.", ""),
    # DeepLabV3 of torchvision, and of github.com/VainF/DeepLabV3Plus-Pytorch, which cuts MobileNetV2 in two.
    (r"classifier\.classifier\.0\.", "aspp."),
    (r"classifier\.0\.(convs|project)\.", r"aspp.\1."),
    (r"backbone\.(low|high)_level_features\.", "backbone.features."),
    # torchvision's classifiers, and the backbone inside its DeepLabV3 with MobileNetV2, lack a prefix.
    (r"(features|conv1|bn1|layer[1-4])\.", r"backbone.\1."),
    (r"backbone\.(\d+)\.", r"backbone.features.\1."),
)
_COUNTER = "num_batches_tracked"


def load_pretrained(path: Path, network: nn.Module) -> int:
    """Put a trained backbone into a network of BGMv2 or RVM.

    BGMv2's first convolution has six input channels instead of three: the source gets the trained weights,
    the plate starts with zeros.

    Args:
        path: A state dict as ``torch.save`` wrote it, perhaps inside a dictionary as ``model_state``,
            ``state_dict`` or ``model``; or ``.safetensors``.
        network: From :func:`cleanplate.models.network_builder.build_network`; changed in place.

    Returns:
        Number of tensors that were taken over.

    Raises:
        ModelError: The file is missing, damaged, or holds no tensors; or a tensor of the encoder is missing
            or has another shape, as in another backbone.
    """
    import torch

    state = {_rename(name): tensor for name, tensor in _read(path).items()}
    expected = network.state_dict()
    taken: dict[str, Tensor] = {}
    for name, mine in expected.items():
        tensor = state.get(name)
        if tensor is None:
            if name.startswith("backbone.") and not name.endswith(_COUNTER):
                raise ModelError(f"'{path}' does not fit this backbone: {name} is missing.")
            continue
        if tensor.ndim == 4 and mine.ndim == 4 and (tensor.shape[1], mine.shape[1]) == (3, 6):
            tensor = torch.cat([tensor, torch.zeros_like(tensor)], dim=1)
        if tensor.shape != mine.shape:
            raise ModelError(
                f"'{path}' does not fit this backbone: {name} has shape {tuple(tensor.shape)}, "
                f"expected {tuple(mine.shape)}."
            )
        taken[name] = tensor
    network.load_state_dict({**expected, **taken})
    return len(taken)


def _rename(name: str) -> str:
    for pattern, replacement in _RENAMES:
        name = re.sub("^" + pattern, replacement, name)
    return name


def _read(path: Path) -> Mapping[str, Tensor]:
    content = read_checkpoint(path)

    import torch

    for key in ("model_state", "state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    items = content.items() if isinstance(content, dict) else ()
    tensors = {str(name): tensor for name, tensor in items if isinstance(tensor, torch.Tensor)}
    if not tensors:
        raise ModelError(f"'{path}' holds no tensors.")
    if odd := find_odd_tensor(tensors):
        raise ModelError(f"'{path}' holds more than plain tensors: {odd}.")
    return tensors
