"""The part of keying that needs no other frame: from a frame and its plate to a matte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cleanplate.compositing.over import apply_source_alpha, fold_shadow
from cleanplate.compositing.own_space import OwnSpace
from cleanplate.frame import Float32Array, Frame, Matte
from cleanplate.keyer.destination import Destination
from cleanplate.keyer.hints.hint_tracking import Hint, HintState
from cleanplate.keyer.hints.hinted_coarse import apply_hint
from cleanplate.keyer.props import compose_props
from cleanplate.keyer.regions import apply_regions
from cleanplate.keyer.shot_plate import UploadedPlate, shrink_method
from cleanplate.plate import FittedPlate
from cleanplate.plate.photometry.shadow import measure_shadow
from cleanplate.router import ChangedRegion, Clock, Coarse
from cleanplate.router.layout import Layout
from cleanplate.runtimes import Runtime
from cleanplate.vocabulary import KeyerOptions


@dataclass(frozen=True)
class FrameTask:
    """A frame with everything that a worker needs.

    Attributes:
        frame: The frame.
        keep: Region of the subject in it; None without one.
        ignore: Region outside of the subject.
        plate: Its plate; None: not known yet.
        props: Its plate with props; None: not known yet, or there is none.
        has_props: Whether there is a plate with props.
        hint: The hint on it; None without one.
        hint_state: State of the hints after it, for a snapshot.
    """

    frame: Frame
    keep: Float32Array | None = None
    ignore: Float32Array | None = None
    plate: UploadedPlate | None = None
    props: UploadedPlate | None = None
    has_props: bool = False
    hint: Hint | None = None
    hint_state: HintState | None = None

    @property
    def can_begin(self) -> bool:
        """True if a worker may key it."""
        return self.plate is not None and (self.props is not None or not self.has_props)


@dataclass(frozen=True)
class KeyedFrame:
    """Result of a worker.

    Attributes:
        task: The keyed task.
        network_matte: Matte of the networks, before regions and shadow: the plate is updated from it.
        props_matte: The same before the plate with props; None without one.
        matte: The complete matte.
        means: Means of the coarse network's alpha and expected error.
        seconds: Seconds of each stage.
    """

    task: FrameTask
    network_matte: Matte
    matte: Matte
    means: tuple[Any, Any]
    seconds: Mapping[str, float]
    props_matte: Matte | None = None


class FrameWorker:
    """Keys frames whose plate is known, one at a time; several workers key several frames at the same time.

    Args:
        runtime: The worker's own.
        options: The keyer's.
        destination: Destination of the mattes, for this runtime.
    """

    def __init__(self, runtime: Runtime[Any], options: KeyerOptions, destination: Destination) -> None:
        self._runtime, self._options, self._destination = runtime, options, destination
        self._clock = Clock()
        self._to_own_space = OwnSpace()
        self._props_alone: tuple[UploadedPlate, UploadedPlate, Float32Array] | None = None

    def __call__(self, task: FrameTask) -> KeyedFrame:
        """Key one frame; the result depends on the task alone."""
        if task.plate is None:
            raise RuntimeError("a frame has no plate yet")
        plate, props = task.plate, task.props
        self._clock = self._runtime.router.clock = Clock()
        matte, coarse, means = self._key(task.frame, plate, task.hint)
        if props is None:
            complete = self._complete(matte, task, plate, coarse)
            return KeyedFrame(task, matte, complete, means, self._clock.seconds)
        before_props, props_coarse, _ = self._key(task.frame, props, task.hint)
        props_alpha = self._key_props(plate, props)
        mode = self._options.props_mode
        composed = compose_props(matte, before_props, props_alpha, mode)
        behind = (plate, coarse) if mode == "keep" else (props, props_coarse)
        complete = self._complete(composed, task, *behind)
        return KeyedFrame(task, matte, complete, means, self._clock.seconds, before_props)

    def _key(
        self, frame: Frame, plate: UploadedPlate, hint: Hint | None = None
    ) -> tuple[Matte, Coarse[Any], tuple[Any, Any]]:
        """Run the networks on a frame and a plate.

        Returns:
            The matte; the coarse maps, changed by the hint; means of alpha and error without the hint.
        """
        layout, config, router = plate.layout, self._runtime.model.config, self._runtime.router
        with self._clock.stage("upload"):
            source = self._destination.upload(frame, layout.padding)
        small = router.shrink(source, layout.coarse_size, shrink_method(config))
        coarse = self._run_coarse(small, plate.small, layout)
        means = coarse.alpha.mean(), coarse.error.mean()
        if hint is not None:
            with self._clock.stage("hint"):
                coarse = apply_hint(coarse, hint, source, router, frame, layout.padding)
        kernel = config.refiner_kernel or 3
        parts = (source, plate.picture, coarse, layout.refine, self._runtime.refine, kernel)
        return self._destination.refine(frame, layout.padding, *parts), coarse, means

    def _key_props(self, plate: UploadedPlate, props: UploadedPlate) -> Float32Array:
        """Alpha of the props alone: their plate, keyed before the empty one; reused while both rest."""
        last = self._props_alone
        if last is None or not (last[0].keys_like(plate) and last[1].keys_like(props)):
            alpha = self._key(Frame(props.fitted.pixels), plate)[0].alpha
            last = self._props_alone = plate, props, alpha
        return last[2]

    def _run_coarse(self, source: Any, plate: Any, layout: Layout) -> Coarse[Any]:
        """Run the coarse network; only on the changed region if the model supports unknown parts.

        A refiner that runs on all cells needs its inputs everywhere: those outside of the region are zero,
        which no training shows.
        """
        router, runtime, config = self._runtime.router, self._runtime, self._runtime.model.config
        size = layout.coarse_size
        whole = ChangedRegion(0, 0, *size)
        partly = config.plate_channels == 4 and layout.refine.mode != "full"
        region = router.find_change(source, plate) if partly else whole
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

    def _complete(self, matte: Matte, task: FrameTask, plate: UploadedPlate, coarse: Coarse[Any]) -> Matte:
        """Apply regions, and add the plate, maps and shadow."""
        fitted, layout = plate.fitted, plate.layout
        if task.keep is not None or task.ignore is not None:
            matte = apply_regions(matte, task.keep, task.ignore)
        matte = replace(matte, plate=fitted.pixels)
        if self._options.maps:
            matte = self._add_maps(matte, coarse, layout)
        if self._options.shadow != "remove":
            matte = self._add_shadow(matte, fitted, task.ignore)
        if self._options.source_alpha == "use":
            matte = apply_source_alpha(matte)
        if matte.frame.coded is not None:
            with self._clock.stage("colour"):
                matte = self._to_own_space(matte)
        return fold_shadow(matte) if self._options.shadow == "keep" else matte

    def _add_maps(self, matte: Matte, coarse: Coarse[Any], layout: Layout) -> Matte:
        """Add the expected error and the refined pixels."""
        router, padding = self._runtime.router, layout.padding
        error, refined = router.show_maps(coarse, padding.padded_size, layout.refine)
        return replace(
            matte,
            error=np.ascontiguousarray(padding.crop(error[0])),
            refined=np.ascontiguousarray(padding.crop(refined[0])),
        )

    def _add_shadow(self, matte: Matte, fitted: FittedPlate, ignore: Float32Array | None) -> Matte:
        """Add the shadow; none where the plate is unknown."""
        with self._clock.stage("shadow"):
            shadow = measure_shadow(matte.frame.pixels, fitted.pixels, matte.alpha)
            if fitted.valid is not None:
                shadow *= fitted.valid
            if ignore is not None:
                shadow *= 1 - ignore
            return replace(matte, shadow=shadow)
