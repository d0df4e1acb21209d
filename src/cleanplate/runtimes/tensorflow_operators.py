"""Operators of this package's ONNX graphs in TensorFlow, with values that carry the order of their axes.

Each operator takes its node and its operands (None for an omitted one), and returns a value or a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from cleanplate.errors import ModelError
from cleanplate.frame import AnyArray
from cleanplate.runtimes.tensorflow_library import tf

Tensor = Any

_TO_LAST = (0, 2, 3, 1)
_TO_FIRST = (0, 3, 1, 2)
_END = 2**31 - 1


@dataclass(frozen=True)
class Value:
    """A value of the graph.

    Attributes:
        tensor: A tensor; or a NumPy array, if the value is constant.
        channels_last: Whether its axes are batch, height, width, channels rather than ONNX's.
    """

    tensor: Tensor
    channels_last: bool = False

    @property
    def rank(self) -> int:
        return len(self.tensor.shape)

    def picture(self) -> Tensor:
        """The tensor with the channels last."""
        return self.tensor if self.channels_last else tf.transpose(self.tensor, _TO_LAST)

    def plain(self) -> Tensor:
        """The tensor in ONNX's order."""
        return tf.transpose(self.tensor, _TO_FIRST) if self.channels_last else self.tensor

    def axis(self, axis: int) -> int:
        """Translate an axis of ONNX to this order."""
        axis = axis % self.rank
        return _TO_LAST.index(axis) if self.channels_last else axis

    def constant(self, what: str) -> AnyArray:
        """Give the array of a value that must be constant."""
        if not isinstance(self.tensor, np.ndarray):
            raise ModelError(f"The model cannot be run in TensorFlow: {what} is computed, not constant.")
        return self.tensor


@dataclass(frozen=True)
class Node:
    """One operator: its name in ONNX, its attributes, and the number of its outputs."""

    operator: str
    attributes: dict[str, Any]
    outputs: int = 1

    def get(self, name: str, default: Any = None) -> Any:
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def require(self, **expected: Any) -> None:
        """Raise :class:`ModelError` unless each attribute has its value, or is left out."""
        for name, value in expected.items():
            if (found := self.get(name, value)) != value:
                raise ModelError(
                    f"The model cannot be run in TensorFlow: {self.operator} with {name} = {found}."
                )


def narrow(array: AnyArray) -> AnyArray:
    """Convert sizes and indices to int32, as TensorFlow Lite cannot divide int64, with saturation."""
    return array.clip(-_END, _END).astype(np.int32) if array.dtype == np.int64 else array


def _elementwise(compute: Callable[..., Tensor]) -> Callable[..., Value]:
    def apply(_: Node, *operands: Value) -> Value:
        tensors, channels_last = _align(operands)
        return Value(compute(*tensors), channels_last)

    return apply


def _align(values: Sequence[Value]) -> tuple[list[Tensor], bool]:
    """Bring operands to the same order of axes: channels last if any operand has it."""
    if not any(value.channels_last for value in values):
        return [value.tensor for value in values], False
    return [_lift(value) for value in values], True


def _lift(value: Value) -> Tensor:
    if value.channels_last or value.rank == 0:
        return value.tensor
    missing = 4 - value.rank
    return tf.transpose(value.tensor[(None,) * missing] if missing else value.tensor, _TO_LAST)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    """ONNX's Div; integers in these graphs are sizes, so the rounding of negative ones does not matter."""
    a = tf.convert_to_tensor(a)
    return tf.math.floordiv(a, b) if a.dtype.is_integer else tf.divide(a, b)


