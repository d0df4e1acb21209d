"""The same network, arranged for inference: the numbers stay, rounding apart, and the work shrinks.

Two rewrites, both exact in real numbers:

- a batch norm after a convolution is folded into that convolution's weights and bias;
- a convolution over joined inputs becomes the sum of one convolution per input. ONNX Runtime lays channels out in
  blocks of 16 (8 without AVX-512) and falls back to a convolution half as fast when the channels are no multiple of 4,
  as in BGMv2's largest layer with its 48 + 6 channels. Fewer than 16 channels it reads as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cleanplate.networks.layers import JoinedConvolution

CHANNEL_BLOCK = 16
CHANNEL_ALIGNMENT = 4


class SummedConvolution(nn.Module):
    """A convolution cut along its input channels: one convolution per part, their results added.

    Args:
        convolution: The whole convolution, of one group.
        parts: Input channels of each part, in order.
    """

    def __init__(self, convolution: nn.Conv2d, parts: Sequence[int]) -> None:
        super().__init__()
        self.parts = list(parts)
        weights = convolution.weight.detach().split(self.parts, dim=1)
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
            inputs = inputs[0].split(self.parts, dim=1)
        first, *rest = (convolution(x) for convolution, x in zip(self.convolutions, inputs, strict=True))
        total: Tensor = first
        for more in rest:
            total = total + more
        return total


def arrange_for_inference(network: nn.Module) -> nn.Module:
    """A copy of ``network`` in eval mode, with batch norms folded and awkward convolutions split.

    The copy has other parameter names than the original.
    """
    arranged = copy.deepcopy(network).eval()
    for module in list(arranged.modules()):
        _fold_batch_norms(module)
    for module in list(arranged.modules()):
        for name, child in list(module.named_children()):
            parts = list(_split_channels(child))
            if len(parts) > 1:
                setattr(module, name, SummedConvolution(child, parts))
    return arranged


def _fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm that is registered right after a convolution, as all our networks do it."""
    previous_name, previous = "", None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(previous, nn.Conv2d):
            setattr(module, previous_name, fuse_conv_bn_eval(previous, child))
            setattr(module, name, nn.Identity())
        previous_name, previous = name, child


def _split_channels(module: nn.Module) -> Iterator[int]:
    """Input channels of the parts that ``module`` should be cut into; none where it should stay whole."""
    if not isinstance(module, nn.Conv2d) or module.groups > 1:
        return
    if isinstance(module, JoinedConvolution):
        yield from module.parts
    elif module.in_channels > CHANNEL_BLOCK and module.in_channels % CHANNEL_ALIGNMENT:
        rest = module.in_channels % CHANNEL_BLOCK
        yield module.in_channels - rest
        yield rest
