"""Plate, runtime and router together: a frame goes in, its matte comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from cleanplate.compositing.over import apply_source_alpha, fold_shadow
from cleanplate.errors import OptionError
from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.keyer.regions import (
    Mask,
    RegionSpec,
    apply_regions,
    open_region,
    restore_regions,
    snapshot_regions,
)
from cleanplate.media.stills.picture_inputs import take_picture
from cleanplate.models.config import ModelConfig
from cleanplate.models.registry import Model, find_model
from cleanplate.plate import Fit, FittedPlate, Plate, load_plate
from cleanplate.plate.photometry.shadow import measure_shadow
from cleanplate.plate.structure import reduced_size
from cleanplate.plate.tracking.plate_tracker import SUBJECT_SIDE
from cleanplate.plate.tracking.plate_update import VIEW_SIDE
from cleanplate.plate.tracking.shot import Shot
from cleanplate.router import ChangedRegion, Clock, Coarse, DeviceRouter, Refine, Shrink, stay_with
from cleanplate.router.layout import Layout, lay_out
from cleanplate.runtimes import Runtime, open_runtime
from cleanplate.vocabulary import SHADOWS, SOURCE_ALPHAS

if TYPE_CHECKING:
    from PIL import Image

FrameLike: TypeAlias = "Frame | Pixels | str | Path | Image.Image"

SCALES = (0.125, 1.0)

FINER = 1.5
"""How much larger the coarse input is with the scale ``fine``, each side."""

# Share of the frame below which a subject is not worth measuring errors by.
_LEAST_SUBJECT = 0.002


@dataclass(frozen=True)
class Confidence:
    """Confidence of the coarse network in its own matte.

    Attributes:
        changed: Share of the frame that the subject covers, 0 to 1.
        confidence: 1 minus the error that the network expects of its alpha, as a share of the subject; at
            least 0.
    """

    changed: float
    confidence: float


@dataclass(frozen=True)
class _Background:
    """A fitted plate as the runtime wants it; made once for many frames."""

    fitted: FittedPlate
    layout: Layout
    picture: Any
    small: Any


class Keyer:
    """Cuts the subject out of frames that share a plate and a camera position.

    The plate is fitted to the first frame and tracked from there; a frame of another size or type fits it
    anew, and :meth:`refit` does so on demand. There are no threads in here, and one frame at a time. A copy,
    made by ``copy.deepcopy`` or ``pickle``, opens a runtime of its own and continues after the same frames.

    Args:
        plate: Path, pixels or Pillow's image of the clean plate, or one that is fitted already.
        model: A model's name or path, or the model.
        runtime: A runtime's name, ``auto``, or one that is open already, with its own model and device.
        device: ``auto``, ``cpu``, ``cuda`` ...; what is asked for is used or refused.
        scale: Coarse input over frame, in [0.125, 1]; ``auto`` is the model's choice for the frame's size in
            real time, ``fine`` for what may take twice as long.
        refine: Where to refine, as in :meth:`cleanplate.router.Refine.parse`; ``auto`` is the model's choice.
        align: Whether the plate may be moved to where the camera stands.
        follow: Whether the plate is kept fresh from frame to frame: small motion of the camera, light, and
            what changes in the scene for good. For frames of one shot, in order.
        look_seconds: With ``follow``, time between two looks at light and scene; 0: at every frame.
        shadow: What becomes of the subject's shadow: ``remove``, as the network does; ``keep`` it in alpha,
            as black; ``separate``: in :attr:`Matte.shadow`.
        keep: A region that is surely the subject's, as :func:`cleanplate.keyer.regions.open_region` takes it.
        ignore: A region that is never the subject's. Where both hold, ``keep`` wins.
        source_alpha: ``use``: the alpha of frames that have one is multiplied into the matte, so that
            transparent parts are not the subject; ``ignore`` it.
        threads: CPU threads within an operator of the network; None for one per core.
        precision: In which the network computes: ``auto``, or what the runtime lets one choose.
        maps: Whether mattes come with :attr:`Matte.error` and :attr:`Matte.refined`.
        on_device: Whether mattes stay where the runtime computes, for who goes on there, as
            :class:`cleanplate.compositing.device.device_matte.DeviceMatte`. None: if that is an accelerator
            with a memory of its own, and nothing is asked for that is done in main memory.

    Raises:
        OptionError, InputError, ModelError, UnavailableError: A value, the plate, the model or this machine
            does not allow it.
    """

    def __init__(
        self,
        plate: str | Path | Pixels | Image.Image | Plate | FittedPlate,
        *,
        model: str | Path | Model = "lite",
        runtime: str | Runtime[Any] = "auto",
        device: str = "auto",
        scale: float | str = "auto",
        refine: str | Refine = "auto",
        align: bool = True,
        follow: bool = False,
        look_seconds: float = 0.0,
        shadow: str = "remove",
        keep: RegionSpec | None = None,
        ignore: RegionSpec | None = None,
        source_alpha: str = "use",
        threads: int | None = None,
        precision: str = "auto",
        maps: bool = False,
        on_device: bool | None = False,
    ) -> None:
        if shadow not in SHADOWS:
            raise OptionError(f"Expected the shadow as {', '.join(SHADOWS)}, got '{shadow}'.")
        self._given = {
            "model": model, "runtime": runtime, "device": device, "scale": scale, "refine": refine,
            "align": align, "follow": follow, "look_seconds": look_seconds, "shadow": shadow, "keep": keep,
            "ignore": ignore, "source_alpha": source_alpha, "threads": threads,
            "precision": precision, "maps": maps, "on_device": on_device,
        }  # fmt: skip
        self._shadow = shadow
        self._masks = uses_source_alpha(source_alpha)
        self.source_alpha = source_alpha
        self._scale = parse_scale(scale)
        self._finer = FINER if scale == "fine" else 1.0
        self._refine = refine if isinstance(refine, Refine) or refine == "auto" else Refine.parse(refine)
        self._plate = plate if isinstance(plate, FittedPlate) else load_plate(plate)
        self._align = align
        self._follow = follow
        self._look_seconds = look_seconds
        self._runtime = (
            open_runtime(
                model if isinstance(model, Model) else find_model(model), runtime, device, threads, precision
            )
            if isinstance(runtime, str)
            else runtime
        )
        self._maps = maps
        self._keep = None if keep is None else open_region(keep)
        self._ignore = None if ignore is None else open_region(ignore)
        self._shot: Shot | None = None
        self._shot_like: tuple[tuple[int, ...], np.dtype[Any]] | None = None
        self._background: _Background | None = None
        self._judged: tuple[Any, Any] | None = None
        self._clock = Clock()
        plain = shadow == "remove" and keep is None and ignore is None and not maps
        self._there = stay_with(self._runtime.router, on_device, plain=plain)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments and the state; unpickling opens another runtime."""
        return _reopen, (self._plate, describe_arguments(self._given, self._runtime), self.snapshot())

    def __call__(self, frame: FrameLike) -> Matte:
        """Key one frame.

        Args:
            frame: uint8 or uint16 RGB ``(height, width, 3)``, a :class:`Frame`, a picture's path, or an image
                of Pillow's.

        Raises:
            InputError: These are no such pixels.
            PlateError: The plate cannot serve this frame.
        """
        frame = as_frame(frame)
        self._clock = self._runtime.router.clock = Clock()
        background = self._lie(frame)
        layout, router = background.layout, self._runtime.router
        with self._clock.stage("upload"):
            if self._there is not None and frame.sent is not None:
                source = self._there.receive(frame.sent, layout.padding)
            else:
                source = router.upload(layout.padding.pad(frame.pixels))
        small = router.shrink(source, layout.coarse_size, self._shrink)
        coarse = self._look(small, background.small, layout.coarse_size)
        self._judged = coarse.alpha.mean(), coarse.error.mean()
        kernel = self._config.refiner_kernel or 3
        parts = (source, background.picture, coarse, layout.refine, self._runtime.refine, kernel)
        if self._there is not None:
            return self._leave_there(self._there, frame, background, self._there.refine_there(*parts))
        alpha, foreground = router.refine(*parts)
        crop = layout.padding.crop
        matte = Matte(np.ascontiguousarray(crop(alpha[0])), np.ascontiguousarray(crop(foreground[0])), frame)
        keep, ignore = self._show_regions(frame)
        if self._shot is not None:
            # What is kept is the subject's, however still; what is ignored may have the subject before it.
            with self._clock.stage("learn"):
                self._shot.learn(frame, matte.alpha if keep is None else np.maximum(matte.alpha, keep))
        if keep is not None or ignore is not None:
            matte = apply_regions(matte, keep, ignore)
        matte = replace(matte, plate=background.fitted.pixels)
        if self._maps:
            error, refined = router.show_maps(coarse, layout.padding.padded_size, layout.refine)
            matte = replace(
                matte,
                error=np.ascontiguousarray(crop(error[0])),
                refined=np.ascontiguousarray(crop(refined[0])),
            )
        if self._shadow != "remove":
            matte = self._shade(matte, background.fitted, ignore)
        if self._masks:
            matte = apply_source_alpha(matte)
        return fold_shadow(matte) if self._shadow == "keep" else matte

    def _leave_there(
        self, router: DeviceRouter[Any], frame: Frame, background: _Background, refined: tuple[Any, Any]
    ) -> Matte:
        """Make the matte of what stays on the device; a glance at alpha is enough to learn from."""
        from cleanplate.compositing.device.device_matte import (
            DeviceMatte,  # needs PyTorch, which such a router has brought
        )

        rows, columns = slice(frame.height), slice(frame.width)
        alpha, foreground = refined[0][0, rows, columns], refined[1][0, :, rows, columns]
        if self._shot is not None and self._shot.learns:
            with self._clock.stage("learn"):
                place, view = (
                    reduced_size(frame.height, frame.width, side) for side in (SUBJECT_SIDE, VIEW_SIDE)
                )
                covered = router.glance(alpha, view, "area") if self._shot.follows else None
                self._shot.learn(frame, router.glance(alpha, place, "bilinear"), covered)
        # What was sent of the frame is not needed any more.
        matte = DeviceMatte(alpha, foreground, replace(frame, sent=None), plate=background.fitted.pixels)
        return apply_source_alpha(matte) if self._masks else matte

    def _show_regions(self, frame: Frame) -> tuple[Mask | None, Mask | None]:
        """What the user keeps and ignores of this frame."""
        return (
            None if self._keep is None else self._keep(frame),
            None if self._ignore is None else self._ignore(frame),
        )

    def _shade(self, matte: Matte, fitted: FittedPlate, ignore: Mask | None) -> Matte:
        """Add the shadow; none where the plate is unknown."""
        with self._clock.stage("shadow"):
            shadow = measure_shadow(matte.frame.pixels, fitted.pixels, matte.alpha)
            if fitted.valid is not None:
                shadow *= fitted.valid
            if ignore is not None:
                shadow *= 1 - ignore
            return replace(matte, shadow=shadow)

    def _look(self, source: Any, plate: Any, size: tuple[int, int]) -> Coarse[Any]:
        """Run the coarse network; on what may have changed only, if the model knows of unknown parts."""
        router, runtime, config = self._runtime.router, self._runtime, self._config
        whole = ChangedRegion(0, 0, *size)
        region = router.find_change(source, plate) if config.plate_channels == 4 else whole
        maps = (size[0] // config.coarse_output_stride, size[1] // config.coarse_output_stride)
        if region is None:
            return router.nothing(1, config.hidden_channels, maps)
        rows = slice(region.top, region.top + region.height)
        columns = slice(region.left, region.left + region.width)
        with self._clock.stage("coarse"):
            coarse = runtime.coarse(source[:, :, rows, columns], plate[:, :, rows, columns])
        if region == whole:
            return coarse
        return router.expand(coarse, region.scaled_down(config.coarse_output_stride), maps)

    def refit(self, frame: FrameLike) -> Fit:
        """Fit the plate to this frame, for it and those that follow; a fit that the caller gave is kept."""
        self._shot = None
        return self._lie(as_frame(frame)).fitted.fit

    def tune(self, scale: float | str, refine: str | Refine) -> None:
        """Change the scale and where to refine, from the next frame on; the plate stays as it lies.

        Raises:
            OptionError: A value is out of range.
        """
        refine = refine if isinstance(refine, Refine) or refine == "auto" else Refine.parse(refine)
        self._scale, self._refine = parse_scale(scale), refine
        self._finer = FINER if scale == "fine" else 1.0
        self._given |= {"scale": scale, "refine": refine}
        self._background = None

    @property
    def refines(self) -> bool:
        """Whether there is a refiner, and it may run."""
        refine = Refine.parse(self._config.refine) if isinstance(self._refine, str) else self._refine
        return self._config.refiner_kernel is not None and refine.mode != "off"

    @property
    def plate(self) -> Plate | FittedPlate:
        """The plate as it was given."""
        return self._plate

    def snapshot(self) -> tuple[Any, ...]:
        """All that is remembered of the frames so far, to be written down before the next one is keyed."""
        return self._shot, self._shot_like, snapshot_regions(self._keep, self._ignore)

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Go on after the frames of a snapshot that a keyer with the same arguments has made."""
        self._shot, self._shot_like, origins = snapshot
        restore_regions(origins, self._keep, self._ignore)
        self._background = None

    @property
    def fit(self) -> Fit | None:
        """How the plate lies on the frames; None before the first."""
        return self._background.fitted.fit if self._background else None

    @property
    def confidence(self) -> Confidence | None:
        """Confidence of the network in the last frame's matte; None before the first."""
        return None if self._judged is None else _judge(*self._judged)

    @property
    def device_router(self) -> DeviceRouter[Any] | None:
        """Where mattes stay; None: they come to main memory."""
        return self._there

    def close(self) -> None:
        """Close the regions that are files."""
        for region in (self._keep, self._ignore):
            if region is not None:
                region.close()

    @property
    def timings(self) -> dict[str, float]:
        """Seconds of each stage of the last frame.

        The stages are fit (of the plate to the frame), upload, shrink, change, coarse, select, cut, refine,
        paste, foreground, learn (what the plate takes over of the frame) and shadow (where it is measured).
        What an accelerator does shows where it is waited for.
        """
        return dict(self._clock.seconds)

    def describe(self) -> str:
        """Say in one line what runs where, and how."""
        layout = self._background.layout if self._background else None
        if layout:
            height, width = layout.coarse_size
            how = f"scale {layout.scale:.3g} ({width}x{height}), refine {layout.refine}"
        else:
            how = f"scale {self._scale or 'auto'}, refine {self._refine}"
        return f"{self._config.name} {self._config.version}, {self._runtime.description}, {how}"

    @property
    def _config(self) -> ModelConfig:
        return self._runtime.model.config

    @property
    def _shrink(self) -> Shrink:
        return "area" if self._config.shrink == "area" else "bilinear"

    def _lie(self, frame: Frame) -> _Background:
        """Put the plate on this frame; what the runtime made of it serves as long as it is the same plate."""
        with self._clock.stage("fit"):
            if self._shot is None or self._shot_like != (frame.pixels.shape, frame.pixels.dtype):
                self._shot = Shot(
                    self._plate,
                    follow=self._follow,
                    align=self._align,
                    look_seconds=self._look_seconds,
                )
                self._shot_like = (frame.pixels.shape, frame.pixels.dtype)
            fitted = self._shot.plate_for(frame)
            background = self._background
            if background is None or not _is_same(background.fitted, fitted):
                layout = lay_out(
                    self._config, frame.height, frame.width, self._scale, self._refine, self._finer
                )
                picture, small = self._take_over(fitted, layout)
                background = _Background(fitted, layout, picture, small)
            else:
                background = replace(background, fitted=fitted)
            self._background = background
        return background

    def _take_over(self, fitted: FittedPlate, layout: Layout) -> tuple[Any, Any]:
        """Make the plate's picture, and what the coarse network gets of it.

        A model with four plate channels is told where the plate is unknown, and sees zeros there. One with
        three sees the plate as it was filled in.
        """
        router, shrink = self._runtime.router, self._shrink
        pixels = layout.padding.pad(fitted.pixels)
        if self._config.plate_channels == 3:
            picture = router.upload(pixels)
            return picture, router.shrink(picture, layout.coarse_size, shrink)
        # A fourth channel at the top of the range, and all four 0 where the plate is unknown.
        both = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)
        if fitted.valid is not None:
            valid = np.ascontiguousarray(layout.padding.pad(fitted.valid)).view(np.uint8)
            both = cv2.copyTo(both, valid)
            pixels = cv2.cvtColor(both, cv2.COLOR_RGBA2RGB)
        small = router.shrink(router.upload(both), layout.coarse_size, shrink)
        known = small[:, 3:] > 0.999  # a pixel of which a part is unknown has a mixed colour
        return router.upload(pixels), small * known


