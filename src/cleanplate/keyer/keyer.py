"""The keyer: plate, runtime and router; it turns a frame into a matte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cleanplate.errors import InputError, OptionError
from cleanplate.frame import Frame, Matte, Pixels
from cleanplate.keyer.destination import MainMemory, choose_destination
from cleanplate.keyer.frame_worker import FrameTask, FrameWorker, KeyedFrame
from cleanplate.keyer.hints.hint_sources import open_hint
from cleanplate.keyer.hints.hint_tracking import HintTracker
from cleanplate.keyer.layout_rule import LayoutRule
from cleanplate.keyer.plate_pair import PlatePair
from cleanplate.keyer.regions import Regions
from cleanplate.keyer.shot_plate import KeyerPlate
from cleanplate.keyer.source_handling import SourceHandling
from cleanplate.media.stills.picture_inputs import take_picture
from cleanplate.plate import Fit, FittedPlate
from cleanplate.plate.mixing.plate_set import PlateLike, PlateSet, load_plates
from cleanplate.plate.moving.moving_plate import MovingPlate
from cleanplate.router import Clock, DeviceRouter, Refine
from cleanplate.router.layout import Layout
from cleanplate.runtimes import Runtime, open_runtime
from cleanplate.runtimes.model_choice import find_model_for
from cleanplate.vocabulary import KeyerOptions
from cleanplate.vocabulary.flags import replace_options, takes_options

if TYPE_CHECKING:
    from PIL import Image

FrameLike: TypeAlias = "Frame | Pixels | str | Path | Image.Image"

# Share of the frame below which a subject is too small for a measure of errors.
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


class Keyer(SourceHandling):
    """Cuts the subject out of frames that share a plate and a camera position.

    The plate is fitted to the first frame and tracked from there; a frame of another size, type or
    pixel aspect, or :meth:`refit`, fits it again. The keyer has no threads and keys one frame at a time.
    A copy, made by ``copy.deepcopy`` or ``pickle``, opens its own runtime and continues at the same frame.

    Args:
        plate: Path, pixels or Pillow's image of the clean plate, or a fitted plate; several of one set in
            different light; or a plate that moves, for :class:`Frame` objects with their indices.
        options: The options in one object; None for the default ones.
        keywords: Single options, the fields of :class:`cleanplate.vocabulary.KeyerOptions`:
            ``Keyer(plate, follow=True)``.

    Raises:
        OptionError, InputError, ModelError, UnavailableError: A value, the plate, the model or this machine
            does not allow it.
    """

    @takes_options(KeyerOptions)
    def __init__(
        self,
        plate: PlateLike | Sequence[PlateLike] | FittedPlate | MovingPlate | PlateSet,
        options: KeyerOptions | None = None,
        **keywords: Any,
    ) -> None:
        options = replace_options("Keyer", options or KeyerOptions(), keywords)
        self._options = options
        self._layouts = LayoutRule(options.scale, options.refine)
        self._plate = plate if isinstance(plate, (FittedPlate, MovingPlate)) else load_plates(plate)
        if options.follow and isinstance(self._plate, (MovingPlate, PlateSet)):
            raise OptionError(
                "A plate that moves or is mixed is measured in each frame, so there is nothing to follow.",
                "leave out --follow, or give one plate",
            )
        if options.locked_off and isinstance(self._plate, (MovingPlate, PlateSet)):
            raise OptionError(
                "A plate that moves or is mixed is measured in each frame, so it is not locked off.",
                "leave out --locked-off and --split-seconds, or give one plate",
            )
        self._runtime = open_runtime_for(options)
        self._regions = Regions(options)
        self._hints = None if options.hint is None else HintTracker(open_hint(options.hint))
        self._hint_state = None if self._hints is None else self._hints.snapshot()
        self._plates = PlatePair(self._plate, options, self._runtime, self._lay_out)
        self._judged: tuple[Any, Any] | None = None
        self._clock = Clock()
        plain = (
            options.shadow == "remove"
            and not options.maps
            and self._regions.is_empty
            and not self._plates.has_props
        )
        self._destination = choose_destination(self._runtime, options.on_device, plain=plain)
        self._worker = FrameWorker(self._runtime, options, self._destination)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments and the state; unpickling opens another runtime."""
        return _reopen, (self._plate, describe_options(self._options, self._runtime), self.snapshot())

    def __call__(self, frame: FrameLike) -> Matte:
        """Key one frame.

        Args:
            frame: uint8 or uint16 RGB ``(height, width, 3)``, a :class:`Frame`, a picture's path, or an image
                of Pillow's.

        Raises:
            InputError: The pixels have another shape or type.
            PlateError: The plate does not suit this frame.
        """
        if isinstance(self._plate, MovingPlate) and not isinstance(frame, Frame):
            raise InputError(
                f"{self._plate.title} moves, and pixels alone do not tell their frame's number.",
                "give Frame(pixels, index=...)",
            )
        frame = self.show(as_frame(frame))
        placed = self.place(self._make_task(frame))
        return self.accept(self._worker(placed))

    def expect(self, frame: Frame) -> FrameTask:
        """Make the task of the next frame before those before it are keyed.

        Called once for each frame, in order. The task has the last frame's plate if the plate has been at
        rest for some frames, or its own one if the plate depends on no matte, so that a worker may begin;
        :meth:`place` tells whether this was right.
        """
        return self._plates.expect(self._make_task(self.show(frame)))

    def place(self, task: FrameTask) -> FrameTask:
        """Give a frame its plate; all frames before it have to be accepted.

        Returns:
            The same object if the expected plate is the right one.

        Raises:
            PlateError: The plate does not suit this frame.
        """
        self._clock = self._runtime.router.clock = Clock()
        with self._clock.stage("fit"):
            return self._plates.place(task)

    def accept(self, keyed: KeyedFrame) -> Matte:
        """Take over the result of a worker for the last placed frame, and return its matte."""
        self._judged = keyed.means
        self._hint_state = keyed.task.hint_state
        with self._clock.stage("learn"):
            self._plates.learn(keyed, self._destination)
        for stage, seconds in keyed.seconds.items():
            self._clock.add(stage, seconds)
        return keyed.matte

    @property
    def worker(self) -> FrameWorker:
        """Its own worker, which uses all threads; for the thread that places frames."""
        return self._worker

    def open_worker(self, threads: int) -> FrameWorker:
        """Open another worker with its own runtime, for another thread.

        Args:
            threads: CPU threads of its networks.
        """
        own = self._runtime
        runtime = open_runtime(own.model, own.name, own.device, threads, self._options.precision)
        return FrameWorker(runtime, self._options, MainMemory(runtime))

    @property
    def model_bytes(self) -> int:
        """Size of the model's ONNX files, which each worker loads."""
        model = self._runtime.model
        files = (model.coarse_onnx, model.refiner_onnx)
        return sum(file.stat().st_size for file in files if file is not None)

    @property
    def splits(self) -> bool:
        """True if it can have more workers than one: with ONNX Runtime on the CPU, opened by itself."""
        named = isinstance(self._options.runtime, str)
        return named and (self._runtime.name, self._runtime.device) == ("onnx", "cpu")

    def _make_task(self, frame: Frame) -> FrameTask:
        """Task of the next frame, without a plate."""
        task = FrameTask(frame, *self._regions.on(frame), has_props=self._plates.has_props)
        if self._hints is None:
            return task
        hint = self._hints.follow(frame)
        return replace(task, hint=hint, hint_state=self._hints.snapshot())

    def refit(self, frame: FrameLike) -> Fit:
        """Fit the plate to this frame, for it and later frames; a plate that was given as fitted is kept."""
        if self._hints is not None:
            self._hints.begin()
        return self._plates.refit(self.show(as_frame(frame)))

    def tune(self, scale: float | str, refine: str | Refine) -> None:
        """Change scale and refinement from the next frame on; the fit of the plate is kept.

        Raises:
            OptionError: A value is out of range.
        """
        self._layouts = LayoutRule(scale, refine)
        self._options = replace(self._options, scale=scale, refine=refine)
        self._plates.forget_layout()

    @property
    def refines(self) -> bool:
        """True if there is a refiner, and it may run."""
        return self._layouts.refines(self._runtime.model.config)

    @property
    def plate(self) -> KeyerPlate:
        """The plate before its fit."""
        return self._plate

    def snapshot(self) -> tuple[Any, ...]:
        """State after the frames so far, to be written before the next one is keyed."""
        return self._plates.snapshot(), self._regions.snapshot(), self._hint_state

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Continue after the frames of a snapshot that a keyer with the same arguments has made.

        Raises:
            ValueError: An array in it does not belong to frames of its size and type.
        """
        shots, origins, hint_state = snapshot
        self._plates.restore(shots)
        self._regions.restore(origins)
        if self._hints is not None and hint_state is not None:
            self._hints.restore(hint_state)
            self._hint_state = hint_state

    @property
    def fit(self) -> Fit | None:
        """Fit of the plate to the last frame; None before the first."""
        last = self._plates.last
        return last.fitted.fit if last else None

    @property
    def fitted(self) -> FittedPlate | None:
        """The plate on the last frame; None before the first."""
        last = self._plates.last
        return last.fitted if last else None

    @property
    def confidence(self) -> Confidence | None:
        """Confidence of the network in the last frame's matte; None before the first."""
        return None if self._judged is None else _judge(*self._judged)

    @property
    def device_router(self) -> DeviceRouter[Any] | None:
        """Router on whose device mattes stay; None: mattes come to main memory."""
        return self._destination.device_router

    @property
    def notes(self) -> list[str]:
        """Notes for the user about the frames so far, beside those of the fit."""
        return self._plates.notes

    def close(self) -> None:
        """Close the regions, hints and plates that are files."""
        self._plates.close()
        self._regions.close()
        if self._hints is not None:
            self._hints.close()

    @property
    def timings(self) -> dict[str, float]:
        """Seconds of each stage of the last frame.

        The stages are fit (of the plate to the frame), upload, shrink, change, coarse, hint, select, cut,
        refine, paste, foreground, learn (update of the plate from the frame), shadow (if it is measured) and
        colour (from the rendering of a log frame back to its own values).
        Work of an accelerator counts in the stage that waits for it.
        """
        return dict(self._clock.seconds)

    def describe(self) -> str:
        """Describe model, runtime, device and settings in one line."""
        last = self._plates.last
        how = self._layouts.describe(last.layout if last else None)
        config = self._runtime.model.config
        return f"{config.name} {config.version}, {self._runtime.description}, {how}"

    def _lay_out(self, frame: Frame) -> Layout:
        return self._layouts.lay_out(self._runtime.model.config, frame)


