"""Protocol of the runtimes for models without a plate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from cleanplate.frame import Float32Array, Pixels
from cleanplate.models.registry import Model
from cleanplate.router import DeviceRouter


@dataclass(frozen=True)
class Keyed:
    """Result for a sequence of frames.

    Attributes:
        alpha: float32 in [0, 1], ``(time, height, width)``.
        foreground: Straight colour in the type of the frames, ``(time, height, width, 3)``.
        state: Recurrent state for the next frames, in the runtime's own form.
    """

    alpha: Float32Array
    foreground: Pixels
    state: Any


class RecurrentRuntime(Protocol):
    """One loaded model on one device, with the guarantees of :class:`cleanplate.runtimes.runtime.Runtime`.

    It keeps no state between calls: the recurrent state is a result of one call and an argument of the next,
    so that one runtime can serve several clips.
    """

    name: str
    device: str
    description: str
    model: Model

    def key(self, frames: Pixels, state: Any, ratio: float) -> Keyed:
        """Key consecutive frames.

        Args:
            frames: uint8 or uint16 RGB, ``(time, height, width, 3)``; several at once give the same results
                as one at a time, to rounding.
            state: State after the frames before, of the same size and ratio; None for the first.
            ratio: Size of the network's input over the frames' size, in (0, 1].
        """
        ...

    def pack(self, state: Any) -> tuple[Float32Array, ...]:
        """Convert a state to arrays, to be stored."""
        ...

    def unpack(self, arrays: tuple[Float32Array, ...]) -> Any:
        """Restore exactly the state that was packed into these arrays."""
        ...


class DeviceRecurrentRuntime(RecurrentRuntime, Protocol):
    """A runtime with mattes that may stay on its device.

    Attributes:
        router: Copies pixels to the device and back.
    """

    router: DeviceRouter[Any]

    def key_on_device(self, frames: Any, state: Any, ratio: float) -> tuple[Any, Any, Any]:
        """Key like :meth:`key`, from and to pictures of the router.

        Returns:
            Alpha ``(time, height, width)``, the foreground as pictures, and the state.
        """
        ...
