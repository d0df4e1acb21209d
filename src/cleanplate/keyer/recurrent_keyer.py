"""Keying without a plate: a network that knows people and remembers the frames before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from cleanplate.compositing.finish import Finish
from cleanplate.compositing.over import apply_source_alpha
from cleanplate.errors import OptionError
from cleanplate.frame import Frame, Matte, Padding
from cleanplate.keyer.cuts import CutDetector
from cleanplate.keyer.keyer import (
    FrameLike,
    Keyer,
    as_frame,
    describe_arguments,
    parse_scale,
    uses_source_alpha,
)
from cleanplate.keyer.regions import (
    RegionSpec,
    apply_regions,
    open_region,
    restore_regions,
    snapshot_regions,
)
from cleanplate.models.registry import DEFAULT_MODEL, Model, find_model
from cleanplate.plate import Plate
from cleanplate.router import DeviceRouter, stay_with
from cleanplate.runtimes import open_recurrent_runtime
from cleanplate.runtimes.recurrent_runtime import DeviceRecurrentRuntime

# Options of the keyer with a plate, and their values that ask for nothing.
PLATE_OPTIONS: dict[str, object] = {"refine": "auto", "follow": False, "shadow": "remove"}

# Sides of the small picture are rounded down; this much larger a ratio lets a whole number stay one.
_ROUNDING = 1 + 1e-6


def open_keyer(
    plate: Plate | None,
    *,
    model: str | Path | Model = DEFAULT_MODEL,
    on_note: Callable[[str], None],
    **options: Any,
) -> Keyer | RecurrentKeyer:
    """The keyer that a model needs.

    Args:
        plate: None for a model that needs none.
        model: A model's name or path, or the model.
        on_note: Is told that a plate was given for nothing.
        options: Those of :class:`cleanplate.Keyer`.

    Raises:
        OptionError: A model that needs a plate has none; or an option makes no sense without one.
        InputError, ModelError, UnavailableError: As of the keyers.
    """
    found = model if isinstance(model, Model) else find_model(model)
    if found.config.needs_plate and plate is not None:
        return Keyer(plate, model=found, **options)
    options.pop("align", None)
    if options.pop("maps", False) and not found.config.needs_plate:
        raise OptionError(
            f"The model '{found.config.name}' tells no error and refines nothing.",
            "leave error and refine out, or choose another model",
        )
    for option, neutral in PLATE_OPTIONS.items():
        if options.pop(option, neutral) != neutral and not found.config.needs_plate:
            raise OptionError(
                f"The model '{found.config.name}' works without a plate, and '{option}' needs one.",
                f"leave {option} out, or choose another model",
            )
    if plate is not None:
        on_note(f"The model '{found.config.name}' does not look at the plate.")
    return RecurrentKeyer(model=found, **options)


class RecurrentKeyer:
    """Cuts people out of the frames of a clip, one after another; no plate is needed.

    What was seen is forgotten at a cut, and when the frames' size or type changes. No threads in here.

    Args:
        model: A model's name or path, or the model; one that needs no plate.
        runtime: ``auto``, ``onnx`` or ``torch``.
        device: ``auto``, ``cpu``, ``cuda`` ...; what is asked for is used or refused.
        scale: Size at which the network looks over the frame's, in [0.125, 1]; ``auto`` brings the long side
            to the model's choice, 512 for RVM.
        keep: A region that is surely the subject's, as :func:`cleanplate.keyer.regions.open_region` takes it.
        ignore: A region that is never the subject's. Where both hold, ``keep`` wins.
        source_alpha: ``use`` or ``ignore``, as of :class:`cleanplate.Keyer`.
        threads: CPU threads within an operator of the network; None for one per core.
        precision: In which the network computes: ``auto``, or what the runtime lets one choose.
        on_device: Whether mattes stay where the runtime computes, as of :class:`cleanplate.Keyer`.

    Raises:
        OptionError, ModelError, UnavailableError: A value, the model or this machine does not allow it.
    """

    def __init__(
        self,
        *,
        model: str | Path | Model,
        runtime: str = "auto",
        device: str = "auto",
        scale: float | str = "auto",
        keep: RegionSpec | None = None,
        ignore: RegionSpec | None = None,
        source_alpha: str = "use",
        threads: int | None = None,
        precision: str = "auto",
        on_device: bool | None = False,
    ) -> None:
        self._given = {
            "model": model, "runtime": runtime, "device": device, "scale": scale, "keep": keep,
            "ignore": ignore, "source_alpha": source_alpha, "threads": threads,
            "precision": precision, "on_device": on_device,
        }  # fmt: skip
        self._scale = parse_scale(scale)
        self._masks = uses_source_alpha(source_alpha)
        self.source_alpha = source_alpha
        model = model if isinstance(model, Model) else find_model(model)
        if model.config.needs_plate:
            raise OptionError(
                f"The model '{model.config.name}' needs a plate.",
                "give --plate, or a model that needs none, such as --model=rvm-mobilenetv3",
            )
        self._runtime = open_recurrent_runtime(model, runtime, device, threads, precision)
        self._keep = None if keep is None else open_region(keep)
        self._ignore = None if ignore is None else open_region(ignore)
        router = getattr(self._runtime, "router", None)
        self._there = stay_with(router, on_device, plain=keep is None and ignore is None)
        self._ratio: float | None = None
        self._seconds: dict[str, float] = {}
        self._state: Any = None
        self._kind: tuple[tuple[int, ...], np.dtype[Any]] | None = None
        self._is_cut = CutDetector()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments and the state; unpickling opens another runtime."""
        return _reopen, (describe_arguments(self._given, self._runtime), self.snapshot())

    def __call__(self, frame: FrameLike) -> Matte:
        """Key the next frame.

        Args:
            frame: uint8 or uint16 RGB ``(height, width, 3)``, a :class:`Frame`, a picture's path, or an image
                of Pillow's.

        Raises:
            InputError: These are no such pixels.
        """
        frame = as_frame(frame)
        began = time.perf_counter()
        kind = (frame.pixels.shape, frame.pixels.dtype)
        if kind != self._kind:
            self.forget()
        if self._is_cut(frame):
            self._state = None
        self._kind = kind
        looked = time.perf_counter()
        self._ratio = self._choose_ratio(frame)
        matte = self._key(frame, self._ratio)
        self._seconds = {"cut": looked - began, "network": time.perf_counter() - looked}
        if self._keep is not None or self._ignore is not None:
            keep = None if self._keep is None else self._keep(frame)
            ignore = None if self._ignore is None else self._ignore(frame)
            matte = apply_regions(matte, keep, ignore)
        return apply_source_alpha(matte) if self._masks else matte

    def _key(self, frame: Frame, ratio: float) -> Matte:
        """Run the network, and remember what it is to be told next time."""
        if self._there is None:
            keyed = self._runtime.key(frame.pixels[None], self._state, ratio)
            self._state = keyed.state
            return Matte(keyed.alpha[0], keyed.foreground[0], frame)
        from cleanplate.compositing.device.device_matte import (
            DeviceMatte,  # needs PyTorch, which such a runtime has brought
        )

        sent = self._there.send(frame.pixels) if frame.sent is None else frame.sent
        picture = self._there.receive(sent, Padding.of(frame.height, frame.width, 1))
        runtime = cast(DeviceRecurrentRuntime, self._runtime)
        alpha, foreground, self._state = runtime.key_there(picture, self._state, ratio)
        return DeviceMatte(alpha[0], foreground[0], replace(frame, sent=None))

    def forget(self) -> None:
        """Begin anew: the next frame has nothing to do with those before."""
        self._state = self._kind = None
        self._is_cut = CutDetector()

    def snapshot(self) -> tuple[Any, ...]:
        """All that is remembered of the frames so far, to be written down before the next one is keyed."""
        state = None if self._state is None else self._runtime.pack(self._state)
        regions = snapshot_regions(self._keep, self._ignore)
        return state, self._kind, self._is_cut.snapshot(), regions

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Go on after the frames of a snapshot that a keyer with the same arguments has made."""
        state, self._kind, before, origins = snapshot
        self._state = None if state is None else self._runtime.unpack(state)
        self._is_cut.restore(before)
        restore_regions(origins, self._keep, self._ignore)

    @property
    def fit(self) -> None:
        """There is no plate that could be fitted."""
        return None

    def close(self) -> None:
        """Close the regions that are files."""
        for region in (self._keep, self._ignore):
            if region is not None:
                region.close()

    @property
    def device_router(self) -> DeviceRouter[Any] | None:
        """Where mattes stay; None: they come to main memory."""
        return self._there

    @property
    def timings(self) -> dict[str, float]:
        """Seconds of each stage of the last frame: cut (was there one?) and network."""
        return dict(self._seconds)

    def describe(self) -> str:
        """Say in one line what runs where, and how."""
        config = self._runtime.model.config
        scale = f"{self._ratio:.3g}" if self._ratio else self._scale or "auto"
        return f"{config.name} {config.version}, {self._runtime.description}, scale {scale}"

    def _choose_ratio(self, frame: Frame) -> float:
        ratio = self._scale or self._runtime.model.config.default_scale(frame.height, frame.width)
        return min(1.0, ratio * _ROUNDING)


def _reopen(arguments: dict[str, Any], snapshot: tuple[Any, ...]) -> RecurrentKeyer:
    keyer = RecurrentKeyer(**arguments)
    keyer.restore(snapshot)
    return keyer


def check_maps(wanted: Iterable[str], keyer: Keyer | RecurrentKeyer) -> None:
    """Refuse a mask of what is refined where nothing is.

    Raises:
        OptionError: ``refine`` is wanted, as a layer or a channel.
    """
    if "refine" in wanted and not (isinstance(keyer, Keyer) and keyer.refines):
        raise OptionError(
            "Nothing is refined, so that there is no layer 'refine'.",
            "leave it out, or choose a model that refines, without --refine=off",
        )


def check_finish(finish: Finish, keyer: Keyer | RecurrentKeyer) -> None:
    """Refuse to take off the colour of a plate where there is none.

    Raises:
        OptionError: That was asked for.
    """
    if finish.despill > 0 and isinstance(keyer, RecurrentKeyer):
        raise OptionError(
            "Despill takes the plate's colour off, and this model works without a plate.",
            "leave despill out, or choose another model",
        )
