"""Runs peers on cases like a user's job: fits the plate, keys equal pixels with each peer, scores mattes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from cleanplate.errors import CleanplateError, OptionError, PlateError
from cleanplate.evaluation.cases import CaseFrame, Example
from cleanplate.evaluation.difference_keyer import DifferenceKeyer
from cleanplate.evaluation.metrics import dtssd
from cleanplate.evaluation.score import Scores, find_region, mean_scores, score_frame
from cleanplate.frame import Float32Array, Frame, Matte, Pixels
from cleanplate.keyer.keyer import Keyer
from cleanplate.keyer.recurrent_keyer import open_keyer
from cleanplate.plate import FittedPlate, fit_plate, load_plate
from cleanplate.runtimes.model_choice import find_model_for, name_model
from cleanplate.vocabulary import KeyerOptions

DIFFERENCE_KEYER = "keyer"

Key = Callable[[Frame], Matte]
Given = TypeVar("Given")


@dataclass(frozen=True)
class Peer:
    """A model or a keyer to be evaluated.

    Attributes:
        name: Name in tables.
        open: Function that makes its keyer for a clip, given the fitted plate.
        needs_plate: Whether it uses the plate; the others work on cases with a refused plate, too.
    """

    name: str
    open: Callable[[Any], Key]
    needs_plate: bool = True


@dataclass(frozen=True)
class View:
    """The frame of a case with a peer's largest error, for the sheets.

    Attributes:
        frame: The frame, with the truth.
        plate: The plate of the case, not fitted.
        alphas: Alpha of each peer, by name.
    """

    frame: CaseFrame
    plate: Pixels
    alphas: dict[str, Float32Array]


@dataclass(frozen=True)
class Outcome:
    """Scores of all peers on one case.

    Attributes:
        case: Name of the case.
        kind: Kind of the subject, or None.
        frames: Number of frames.
        scores: Scores of each peer: means over the frames, dtSSD over pairs of frames.
        refused: Reason why a peer gave no matte, for each such peer.
        views: Each peer's worst frame by MAD.
    """

    case: str
    kind: str | None
    frames: int
    scores: dict[str, Scores]
    refused: dict[str, str] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict, repr=False)


def open_peer(name: str, **keyer_options: Any) -> Peer:
    """Find a model by its name or path, or the built-in difference keyer by ``keyer``.

    Args:
        name: A name from the command line.
        keyer_options: Options of :class:`cleanplate.Keyer` for models: runtime, device, scale, refine.

    Raises:
        CleanplateError: The model does not exist, an option is wrong, or this machine cannot run it.
    """
    if name == DIFFERENCE_KEYER:
        return Peer(name, DifferenceKeyer)
    named = KeyerOptions(model=name, **keyer_options)
    name, model = str(name_model(named)), find_model_for(named)
    if not model.config.needs_plate:
        open_keyer(None, model=model, on_note=_say_nothing, **keyer_options)
        return Peer(
            name,
            lambda _: open_keyer(None, model=model, on_note=_say_nothing, **keyer_options),
            needs_plate=False,
        )
    # Open the model now, so that wrong options are found before the first case is made.
    Keyer(np.zeros((32, 32, 3), np.uint8), model=model, **keyer_options)
    return Peer(name, lambda plate: Keyer(plate, model=model, **keyer_options))


def check_peers(peers: Sequence[Peer]) -> None:
    """Raise :class:`OptionError` unless there is at least one peer and all names are unique."""
    names = [peer.name for peer in peers]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"{name!r} is compared with itself.", "name each model once")
    if not names:
        raise OptionError("There is no model to evaluate.")


def evaluate(cases: Iterable[Example], peers: Sequence[Peer], region: str = "all") -> Iterator[Outcome]:
    """Run all peers on one case after the other.

    A refused plate counts as an empty matte, alpha 0 everywhere, because the user gets no matte. The same
    holds for a peer that refuses a frame, from that frame to the end of its clip.

    Args:
        cases: Cases on disk, or made when they are read.
        peers: Peers with unique names.
        region: See :func:`~cleanplate.evaluation.score.score_frame`.

    Raises:
        OptionError: Two peers have one name, or the region is unknown.
        InputError: A case's picture cannot be read; the sentence names it.
    """
    check_peers(peers)
    find_region(np.zeros((1, 1), np.float32), region)
    for case in cases:
        yield _evaluate_case(case, peers, region)


class _PeerRun:
    """One peer on one case: its keyer and its scores so far."""

    def __init__(self, peer: Peer, plate: FittedPlate | PlateError) -> None:
        self.name = peer.name
        self.refused: str | None = None
        self.scores: list[Scores] = []
        self.flicker: list[float] = []
        self.worst = -1.0
        self.view: View | None = None
        self.matte: Matte | None = None
        self._key: Key = _give_nothing
        if peer.needs_plate and isinstance(plate, PlateError):
            self.refused = plate.message
        else:
            self._key = self._guard(lambda: peer.open(plate)) or _give_nothing

    def __call__(self, frame: Frame) -> Matte:
        matte = self._guard(lambda: self._key(frame))
        if matte is None:
            self._key = _give_nothing
            matte = _give_nothing(frame)
        return matte

    def _guard(self, action: Callable[[], Given]) -> Given | None:
        try:
            return action()
        except CleanplateError as error:
            self.refused = error.message
            return None


def _evaluate_case(case: Example, peers: Sequence[Peer], region: str) -> Outcome:
    plate, frames = case.read()
    runs: list[_PeerRun] = []
    before: CaseFrame | None = None
    count = 0
    for truth in frames:
        frame = Frame(truth.source, index=count)
        if before is None:
            fitted = _fit(plate, frame)
            runs = [_PeerRun(peer, fitted) for peer in peers]
        mattes = {run.name: run(frame) for run in runs}
        where = find_region(truth.alpha, region)
        for run in runs:
            matte = mattes[run.name]
            scores = score_frame(matte, truth, region)
            if before is not None and run.matte is not None and case.is_clip:
                run.flicker.append(dtssd(matte.alpha, run.matte.alpha, truth.alpha, before.alpha, where))
            run.scores.append(scores)
            run.matte = matte
            if scores["mad"] > run.worst:
                run.worst = scores["mad"]
                run.view = View(truth, plate, {name: other.alpha for name, other in mattes.items()})
        before = truth
        count += 1
    return Outcome(
        case.name,
        case.kind,
        count,
        {run.name: {**mean_scores(run.scores), "dtssd": _mean(run.flicker)} for run in runs},
        {run.name: run.refused for run in runs if run.refused is not None},
        {run.name: run.view for run in runs if run.view is not None},
    )


def _fit(plate: Pixels, frame: Frame) -> FittedPlate | PlateError:
    try:
        return fit_plate(load_plate(plate), frame)
    except PlateError as error:
        return error


def _say_nothing(_: str) -> None:
    pass


def _give_nothing(frame: Frame) -> Matte:
    return Matte(np.zeros((frame.height, frame.width), np.float32), frame.pixels, frame)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
