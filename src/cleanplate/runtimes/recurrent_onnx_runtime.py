"""RVM in ONNX Runtime; the recurrent state is an input and an output of the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from cleanplate.errors import ModelError
from cleanplate.frame import Float32Array, Pixels
from cleanplate.models.registry import Model
from cleanplate.runtimes.onnx_runtime import check_device, describe, open_session, run_session
from cleanplate.runtimes.recurrent_runtime import Keyed

State = tuple[Float32Array, Float32Array, Float32Array, Float32Array]

STATE_INPUTS = ("r1i", "r2i", "r3i", "r4i")
INPUTS = ("src", *STATE_INPUTS, "downsample_ratio")
OUTPUTS = ("fgr", "pha", "small", "r1o", "r2o", "r3o", "r4o")


class RecurrentOnnx:
    """RVM in ONNX Runtime; see :class:`cleanplate.runtimes.recurrent_runtime.RecurrentRuntime`.

    Args:
        model: A model with an ONNX file.
        device: A key of ``PROVIDERS``.
        threads: CPU threads within an operator; None for one per core.

    Raises:
        OptionError: No such device.
        UnavailableError: The device is missing or does not work.
        ModelError: The model has no ONNX file, or it is damaged or belongs to another model.
    """

    name = "onnx"

    def __init__(self, model: Model, device: str = "cpu", threads: int | None = None) -> None:
        check_device(device)
        if model.recurrent_onnx is None:
            raise ModelError(
                f"The model '{model.config.name}' has no ONNX file.",
                "use --runtime=torch, or write them: cleanplate models add FILE --onnx",
            )
        self.model = model
        self.device = device
        self.description = describe(device) + (f", {threads} threads" if threads else "")
        self._session = open_session(model.recurrent_onnx, device, threads, INPUTS, OUTPUTS)
        shapes = {entry.name: entry.shape for entry in self._session.get_inputs()}
        self._channels = [_read_channels(shapes[name], model.recurrent_onnx) for name in STATE_INPUTS]

    def key(self, frames: Pixels, state: State | None, ratio: float) -> Keyed:
        height, width = frames.shape[1:3]
        # Sides of the small picture, rounded like those of ONNX Runtime's Resize.
        scale = np.float32(ratio)
        state = state or self._nothing_seen(int(np.float32(height) * scale), int(np.float32(width) * scale))
        alpha = np.empty((len(frames), height, width), np.float32)
        foreground = np.empty_like(frames)
        for number, frame in enumerate(frames):
            alpha[number], foreground[number], state = self._step(frame, state, ratio)
        return Keyed(alpha, foreground, state)

    def pack(self, state: State) -> tuple[Float32Array, ...]:
        return state

    def unpack(self, arrays: tuple[Float32Array, ...]) -> State:
        return cast(State, arrays)

    def _step(self, frame: Pixels, state: State, ratio: float) -> tuple[Float32Array, Pixels, State]:
        top = np.iinfo(frame.dtype).max
        source = np.multiply(frame.transpose(2, 0, 1), 1 / top, dtype=np.float32)[None]
        feed = {
            "src": np.ascontiguousarray(source),
            "downsample_ratio": np.array([ratio], np.float32),
            **dict(zip(STATE_INPUTS, state, strict=True)),
        }
        colour, alpha, small, *state_after = run_session(
            self._session, OUTPUTS, feed, str(self.model.recurrent_onnx)
        )
        if colour.shape != source.shape or alpha.shape != (1, 1, *source.shape[2:]):
            raise ModelError(
                f"'{self.model.recurrent_onnx}' does not fit its record: its maps have other sizes."
            )
        if ratio == 1:
            # At full size there is no guided filter, as in the official code.
            colour, alpha = (source + small[:, :3]).clip(0, 1), small[:, 3:].clip(0, 1)
        pixels = np.rint(colour[0].transpose(1, 2, 0) * top).astype(frame.dtype)
        return alpha[0, 0], pixels, cast(State, tuple(state_after))

    def _nothing_seen(self, height: int, width: int) -> State:
        """Make the first state: zeros at 1/2, 1/4, 1/8 and 1/16 of the small picture, sides rounded up."""
        state = []
        for channels in self._channels:
            height, width = (height + 1) // 2, (width + 1) // 2
            state.append(np.zeros((1, channels, height, width), np.float32))
        return cast(State, tuple(state))


def _read_channels(shape: list[Any], path: Path) -> int:
    if len(shape) != 4 or not isinstance(shape[1], int):
        raise ModelError(f"'{path}' does not fit its record: a state has shape {shape}.")
    return shape[1]
