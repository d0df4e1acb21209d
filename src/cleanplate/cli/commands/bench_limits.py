"""Limits of keying: the arithmetic and memory of a frame beside a plain convolution and a plain copy."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.frame import Pixels
from cleanplate.keyer.keyer import Keyer
from cleanplate.plate import Plate
from cleanplate.runtimes.model_choice import find_model_for
from cleanplate.runtimes.onnx_runtime import OnnxRuntime, open_session
from cleanplate.system.cores import usable_cores
from cleanplate.vocabulary import KeyerOptions

CONVOLUTION = Path(__file__).parent / "plain_convolution.onnx"
"""A 3 x 3 convolution of 64 to 64 channels, as in the networks; ``tests/cli/make_plain_convolution.py``."""

CHANNELS, SIDE = 64, 128
"""Channels and side of its input, 4 MB, which stays in the cache of most processors."""

COPY_BYTES = 128_000_000
"""Bytes of the plain copy, which no cache holds."""

YARDSTICK_SECONDS = 0.5
"""Duration of each yardstick."""

BUSY = 0.75
"""Share of busy cores below which threads are the limit: they wait for each other or for other programs."""

MODEL, MEMORY, THREADS = "model", "memory bandwidth", "threads"


@dataclass(frozen=True)
class NetworkWork:
    """Work of the networks on a frame.

    Attributes:
        multiply_adds: Multiplications with an addition in convolutions.
        moved_bytes: Bytes that all operations read and write; caches keep some of them from the memory.
    """

    multiply_adds: float
    moved_bytes: float


def measure_limits(
    plate: Pixels | Plate, frame: Pixels, options: KeyerOptions, seconds: float, busy: float
) -> dict[str, Any] | None:
    """Compare the work of a frame with the yardsticks of this machine.

    Args:
        plate: The plate.
        frame: A frame to key.
        options: The keyer's, for ONNX Runtime on the CPU.
        seconds: Time of a frame.
        busy: Share of the cores that was busy.

    Returns:
        Yardsticks and work in units a second and a frame, their shares, and ``limit``: ``threads``, or the
        larger share. None for a network in int8: the yardsticks are in float.
    """
    threads = options.threads or usable_cores()
    work = count_work(plate, frame, options)
    if work is None:
        return None
    convolution, copy = time_convolution(threads), time_copy(threads)
    arithmetic_share = work.multiply_adds / seconds / convolution
    memory_share = work.moved_bytes / seconds / copy
    limit = MODEL if arithmetic_share >= memory_share else MEMORY
    return {
        "threads": threads,
        "convolution_multiply_adds_per_second": convolution,
        "copy_bytes_per_second": copy,
        "frame_multiply_adds": work.multiply_adds,
        "frame_moved_bytes": work.moved_bytes,
        "arithmetic_share": arithmetic_share,
        "memory_share": memory_share,
        "cores_busy": busy,
        "limit": THREADS if busy < BUSY else limit,
    }


def describe_limits(limits: dict[str, Any]) -> list[str]:
    """The limits as lines of text."""
    convolution, copy = limits["convolution_multiply_adds_per_second"], limits["copy_bytes_per_second"]
    return [
        f"  {'yardsticks':<12}{convolution / 1e9:9.0f} billion multiply-adds a second (plain convolution), "
        f"{copy / 1e9:.1f} GB/s (plain copy), threads: {limits['threads']}",
        f"  {'arithmetic':<12}{limits['arithmetic_share']:9.0%} of the convolution's speed: "
        f"{limits['frame_multiply_adds'] / 1e9:.1f} billion multiply-adds a frame",
        f"  {'memory':<12}{limits['memory_share']:9.0%} of the copy's speed at most: "
        f"{limits['frame_moved_bytes'] / 1e6:.0f} MB a frame between operations",
        f"  {'threads':<12}{limits['cores_busy']:9.0%} of the cores busy",
        f"  {'limit':<12}{limits['limit']:>9}",
    ]


def count_work(plate: Pixels | Plate, frame: Pixels, options: KeyerOptions) -> NetworkWork | None:
    """Count the networks' work on a frame, in ONNX Runtime's profile of it; None in int8."""
    model = find_model_for(options)
    with tempfile.TemporaryDirectory(prefix="cleanplate-bench-") as folder:
        runtime = OnnxRuntime(model, "cpu", options.threads, profile=Path(folder) / "profile")
        Keyer(plate, replace(options, runtime=runtime, device="cpu"))(frame)
        return add_up(event for path in runtime.end_profiles() for event in json.loads(path.read_text()))


def add_up(events: Iterable[dict[str, Any]]) -> NetworkWork | None:
    """Add up the work of the events of a profile; None with convolutions in int8, whose weights it omits."""
    multiply_adds = moved_bytes = 0.0
    for event in events:
        if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
            continue
        told = event["args"]
        moved_bytes += sum(float(told[name]) for name in ("activation_size", "parameter_size", "output_size"))
        if told["op_name"] == "QLinearConv":
            return None
        if "Conv" in told["op_name"]:
            (result,) = told["output_type_shape"][0].values()
            four_axes = [next(iter(shape.values())) for shape in told["input_type_shape"] if shape]
            weights = [shape for shape in four_axes if len(shape) == 4][1]
            multiply_adds += math.prod(result) * math.prod(weights[1:])
    return NetworkWork(multiply_adds, moved_bytes)


def time_convolution(threads: int) -> float:
    """Multiply-adds a second of a plain convolution in ONNX Runtime."""
    session = open_session(CONVOLUTION, "cpu", threads, ("x",), ("y",))
    picture = np.random.default_rng(0).random((1, CHANNELS, SIDE, SIDE), np.float32)
    work = 9 * CHANNELS * picture.size
    return work / _time(lambda: session.run(("y",), {"x": picture}))


def time_copy(threads: int) -> float:
    """Bytes read and written a second by a plain copy."""
    shape = (threads, COPY_BYTES // threads // 4)
    source, target = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    with ThreadPoolExecutor(threads) as pool:
        return 2 * source.nbytes / _time(lambda: list(pool.map(np.copyto, target, source)))


def _time(work: Callable[[], object]) -> float:
    """Median seconds of several calls, after one that is not counted."""
    work()
    seconds: list[float] = []
    until = time.perf_counter() + YARDSTICK_SECONDS
    while time.perf_counter() < until or len(seconds) < 3:
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