def _clip(_: Node, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    if low is not None and high is not None:
        bounds = [float(bound.constant("a bound of Clip")) for bound in (low, high)]
        if bounds == [0, 6]:  # tf.nn.relu6 has a kernel that is fused with the convolution before it
            return Value(tf.nn.relu6(x.tensor), x.channels_last)
        return Value(tf.clip_by_value(x.tensor, *bounds), x.channels_last)
    if low is not None:
        return Value(tf.maximum(x.tensor, low.tensor), x.channels_last)
    return x if high is None else Value(tf.minimum(x.tensor, high.tensor), x.channels_last)


def _convolve(node: Node, x: Value, kernel: Value, bias: Value | None = None) -> Value:
    node.require(auto_pad="NOTSET")
    strides, dilations = node.get("strides", [1, 1]), node.get("dilations", [1, 1])
    picture, padding = _pad(
        x.picture(), node.get("pads", [0] * 4), kernel.tensor.shape[:2], strides, dilations
    )
    if node.get("group", 1) > 1:
        y = tf.nn.depthwise_conv2d(picture, kernel.tensor, [1, *strides, 1], padding, dilations=dilations)
    else:
        y = tf.nn.conv2d(picture, kernel.tensor, strides, padding, dilations=dilations)
    return Value(y if bias is None else tf.nn.bias_add(y, bias.tensor), True)


def _pad(
    picture: Tensor,
    pads: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    fill: float = 0.0,
) -> tuple[Tensor, str]:
    """Pad as ONNX does: equally on both sides, unlike TensorFlow's SAME with a stride.

    Returns:
        The padded picture, and the padding mode for TensorFlow.
    """
    if not any(pads):
        return picture, "VALID"
    top, left, bottom, right = pads
    reach = [(size - 1) * dilation for size, dilation in zip(kernel, dilations, strict=True)]
    centred = [2 * top, 2 * left] == reach and (top, left) == (bottom, right)
    if centred and list(strides) == [1, 1] and fill == 0:
        return picture, "SAME"
    return tf.pad(picture, [[0, 0], [top, bottom], [left, right], [0, 0]], constant_values=fill), "VALID"


def _max_pool(node: Node, x: Value) -> Value:
    node.require(auto_pad="NOTSET", ceil_mode=0, dilations=[1, 1])
    kernel, strides = node.get("kernel_shape"), node.get("strides", [1, 1])
    picture, padding = _pad(
        x.picture(), node.get("pads", [0] * 4), kernel, strides, [1, 1], fill=float(np.finfo(np.float32).min)
    )
    return Value(tf.nn.max_pool2d(picture, kernel, strides, padding), True)


def _average_pool(node: Node, x: Value) -> Value:
    kernel, strides = node.get("kernel_shape"), node.get("strides", [1, 1])
    node.require(auto_pad="NOTSET", pads=[0, 0, 0, 0], dilations=[1, 1], strides=kernel)
    # Pixels that a window lacks at the end are not counted, in both libraries.
    padding = "SAME" if node.get("ceil_mode", 0) else "VALID"
    return Value(tf.nn.avg_pool2d(x.picture(), kernel, strides, padding), True)


def _resize(
    node: Node, x: Value, _: Value | None = None, scales: Value | None = None, sizes: Value | None = None
) -> Value:
    node.require(antialias=0, exclude_outside=0, keep_aspect_ratio_policy="stretch")
    picture = x.picture()
    if sizes is not None:
        size = sizes.tensor[2:]
    else:
        assert scales is not None
        factors = scales.constant("the scale of a Resize")[2:]
        if (factors != np.rint(factors)).any():
            raise ModelError(f"The model cannot be run in TensorFlow: Resize with scales = {list(factors)}.")
        size = tf.shape(picture)[1:3] * factors.astype(np.int32)
    if node.get("mode") == "linear":
        node.require(coordinate_transformation_mode="half_pixel")
        return Value(tf.raw_ops.ResizeBilinear(images=picture, size=size, half_pixel_centers=True), True)
    node.require(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    return Value(tf.raw_ops.ResizeNearestNeighbor(images=picture, size=size), True)


def _reduce(compute: Callable[..., Tensor]) -> Callable[..., Value]:
    def apply(node: Node, x: Value, axes: Value) -> Value:
        node.require(keepdims=1)
        over = [x.axis(int(axis)) for axis in axes.constant("an axis to reduce")]
        return Value(compute(x.tensor, over, keepdims=True), x.channels_last)

    return apply


def _concatenate(node: Node, *parts: Value) -> Value:
    tensors, channels_last = _align(parts)
    rank = 4 if channels_last else parts[0].rank
    axis = node.get("axis") % rank
    return Value(tf.concat(tensors, _TO_LAST.index(axis) if channels_last else axis), channels_last)


def _split(node: Node, x: Value, sizes: Value | None = None) -> list[Value]:
    parts = node.outputs if sizes is None else [int(n) for n in sizes.constant("a size of Split")]
    return [Value(part, x.channels_last) for part in tf.split(x.tensor, parts, x.axis(node.get("axis", 0)))]


def _slice(
    _: Node, x: Value, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None
) -> Value:
    rank = x.rank
    cuts = [slice(None)] * rank
    count = starts.tensor.shape[0]
    places = range(rank) if axes is None else [int(axis) for axis in axes.constant("an axis of Slice")]
    strides = [1] * count if steps is None else [int(step) for step in steps.constant("a step of Slice")]
    for number, axis, step in zip(range(count), places, strides, strict=False):
        start, end = starts.tensor[number], ends.tensor[number]
        reaches_end = isinstance(end, np.integer) and end >= _END
        cuts[x.axis(axis)] = slice(start, None if reaches_end else end, step)
    return Value(x.tensor[tuple(cuts)], x.channels_last)


def _shape(node: Node, x: Value) -> Value:
    shape = tf.shape(x.tensor)
    if x.channels_last:
        shape = tf.gather(shape, _TO_FIRST)
    return Value(shape[node.get("start", 0) : node.get("end")])


def _expand(_: Node, x: Value, shape: Value) -> Value:
    """Repeat along axes of length 1; where the target shape has 1, the value's own length stays."""
    wanted = shape.tensor
    if x.channels_last:
        wanted = tf.gather(wanted, _TO_LAST)
    return Value(tf.broadcast_to(x.tensor, tf.maximum(tf.shape(x.tensor), wanted)), x.channels_last)


def _reshape(node: Node, x: Value, shape: Value) -> Value:
    node.require(allowzero=0)
    if isinstance(shape.tensor, np.ndarray) and (shape.tensor == 0).any():
        raise ModelError("The model cannot be run in TensorFlow: Reshape with 0 in its shape.")
    return Value(tf.reshape(x.plain(), shape.tensor))


def _squeeze(_: Node, x: Value, axes: Value | None = None) -> Value:
    return Value(
        tf.squeeze(x.plain(), None if axes is None else axes.constant("an axis of Squeeze").tolist())
    )


def _cast(node: Node, x: Value) -> Value:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(node.get("to"))
    if isinstance(x.tensor, np.ndarray):
        return Value(narrow(x.tensor.astype(dtype)))
    return Value(tf.cast(x.tensor, tf.as_dtype(dtype)), x.channels_last)


OPERATORS: dict[str, Callable[..., Value | list[Value]]] = {
    "Abs": _elementwise(tf.abs),
    "Add": _elementwise(tf.add),
    "AveragePool": _average_pool,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concatenate,
    "Conv": _convolve,
    "Div": _elementwise(_divide),
    "Expand": _expand,
    "MaxPool": _max_pool,
    "Mul": _elementwise(tf.multiply),
    "Pow": _elementwise(tf.pow),
    "ReduceMean": _reduce(tf.reduce_mean),
    "ReduceSum": _reduce(tf.reduce_sum),
    "Relu": _elementwise(tf.nn.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _elementwise(tf.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(tf.subtract),
}
