"""What every runtime of a model without a plate guarantees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from cleanplate.frame import Float32Array, Pixels
from cleanplate.models.registry import Model
from cleanplate.router import DeviceRouter


@dataclass(frozen=True)
class Keyed:
    """What became of a run of frames.

    Attributes:
        alpha: float32 in [0, 1], ``(time, height, width)``.
        foreground: In the type of the frames, ``(time, height, width, 3)``.
        state: What the model remembers, for the frames that follow; the runtime's own.
    """

    alpha: Float32Array
    foreground: Pixels
    state: Any


class RecurrentRuntime(Protocol):
    """One loaded model on one device; it promises what :class:`cleanplate.runtimes.runtime.Runtime` does.

    It keeps nothing between calls: what is remembered comes out of one and goes into the next, so that one
    runtime can serve several clips.
    """

    name: str
    device: str
    description: str
    model: Model

    def key(self, frames: Pixels, state: Any, ratio: float) -> Keyed:
        """Key frames that follow one another.

        Args:
            frames: uint8 or uint16 RGB, ``(time, height, width, 3)``; several at once give what one at a time
                gives, to rounding.
            state: From the frames before, of the same size and ratio; None for the first.
            ratio: Size at which the network looks over the frames' size, in (0, 1].
        """
        ...

    def pack(self, state: Any) -> tuple[Float32Array, ...]:
        """A state as arrays, to be written down."""
        ...

    def unpack(self, arrays: tuple[Float32Array, ...]) -> Any:
        """The state that was packed into these arrays, exactly."""
        ...


class DeviceRecurrentRuntime(RecurrentRuntime, Protocol):
    """A runtime whose mattes may stay on its device.

    Attributes:
        router: Takes pixels to the device and back.
    """

    router: DeviceRouter[Any]

    def key_there(self, frames: Any, state: Any, ratio: float) -> tuple[Any, Any, Any]:
        """Like :meth:`key`, with pictures of the router's.

        Returns:
            Alpha ``(time, height, width)``, the foreground as pictures, and the state.
        """
        ...
