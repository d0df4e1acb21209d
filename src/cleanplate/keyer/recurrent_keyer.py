"""Keying without a plate, by a recurrent network for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cleanplate.compositing.finish import Finish
from cleanplate.compositing.over import apply_source_alpha
from cleanplate.compositing.own_space import OwnSpace
from cleanplate.errors import OptionError
from cleanplate.frame import Float32Array, Frame, Matte, check_array
from cleanplate.keyer.cuts import CutDetector
from cleanplate.keyer.destination import choose_destination
from cleanplate.keyer.keyer import FrameLike, Keyer, as_frame, describe_options
from cleanplate.keyer.regions import Regions, apply_regions
from cleanplate.keyer.shot_plate import KeyerPlate
from cleanplate.keyer.source_handling import SourceHandling
from cleanplate.router import DeviceRouter
from cleanplate.runtimes import open_recurrent_runtime
from cleanplate.runtimes.model_choice import find_model_for
from cleanplate.vocabulary import KeyerOptions
from cleanplate.vocabulary.flags import flags_of, needing, replace_options, takes_options
from cleanplate.vocabulary.options import parse_scale

# Sides of the small picture are rounded down; this increase of the ratio keeps whole numbers whole.
_ROUNDING = 1 + 1e-6


def open_keyer(
    plate: KeyerPlate | None,
    options: KeyerOptions | None = None,
    *,
    on_note: Callable[[str], None],
    **keywords: Any,
) -> Keyer | RecurrentKeyer:
    """Open the keyer that a model needs.

    Args:
        plate: None for a model without a plate.
        options: The options in one object; None for the default ones.
        on_note: Receives a note if the plate is not used.
        keywords: Single options, as of :class:`cleanplate.Keyer`.

    Raises:
        OptionError: A model that needs a plate has none; or an option makes no sense without one.
        InputError, ModelError, UnavailableError: As of the keyers.
    """
    options = replace_options("open_keyer", options or KeyerOptions(), keywords)
    found = find_model_for(options)
    options = replace(options, model=found)
    if found.config.needs_plate and plate is not None:
        return Keyer(plate, options)
    keyer = RecurrentKeyer(options)
    if plate is not None:
        on_note(f"The model '{found.config.name}' does not use the plate.")
    return keyer


def check_plate_options(options: KeyerOptions, name: str) -> None:
    """Refuse options that need a plate or a refiner, for a model without them.

    Raises:
        OptionError: One of them has another value than its default.
    """
    if options.maps:
        raise OptionError(
            f"The model '{name}' gives no error map and refines nothing.",
            "leave error and refine out, or choose another model",
        )
    for option in needing(options, "plate"):
        raise OptionError(
            f"The model '{name}' works without a plate, but '{option}' needs one.",
            f"leave out {flags_of(KeyerOptions)[option].name}, or choose another model",
        )


class RecurrentKeyer(SourceHandling):
    """Cuts people out of the frames of a clip, one after another; no plate is needed.

    The state is reset at a cut, and when the frames' size or type changes. The keyer has no threads.

    Args:
        options: The options in one object; None for the default ones.
        keywords: Single options, the fields of :class:`cleanplate.vocabulary.KeyerOptions` that need no
            plate: a model without a plate, the runtime ``auto``, ``onnx`` or ``torch``, and ``scale``, whose
            ``auto`` brings the long side to the model's choice, 512 for RVM.

    Raises:
        OptionError, ModelError, UnavailableError: A value, the model or this machine does not allow it.
    """

    @takes_options(KeyerOptions)
    def __init__(self, options: KeyerOptions | None = None, **keywords: Any) -> None:
        options = replace_options("RecurrentKeyer", options or KeyerOptions(), keywords)
        self._options = options
        self._scale = parse_scale(options.scale)
        model = find_model_for(options)
        if model.config.needs_plate:
            raise OptionError(
                f"The model '{model.config.name}' needs a plate.",
                "give --plate (--plate=auto builds it from a clip), or a model that needs none, "
                "such as --model=rvm-mobilenetv3",
            )
        check_plate_options(options, model.config.name)
        if not isinstance(options.runtime, str):
            raise OptionError("A keyer without a plate opens its own runtime.", "give the runtime's name")
        self._runtime = open_recurrent_runtime(
            model, options.runtime, options.device, options.threads, options.precision
        )
        self._regions = Regions(options)
        plain = self._regions.is_empty
        self._destination = choose_destination(self._runtime, options.on_device, plain=plain)
        self._ratio: float | None = None
        self._seconds: dict[str, float] = {}
        self._state: Any = None
        self._kind: tuple[tuple[int, ...], np.dtype[Any]] | None = None
        self._is_cut = CutDetector()
        self._to_own_space = OwnSpace()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments and the state; unpickling opens another runtime."""
        return _reopen, (describe_options(self._options, self._runtime), self.snapshot())

    def __call__(self, frame: FrameLike) -> Matte:
        """Key the next frame.

        Args:
            frame: uint8 or uint16 RGB ``(height, width, 3)``, a :class:`Frame`, a picture's path, or an image
                of Pillow's.

        Raises:
            InputError: The pixels have another shape or type.
        """
        frame = self.show(as_frame(frame))
        began = time.perf_counter()
        kind = (frame.pixels.shape, frame.pixels.dtype)
        if kind != self._kind:
            self.forget()
        if self._is_cut(frame):
            self._state = None
        self._kind = kind
        looked = time.perf_counter()
        self._ratio = self._choose_ratio(frame)
        matte, self._state = self._destination.key(frame, self._state, self._ratio)
        self._seconds = {"cut": looked - began, "network": time.perf_counter() - looked}
        keep, ignore = self._regions.on(frame)
        if keep is not None or ignore is not None:
            matte = apply_regions(matte, keep, ignore)
        if self.source_alpha == "use":
            matte = apply_source_alpha(matte)
        return self._to_own_space(matte)

    def forget(self) -> None:
        """Reset the state: the next frame is independent of those before."""
        self._state = self._kind = None
        self._is_cut = CutDetector()

    def snapshot(self) -> tuple[Any, ...]:
        """State after the frames so far, to be written before the next one is keyed."""
        state = None if self._state is None else self._runtime.pack(self._state)
        return state, self._kind, self._is_cut.snapshot(), self._regions.snapshot()

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Continue after the frames of a snapshot that a keyer with the same arguments has made.

        Raises:
            ValueError: An array in it does not belong to frames of its size and type.
        """
        state, kind, before, origins = snapshot
        if state is not None:
            self._check_state(state, *kind)
        self._state = None if state is None else self._runtime.unpack(state)
        self._kind = kind
        self._is_cut.restore(before)
        self._regions.restore(origins)

    def _check_state(
        self, state: Sequence[Float32Array], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        """Compare a state's arrays with those after a black frame: only the network knows their shapes."""
        black = np.zeros((1, *shape), dtype)
        ratio = self._choose_ratio(Frame(black[0]))
        wanted = self._runtime.pack(self._runtime.key(black, None, ratio).state)
        for array, like in zip(state, wanted, strict=True):
            check_array(array, "a state of the network", like.dtype, like.shape)

    @property
    def notes(self) -> list[str]:
        """Notes for the user after the last frame: none."""
        return []

    @property
    def fit(self) -> None:
        """None, because there is no plate."""
        return None

    def close(self) -> None:
        """Close the regions that are files."""
        self._regions.close()

    @property
    def device_router(self) -> DeviceRouter[Any] | None:
        """Router on whose device mattes stay; None: mattes come to main memory."""
        return self._destination.device_router

    @property
    def timings(self) -> dict[str, float]:
        """Seconds of each stage of the last frame: cut (its detection) and network."""
        return dict(self._seconds)

    def describe(self) -> str:
        """Describe model, runtime, device and settings in one line."""
        config = self._runtime.model.config
        scale = f"{self._ratio:.3g}" if self._ratio else self._scale or "auto"
        return f"{config.name} {config.version}, {self._runtime.description}, scale {scale}"

    def _choose_ratio(self, frame: Frame) -> float:
        ratio = self._scale or self._runtime.model.config.default_scale(frame.height, frame.width)
        return min(1.0, ratio * _ROUNDING)


def _reopen(options: KeyerOptions, snapshot: tuple[Any, ...]) -> RecurrentKeyer:
    keyer = RecurrentKeyer(options)
    keyer.restore(snapshot)
    return keyer


def check_maps(wanted: Iterable[str], keyer: Keyer | RecurrentKeyer) -> None:
    """Refuse the mask of refined pixels if nothing is refined.

    Raises:
        OptionError: ``refine`` is among the layers or channels.
    """
    if "refine" in wanted and not (isinstance(keyer, Keyer) and keyer.refines):
        raise OptionError(
            "Nothing is refined, so there is no layer 'refine'.",
            "leave it out, or choose a model that refines, without --refine=off",
        )


def check_finish(finish: Finish, keyer: Keyer | RecurrentKeyer) -> None:
    """Refuse despill without a plate.

    Raises:
        OptionError: The finish has ``despill``.
    """
    if finish.despill > 0 and isinstance(keyer, RecurrentKeyer):
        raise OptionError(
            "Despill removes the plate's colour, but this model works without a plate.",
            "leave despill out, or choose another model",
        )