def as_frame(given: FrameLike) -> Frame:
    """A frame of pixels, of a picture's path or of an image of Pillow's; a frame unchanged."""
    if isinstance(given, Frame):
        return given
    return take_picture(given).to_frame()


def describe_options(options: KeyerOptions, runtime: Any) -> KeyerOptions:
    """A keyer's options, with the loaded model, and an open runtime as its name and device."""
    if isinstance(options.runtime, str):
        return replace(options, model=runtime.model)
    return replace(options, model=runtime.model, runtime=runtime.name, device=runtime.device)


def open_runtime_for(options: KeyerOptions) -> Runtime[Any]:
    """The runtime of the options, opened unless it is an open one."""
    if not isinstance(options.runtime, str):
        return options.runtime
    model = find_model_for(options)
    return open_runtime(model, options.runtime, options.device, options.threads, options.precision)


def _reopen(plate: KeyerPlate, options: KeyerOptions, snapshot: tuple[Any, ...]) -> Keyer:
    keyer = Keyer(plate, options)
    keyer.restore(snapshot)
    return keyer


def _judge(alpha: Any, error: Any) -> Confidence:
    """Reduce the network's maps to their means; the error channel is the expected error of alpha."""
    changed, expected = float(alpha), float(error)
    return Confidence(changed, max(0.0, 1.0 - expected / max(changed, _LEAST_SUBJECT)))
