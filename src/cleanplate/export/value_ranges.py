"""Ranges of values inside an ONNX network, for int8: narrow ones, that clip rare values for finer steps.

The range of a tensor is the one with the least squared error of rounding and clipping together (Banner,
Nahshan and Soudry, "Post Training 4-bit Quantization of Convolutional Networks for Rapid-Deployment", NeurIPS
2019), found by trial on a sample of the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cleanplate.frame import Float32Array

if TYPE_CHECKING:
    import onnx

LEVELS = 255
"""Steps of eight bits."""
SAMPLES = 4000
"""Values of a tensor that are kept of each run; not tuned: 24 pictures give 200,000 of each tensor."""
SHARES = np.linspace(1, 0.3, 15)
"""Shares of the largest and of the smallest value that are tried; the best were 0.37 to 1 in lite 2.1."""
LEAST_WIDTH = 1e-3
"""Width of the range of a tensor that is always 0, as behind a channel that is never active."""

Range = tuple[float, float]


def measure_ranges(
    network: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Mapping[str, Float32Array]]
) -> dict[str, Range]:
    """Run a network on typical inputs, and find the range of each tensor with the least error in eight bits.

    Args:
        network: A float network; not changed.
        tensors: Names of its tensors; inputs of the network are allowed.
        feeds: Its inputs by name.

    Returns:
        Lower end (at most 0) and upper end (at least 0) of each tensor. Equal inputs give equal ranges.
    """
    import onnx
    import onnxruntime  # type: ignore[import-untyped]

    probed = onnx.ModelProto()
    probed.CopyFrom(network)
    known = {value.name for value in (*probed.graph.input, *probed.graph.output)}
    added = [onnx.ValueInfoProto(name=name) for name in tensors if name not in known]
    probed.graph.output.extend(added)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        probed.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    random = np.random.default_rng(0)
    kept: dict[str, list[Float32Array]] = {name: [] for name in tensors}
    ends: dict[str, list[float]] = {name: [0.0] for name in tensors}
    for feed in feeds:
        values = {**feed, **dict(zip(names, session.run(names, dict(feed)), strict=True))}
        for name in tensors:
            flat = values[name].reshape(-1)
            ends[name] += [float(flat.min()), float(flat.max())]
            kept[name].append(flat[random.integers(0, flat.size, SAMPLES)])
    return {
        name: find_range(np.concatenate(kept[name]), min(ends[name]), max(ends[name])) for name in tensors
    }


def find_range(values: Float32Array, low: float, high: float) -> Range:
    """Find the range that represents values in eight bits with the least squared error.

    Args:
        values: A sample of the values.
        low: The smallest of all values, or 0 if that is less.
        high: The largest of all values, or 0 if that is more.
    """
    if high - low < LEAST_WIDTH:
        return low, low + LEAST_WIDTH
    trials = [(low * a, high * b) for a in (SHARES if low < 0 else (1.0,)) for b in SHARES]
    return min(trials, key=lambda ends: _squared_error(values, *ends))


def _squared_error(values: Float32Array, low: float, high: float) -> float:
    step = (high - low) / LEVELS
    zero = np.round(-low / step)
    rounded = (np.clip(np.round(values / np.float32(step)) + zero, 0, LEVELS) - zero) * np.float32(step)
    return float(np.square(rounded - values).mean())
