"""Peers on the bundled samples: scores agree with the mattes, and failures are counted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cleanplate import Keyer, OptionError, PlateError
from cleanplate.errors import ModelError
from cleanplate.evaluation.cases import CaseFrame, read_cases
from cleanplate.evaluation.evaluate_cases import Peer, evaluate, open_peer
from cleanplate.evaluation.metrics import UNKNOWN, dtssd, foreground_mse, mad, trimap_of
from cleanplate.evaluation.protocols import MadeCase
from cleanplate.evaluation.score import METRICS
from cleanplate.frame import Matte


def made_case(frames=3, name="made", is_clip=True):
    """A grey wall with a bright square that wanders over it; alpha is exact."""
    random = np.random.default_rng(4)
    plate = random.integers(60, 120, (64, 80, 3)).astype(np.uint8)

    def make():
        def make_frames():
            for number in range(frames):
                alpha = np.zeros((64, 80), np.float32)
                alpha[20:40, 10 + 5 * number : 40 + 5 * number] = 1
                source = np.where(alpha[..., None] > 0, 230, plate).astype(np.uint8)
                yield CaseFrame(source, alpha, source)

        return plate, make_frames()

    return MadeCase(name, None, is_clip, make)


def constant(level, name="constant"):
    """Peer with one alpha everywhere, and the source as foreground."""

    def key(frame):
        alpha = np.full((frame.height, frame.width), level, np.float32)
        return Matte(alpha, frame.pixels, frame)

    return Peer(name, lambda _: key)


def test_the_scores_are_those_of_the_mattes(case_folder):
    case = read_cases(case_folder)[1]
    plate, frames = case.read()
    frames = list(frames)
    keyer = Keyer(plate)
    mattes = [keyer(frame.source) for frame in frames]
    (outcome,) = evaluate([case], [open_peer("lite")])
    scores = outcome.scores["lite"]
    expected = np.mean([mad(m.alpha, f.alpha) for m, f in zip(mattes, frames, strict=True)])
    assert scores["mad"] == pytest.approx(expected, rel=1e-4)
    flicker = [
        dtssd(mattes[i].alpha, mattes[i - 1].alpha, frames[i].alpha, frames[i - 1].alpha) for i in (1, 2, 3)
    ]
    assert scores["dtssd"] == pytest.approx(np.mean(flicker), rel=1e-4)
    colour = [
        foreground_mse(m.foreground / 255.0, f.foreground / 255.0, f.alpha)
        for m, f in zip(mattes, frames, strict=True)
    ]
    assert scores["foreground_mse"] == pytest.approx(np.mean(colour), rel=1e-3)
    assert outcome.frames == 4
    assert set(scores) == set(METRICS)


def test_scores_of_a_region(case_folder):
    case = read_cases(case_folder)[0]
    (outcome,) = evaluate([case], [constant(0.5)], "unknown")
    (frame,) = case.read_frames()
    region = trimap_of(frame.alpha) == UNKNOWN
    half = np.full(frame.alpha.shape, 0.5, np.float32)
    assert outcome.scores["constant"]["mad"] == pytest.approx(mad(half, frame.alpha, region))
    assert outcome.scores["constant"]["leak"] == pytest.approx(0.5, abs=1e-4)  # has a region of its own


def test_a_refused_plate_is_an_empty_matte(case_folder):
    case = read_cases(case_folder)[2]
    with pytest.raises(PlateError):
        Keyer(case.read()[0])(next(case.read_frames()).source)
    (outcome,) = evaluate([case], [open_peer("lite"), open_peer("keyer")])
    truth = next(case.read_frames()).alpha
    for peer in ("lite", "keyer"):
        assert outcome.scores[peer]["mad"] == pytest.approx(truth.mean(), rel=1e-5)
        assert outcome.scores[peer]["leak"] == 0
        assert "another place" in outcome.refused[peer]


def test_a_keyer_that_fails_within_a_case():
    def open_failing(_):
        def key(frame):
            if frame.index == 1:
                raise PlateError("Enough.")
            return Matte(np.ones((frame.height, frame.width), np.float32), frame.pixels, frame)

        return key

    (outcome,) = evaluate([made_case()], [Peer("moody", open_failing), constant(0.0)])
    assert outcome.refused == {"moody": "Enough."}
    covered = 20 * 30 / (64 * 80)
    assert outcome.scores["moody"]["mad"] == pytest.approx((1 - covered + 2 * covered) / 3)
    assert outcome.scores["constant"]["mad"] == pytest.approx(covered)


def test_stills_have_no_flicker():
    (still,) = evaluate([made_case(1, is_clip=False)], [constant(0.2)])
    assert math.isnan(still.scores["constant"]["dtssd"])
    (clip,) = evaluate([made_case()], [constant(0.2)])
    assert clip.scores["constant"]["dtssd"] > 0


def test_the_view_is_the_worst_frame():
    worse = iter([0.1, 0.9, 0.2])

    def open_uneven(_):
        return lambda frame: Matte(
            np.full((frame.height, frame.width), next(worse), np.float32), frame.pixels, frame
        )

    (outcome,) = evaluate([made_case()], [Peer("uneven", open_uneven), constant(0.0)])
    assert outcome.views["uneven"].alphas["uneven"][0, 0] == np.float32(0.9)
    assert set(outcome.views["uneven"].alphas) == {"uneven", "constant"}


def test_a_model_without_a_plate_needs_none(tiny_recurrent_model, case_folder):
    folder = tiny_recurrent_model.recurrent_onnx.parent
    recurrent = open_peer(str(folder / "tiny-rvm"), runtime="onnx")
    cases = {case.name: case for case in read_cases(case_folder)}
    elsewhere, clip = evaluate([cases["elsewhere"], cases["clip"]], [recurrent, constant(0.0)])
    assert list(elsewhere.refused) == ["constant"], "the plate is of another place"
    assert elsewhere.scores[recurrent.name]["mad"] > 0
    assert clip.scores[recurrent.name]["dtssd"] > 0
    with pytest.raises(OptionError, match="without a plate"):
        open_peer(str(folder / "tiny-rvm"), runtime="onnx", refine="full")


def test_impossible_runs_are_refused_at_the_start():
    with pytest.raises(ModelError, match="nosuch"):
        open_peer("nosuch")
    with pytest.raises(OptionError, match="7"):
        open_peer("lite", scale="7")
    with pytest.raises(OptionError, match="itself"):
        next(evaluate([made_case()], [constant(0), constant(1)]))
    with pytest.raises(OptionError, match="region"):
        next(evaluate([made_case()], [constant(0)], "nowhere"))
