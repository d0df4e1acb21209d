"""Stand-in for the parts of torchvision that the official BGMv2 code needs for MobileNetV2 and videos.

Built from this package's own layers, whose parameters have torchvision's names.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from cleanplate.models.networks.aspp import ASPP
from cleanplate.models.networks.mobilenetv2 import InvertedResidual, normalised_convolution

# expansion, channels, blocks, stride of the first block; Sandler et al., CVPR 2018, table 2
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(nn.Module):
    """Classifier with the layers that the official code takes."""

    def __init__(self) -> None:
        super().__init__()
        features: list[nn.Module] = [normalised_convolution(3, 32, 3, stride=2)]
        channels = 32
        for expansion, wanted, blocks, first_stride in STAGES:
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                features.append(
                    InvertedResidual(channels, wanted, expansion=expansion, stride=stride, dilation=1)
                )
                channels = wanted
        features.append(normalised_convolution(channels, 1280, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Identity()


class NotHere(nn.Module):
    """Placeholder for ResNet and for transforms of the training: imported but not used."""


class Compose:
    """Sequence of transforms."""

    def __init__(self, transforms: list[Callable[[Any], Any]]) -> None:
        self.transforms = transforms


class ToTensor:
    """Convert a PIL picture to float32 ``(channels, height, width)`` in [0, 1], in new memory."""

    def __call__(self, picture: Any) -> Tensor:
        pixels = torch.from_numpy(np.array(picture))
        return pixels.permute(2, 0, 1).contiguous().float().div(255)


@contextmanager
def torchvision_or_stand_in() -> Iterator[None]:
    """Make ``import torchvision`` find the stand-in within a block, unless the real one works."""
    try:
        importlib.import_module("torchvision.models.segmentation.deeplabv3")
    except (ImportError, RuntimeError):
        contents: dict[str, dict[str, type]] = {
            "torchvision": {},
            "torchvision.models": {"MobileNetV2": MobileNetV2},
            "torchvision.models.resnet": {"ResNet": NotHere, "Bottleneck": NotHere},
            "torchvision.models.segmentation": {},
            "torchvision.models.segmentation.deeplabv3": {"ASPP": ASPP},
            "torchvision.transforms": {
                "Compose": Compose,
                "ToTensor": ToTensor,
                **dict.fromkeys(("RandomAffine", "RandomHorizontalFlip"), NotHere),
            },
            "torchvision.transforms.functional": {"to_pil_image": NotHere},
        }
        modules = {name: ModuleType(name) for name in contents}
        for name, members in contents.items():
            vars(modules[name]).update(members)
        for name, module in modules.items():  # "from torchvision import transforms" looks there
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(modules[parent], child, module)
    else:
        modules = {}
    with patch.dict(sys.modules, modules):
        yield
