"""The plates of a keyer through a shot: the empty one, and beside it one with props, if there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cleanplate.frame import Frame
from cleanplate.keyer.destination import Destination
from cleanplate.keyer.frame_worker import FrameTask, KeyedFrame
from cleanplate.keyer.props import open_props
from cleanplate.keyer.shot_plate import KeyerPlate, ShotPlate, UploadedPlate
from cleanplate.plate import Fit
from cleanplate.plate.state_check import check_shot
from cleanplate.router.layout import Layout
from cleanplate.runtimes import Runtime
from cleanplate.vocabulary import KeyerOptions


class PlatePair:
    """Gives the tasks of a shot's frames their plates, and updates these from the results.

    Args:
        plate: The empty plate.
        options: The keyer's, with the props.
        runtime: The keyer's.
        lay_out: Makes the layout of a frame.

    Raises:
        OptionError, InputError: As of :func:`cleanplate.keyer.props.open_props`.
    """

    def __init__(
        self,
        plate: KeyerPlate,
        options: KeyerOptions,
        runtime: Runtime[Any],
        lay_out: Callable[[Frame], Layout],
    ) -> None:
        self._lay_out = lay_out
        # A prop that rests is no part of the empty set.
        self._empty = ShotPlate(plate, options, runtime, absorbs=options.props is None)
        self._props = open_props(plate, options, runtime)

    @property
    def has_props(self) -> bool:
        """True if there is a plate with props."""
        return self._props is not None

    @property
    def last(self) -> UploadedPlate | None:
        """The empty plate of the last frame; None before the first, and after a change of the layout."""
        return self._empty.last

    @property
    def notes(self) -> list[str]:
        """Notes for the user about the frames so far."""
        return self._empty.notes

    def expect(self, task: FrameTask) -> FrameTask:
        """The task with the plates that its frame probably gets; see :meth:`ShotPlate.expected`."""

        def lay_out() -> Layout:
            return self._lay_out(task.frame)

        plate = self._empty.expected(task.frame, lay_out)
        props = None if self._props is None else self._props.expected(task.frame, lay_out)
        return replace(task, plate=plate, props=props)

    def place(self, task: FrameTask) -> FrameTask:
        """The task with the plates of its frame; the same object if the expected ones are right.

        Raises:
            PlateError: A plate does not suit this frame.
        """
        plate, *more = (each.lie_on(task.frame, lambda: self._lay_out(task.frame)) for each in self._all)
        props = more[0] if more else None
        expected = (task.plate, task.props)
        if task.can_begin and all(map(_key_alike, (plate, props), expected)):
            return task
        return replace(task, plate=plate, props=props)

    def refit(self, frame: Frame) -> Fit:
        """Fit the plates anew to this frame; the fit is the empty plate's, with the notes of both."""
        fits = []
        for each in self._all:
            each.begin_shot()
            fits.append(each.lie_on(frame, lambda: self._lay_out(frame)).fitted.fit)
        if len(fits) == 1:
            return fits[0]
        notes = [note for fit in fits for note in fit.notes]
        return replace(fits[0], notes=tuple(dict.fromkeys(notes)))

    def learn(self, keyed: KeyedFrame, destination: Destination) -> None:
        """Update the plates from the mattes of the last placed frame; see :meth:`ShotPlate.learn`."""
        self._empty.learn(keyed.network_matte, keyed.task.keep, destination)
        if self._props is not None and keyed.props_matte is not None:
            self._props.learn(keyed.props_matte, keyed.task.keep, destination)

    def forget_layout(self) -> None:
        """Upload the plates anew for the next frame; they stay registered."""
        for each in self._all:
            each.forget_layout()

    def snapshot(self) -> list[tuple[Any, ...]]:
        """States of the shot with each plate, to be serialised before the next frame."""
        return [each.snapshot() for each in self._all]

    def restore(self, shots: list[tuple[Any, ...]]) -> None:
        """Continue from a snapshot.

        Raises:
            ValueError: An array in it does not belong to frames of its size and type.
        """
        for each, (shot, like, colours) in zip(self._all, shots, strict=True):
            if shot is not None:
                check_shot(shot, *like[:2])
            each.restore(shot, like, colours)

    def close(self) -> None:
        """Close plates that are files."""
        for each in self._all:
            each.close()

    @property
    def _all(self) -> list[ShotPlate]:
        return [self._empty] if self._props is None else [self._empty, self._props]


def _key_alike(one: UploadedPlate | None, other: UploadedPlate | None) -> bool:
    return one is other or (one is not None and other is not None and one.keys_like(other))
