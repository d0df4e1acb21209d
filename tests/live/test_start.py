"""Opening and closing of all parts of a session."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.errors import OutputError, UnavailableError
from cleanplate.live import session_setup as start
from cleanplate.live.controls import Board
from cleanplate.live.pace import Pace
from cleanplate.live.session import SessionStage
from cleanplate.live.session_setup import LiveOptions, open_live
from cleanplate.media import write_image


@pytest.fixture
def options(camera, room, tmp_path, monkeypatch):
    """Make options of a session with the fake camera and without a window."""

    def open_camera(text, requested, *, loop):
        assert not loop
        camera.calls.append((text, requested))
        return camera

    monkeypatch.setattr(start, "open_camera", open_camera)
    write_image(tmp_path / "plate.png", room.empty)

    def make(**more):
        usual = {"plate": tmp_path / "plate.png", "window": False, "folder": tmp_path, "remembers": False}
        return LiveOptions(**{**usual, "keyer": {"threads": 1}, **more})

    return make


def test_a_session_closes_its_camera_and_outputs(options, camera, tmp_path):
    camera.count, board = 40, Board()
    with open_live(options(to=(str(tmp_path / "out.mp4"),), backgrounds=("#ff0000",)), board) as (
        live,
        controls,
    ):
        assert controls is None
        figures = live.run()
    assert figures.keying.count >= 1
    assert camera.calls[-1] == "close"
    assert "unlock" in camera.calls
    assert (tmp_path / "out.mp4").is_file()
    assert any(text.startswith("Saved") for text in board.read())


def test_the_requested_camera_mode_follows_the_device(options, camera):
    with open_live(options(), Board()):
        pass
    _, requested = camera.calls[0]
    assert (requested.size, requested.rate) == ((720, 1280), 30)
    with open_live(options(size=(480, 640)), Board()):
        pass
    asked = [call for call in camera.calls if isinstance(call, tuple)]
    assert asked[-1][1].size == (480, 640)


def test_the_rate_is_held_without_an_explicit_quality(options):
    with open_live(options(), Board()) as (live, _):
        assert isinstance(live._session.quality_control._pace, Pace)
        assert live._session.quality_control.adapts
    with open_live(options(keyer={"scale": "0.5", "threads": 1}), Board()) as (live, _):
        assert live._session.quality_control._pace is None
        assert live._session.quality_control.quality.scale == "0.5"


def test_a_failed_opening_closes_everything(options, camera, monkeypatch):
    def fail(*_):
        raise UnavailableError("There is no screen.")

    monkeypatch.setattr(start, "Window", fail)
    with pytest.raises(UnavailableError), open_live(options(window=True), Board()):
        pytest.fail("it opened")
    assert camera.calls[-1] == "close"


def test_a_video_that_could_not_be_written_is_an_error_at_the_end(options, camera, tmp_path):
    camera.count = 40

    def fail(*_):
        raise OutputError("The disk is full.")

    def run_with_a_full_disk():
        with open_live(options(to=(str(tmp_path / "out.mp4"),)), Board()) as (live, _):
            live._recorder._clip.sink.write = fail
            live.run()

    with pytest.raises(OutputError, match="disk"):
        run_with_a_full_disk()
    assert camera.calls[-1] == "close"


def test_an_abandoned_camera_is_not_closed(options, camera):
    board = Board()
    with open_live(options(), board) as (live, _):
        live.is_stuck = True
    assert "close" not in camera.calls
    assert "did not stop at the end" in board.read()[-1]


def test_a_model_without_a_plate_keys_at_once(options, camera, tiny_recurrent_model):
    camera.count = 20
    shown = []
    with open_live(options(plate=None, keyer={"model": tiny_recurrent_model, "threads": 1}), Board()) as (
        live,
        _,
    ):
        assert live._session.stage is SessionStage.KEYING
        plain = live._deliver
        live._deliver = lambda one, arrived: (shown.append(one), plain(one, arrived))
        live.run()
    assert shown[-1].matte is not None
    assert np.isfinite(shown[-1].matte.alpha).all()