def as_frame(given: FrameLike) -> Frame:
    """A frame of pixels, of a picture's path or of an image of Pillow's; a frame unchanged."""
    if isinstance(given, Frame):
        return given
    picture = take_picture(given)
    return Frame(picture.pixels, light=picture.light)


def describe_arguments(given: Mapping[str, Any], runtime: Any) -> dict[str, Any]:
    """A keyer's arguments, with the loaded model, and an open runtime as its name and device."""
    if isinstance(given["runtime"], str):
        return {**given, "model": runtime.model}
    return {**given, "model": runtime.model, "runtime": runtime.name, "device": runtime.device}


def _reopen(plate: Plate | FittedPlate, arguments: dict[str, Any], snapshot: tuple[Any, ...]) -> Keyer:
    keyer = Keyer(plate, **arguments)
    keyer.restore(snapshot)
    return keyer


def _judge(alpha: Any, error: Any) -> Confidence:
    """Sum the network's maps up by their means: its error channel is the error that it expects of alpha."""
    changed, expected = float(alpha), float(error)
    return Confidence(changed, max(0.0, 1.0 - expected / max(changed, _LEAST_SUBJECT)))


def parse_scale(scale: float | str) -> float | None:
    """Read ``auto`` and ``fine`` as None, and everything else as a number within ``SCALES``."""
    if scale in ("auto", "fine"):
        return None
    try:
        value = float(scale)
    except (TypeError, ValueError):
        value = math.nan
    if not SCALES[0] <= value <= SCALES[1]:
        raise OptionError(
            f"Expected a scale from {SCALES[0]} to {SCALES[1]:g}, 'auto' or 'fine', got {scale!r}."
        )
    return value


def uses_source_alpha(source_alpha: str) -> bool:
    """Whether the alpha of a source is multiplied in; :class:`OptionError` for an unknown word."""
    if source_alpha not in SOURCE_ALPHAS:
        raise OptionError(f"Expected the source alpha as {' or '.join(SOURCE_ALPHAS)}, got '{source_alpha}'.")
    return source_alpha == "use"


def _is_same(before: FittedPlate, now: FittedPlate) -> bool:
    return before.pixels is now.pixels and before.valid is now.valid
