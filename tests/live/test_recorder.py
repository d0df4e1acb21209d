"""Stills and clips by key."""

from __future__ import annotations

import threading

import av
import numpy as np
import pytest
from tests.waiting import wait_until

from cleanplate.errors import OutputError
from cleanplate.live import session_recorder as recorders
from cleanplate.live.session_recorder import SessionRecorder
from cleanplate.media import open_source, read_image
from cleanplate.plate import Plate


@pytest.fixture
def recorder(camera, messages, tmp_path):
    with_one = SessionRecorder(camera.info, tmp_path, messages.append)
    yield with_one
    with_one.close()


@pytest.fixture
def show(open_session, room):
    """Keyed frames over green, or over nothing."""
    sessions = {}

    def make(transparent=False):
        if transparent not in sessions:
            background = "transparent" if transparent else "#00ff00"
            sessions[transparent] = open_session(Plate(room.empty), backgrounds=(background,))
        return sessions[transparent].see(room.frame(40))

    return make


def test_a_clip_has_the_frames_and_their_times_from_zero(recorder, show, room, messages, tmp_path):
    room.number = 1000  # the camera has run for a while
    recorder.start()
    assert recorder.seconds is not None
    for _ in range(6):
        recorder.offer(show())
        wait_until(lambda: not recorder._jobs, "room in the queue")
    recorder.close()
    (path,) = tmp_path.glob("cleanplate-*.mp4")
    assert messages == [f"Recording {path.name}", f"Saved {path}"]
    with open_source(path) as clip:
        frames = list(clip)
    times = [float(frame.time_seconds) for frame in frames]
    assert times == pytest.approx([n / 30 for n in range(6)], abs=0.002)
    assert np.abs(frames[0].pixels[5, 5].astype(int) - (0, 255, 0)).max() < 12


def test_without_a_background_clip_and_still_have_alpha(recorder, show, tmp_path):
    recorder.start(transparent=True)
    for _ in range(3):
        recorder.offer(show(True))
    recorder.still(show(True))
    recorder.close()
    (clip,) = tmp_path.glob("*.mov")
    with av.open(str(clip)) as container:
        assert container.streams.video[0].format.name == "yuva444p12le"
    (still,) = tmp_path.glob("*.png")
    alpha = read_image(still).alpha
    assert alpha is not None
    assert (alpha[5, 5], alpha[60, 50]) == (0, 255)


def test_unkeyed_frames_are_not_recorded(recorder, open_session, room, messages, tmp_path):
    recorder.start()
    recorder.offer(open_session().see(room.frame()))
    recorder.close()
    assert list(tmp_path.iterdir()) == []
    assert "was not written" in messages[-1]


def test_saving_needs_a_plate(recorder, open_session, room, messages, tmp_path):
    recorder.still(open_session().see(room.frame()))
    recorder.close()
    assert messages == ["There is nothing to save yet: capture a plate first."]
    assert list(tmp_path.iterdir()) == []


def test_a_slow_encoder_drops_frames(recorder, show, messages):
    recorder.start()
    hold = threading.Event()
    recorder._do(lambda: hold.wait(600))
    for _ in range(40):
        recorder.offer(show())
    hold.set()
    recorder.close()
    assert "frames were dropped" in messages[-1]


def test_a_failing_clip_is_reported_and_ends(recorder, show, messages, monkeypatch):
    recorder.start()

    def fail(*_):
        raise OutputError("The disk is full.")

    monkeypatch.setattr(recorder._clip.sink, "write", fail)
    for _ in range(3):
        recorder.offer(show())
    recorder.close()
    assert messages[1:] == ["The disk is full."]
    assert str(recorder.failure) == "The disk is full."


def test_names_do_not_collide(recorder, show, tmp_path, monkeypatch):
    monkeypatch.setattr(recorders.time, "strftime", lambda _: "cleanplate-now")
    for name in ("cleanplate-now.png", "cleanplate-now-2.png", "cleanplate-now-3.png"):
        recorder.still(show())
        wait_until((tmp_path / name).exists, name)
    recorder.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cleanplate-now-2.png",
        "cleanplate-now-3.png",
        "cleanplate-now.png",
    ]


def test_a_named_video_is_not_overwritten(recorder, tmp_path):
    (tmp_path / "out.mp4").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        recorder.start(tmp_path / "out.mp4")
    assert recorder.seconds is None
