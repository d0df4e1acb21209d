"""Rewrites a network for inference: less work, equal results apart from rounding.

Two rewrites, both exact in real numbers:

- a batch norm after a convolution is folded into that convolution's weights and bias;
- a convolution over joined inputs becomes the sum of one convolution per input. ONNX Runtime lays channels
  out in blocks of 16 (8 without AVX-512) and falls back to a convolution half as fast when the channels are
  no multiple of 4, as in BGMv2's largest layer with its 48 + 6 channels. Inputs of fewer than 16 channels
  need no such layout.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cleanplate.models.networks.blocks import JoinedConvolution

CHANNEL_BLOCK = 16
CHANNEL_ALIGNMENT = 4


class SummedConvolution(nn.Module):
    """A convolution split along its input channels: one convolution per part, with added results.

    Args:
        convolution: The whole convolution, with one group.
        parts: Input channels of each part, in order.
    """

    def __init__(self, convolution: nn.Conv2d, parts: Sequence[int]) -> None:
        super().__init__()
        self.parts = list(parts)
        weights = torch.split(convolution.weight.detach(), self.parts, dim=1)
        self.convolutions = nn.ModuleList()
        for number, weight in enumerate(weights):
            part = copy.deepcopy(convolution)
            part.__class__ = nn.Conv2d
            part.in_channels = weight.shape[1]
            part.weight = nn.Parameter(weight.clone())
            if number > 0:
                part.bias = None
            self.convolutions.append(part)

    def forward(self, *inputs: Tensor) -> Tensor:
        if len(inputs) == 1:
            inputs = torch.split(inputs[0], self.parts, dim=1)
        first, *rest = (convolution(x) for convolution, x in zip(self.convolutions, inputs, strict=True))
        total: Tensor = first
        for more in rest:
            total = total + more
        return total


def arrange_for_inference(network: nn.Module) -> nn.Module:
    """Copy ``network`` in eval mode, with batch norms folded and slow convolutions split.

    The copy has other parameter names than the original.
    """
    arranged = copy.deepcopy(network).eval()
    for module in list(arranged.modules()):
        _fold_batch_norms(module)
        if isinstance(module, nn.ReLU | nn.ReLU6):
            # A tracer replaces each in-place activation, which takes a third of its time.
            module.inplace = False
    for module in list(arranged.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and (parts := _parts_of(child)):
                setattr(module, name, SummedConvolution(child, parts))
    return arranged


def _fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm that is registered directly after a convolution, as in all networks here."""
    previous_name, previous = "", None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(previous, nn.Conv2d):
            setattr(module, previous_name, fuse_conv_bn_eval(previous, child))
            setattr(module, name, nn.Identity())
        previous_name, previous = name, child


def _parts_of(convolution: nn.Conv2d) -> tuple[int, ...]:
    """List the input channels of the parts of a convolution; empty if it should stay whole."""
    if isinstance(convolution, JoinedConvolution):
        return convolution.parts
    rest = convolution.in_channels % CHANNEL_BLOCK
    if convolution.groups > 1 or convolution.in_channels < CHANNEL_BLOCK or rest % CHANNEL_ALIGNMENT == 0:
        return ()
    return convolution.in_channels - rest, rest
