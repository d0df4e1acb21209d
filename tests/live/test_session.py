"""Stages of a session from the start to keying."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.errors import PlateError
from cleanplate.live.pace import AUTO, Pace, Quality
from cleanplate.live.plate_memory import PlateMemory
from cleanplate.live.session import SessionSettings, SessionStage
from cleanplate.models.registry import find_model
from cleanplate.plate import Plate


def run(session, room, seconds, person=None, gain=1.0):
    """Run for a number of seconds; returns the result of the last frame."""
    for _ in range(round(seconds * 30)):
        shown = session.see(room.frame(person, gain))
    return shown


def test_a_plate_is_taken_after_the_countdown_and_the_subject_keyed(open_session, room, camera, messages):
    session = open_session()
    shown = session.see(room.frame(40))
    assert (shown.stage, shown.matte) == (SessionStage.COUNTDOWN, None)
    assert shown.headline == "Step out of the picture: plate in 1. B captures it now."
    shown = run(session, room, 1.1)
    assert (shown.stage, shown.headline) == (SessionStage.TAKING, "Capturing the plate.")
    shown = run(session, room, 1.5)
    assert shown.stage is SessionStage.KEYING
    shown = run(session, room, 0.1, person=40)
    assert shown.matte.alpha[40:, 45:65].all()
    assert np.all(shown.result[5:20, 5:20] == (0, 255, 0))
    assert np.array_equal(shown.result[60, 50], shown.frame.pixels[60, 50])
    assert camera.calls[0] == "lock"
    assert "The camera's exposure and white balance will be locked." in messages
    assert "The plate is ready. Step in. Press B for a new one, P for one with props." in messages
    session.close()
    assert camera.calls[-1] == "unlock"


def test_without_a_plate_no_frame_of_the_room_is_output(open_session, room):
    session = open_session()
    shown = run(session, room, 0.5, person=40)
    assert np.unique(shown.result.reshape(-1, 3), axis=0).tolist() == [[32, 36, 40]]
    assert np.array_equal(session.wait_for_camera(room.frame()).result, shown.result)


def test_a_plate_with_motion_is_refused(open_session, room, messages):
    session = open_session()
    run(session, room, 1.2)
    shown = session.see(room.frame())
    assert shown.stage is SessionStage.TAKING
    for position in range(0, 60, 2):
        shown = session.see(room.frame(position))
    assert shown.stage is SessionStage.COUNTDOWN
    assert "Something moved" in messages[-1]
    # ... and the next countdown is longer, to read the message and to leave the picture.
    assert shown.headline.startswith("Step out of the picture: plate in 4")
    shown = run(session, room, 6.0)
    assert shown.stage is SessionStage.KEYING


def test_a_camera_with_changing_exposure_is_refused_after_a_wait(open_session, room, messages):
    session = open_session()
    run(session, room, 1.2)
    for step in range(30):  # settles within a second
        session.see(room.frame(gain=1 - 0.3 * max(0, 20 - step) / 20))
    shown = run(session, room, 1.5)
    assert shown.stage is SessionStage.KEYING
    session.ask_for_plate()
    run(session, room, 1.5)
    gain = 0.3
    for _ in range(240):
        shown = session.see(room.frame(gain=gain))
        gain = min(1.0, gain * 1.004)
        if shown.stage is SessionStage.COUNTDOWN:
            break
    assert shown.stage is SessionStage.COUNTDOWN
    assert "still adapting" in messages[-1]
    assert "brighter" in messages[-1]


def test_a_black_plate_is_refused(open_session, room, messages):
    session = open_session()
    run(session, room, 3.0, gain=0.0)
    assert "The picture is black" in messages[-1]


def test_a_second_request_captures_at_once(open_session, room, camera):
    session = open_session(Plate(room.empty), settings=SessionSettings(countdown_seconds=60))
    assert session.see(room.frame(40)).stage is SessionStage.KEYING
    session.ask_for_plate()
    assert session.see(room.frame()).stage is SessionStage.COUNTDOWN
    assert camera.calls[-1] == "unlock"  # or it would not adapt to the empty set
    session.ask_for_plate()
    assert session.see(room.frame()).stage is SessionStage.TAKING
    assert run(session, room, 1.5).stage is SessionStage.KEYING


def test_the_exposure_is_not_locked_if_the_option_is_off(open_session, room, camera):
    session = open_session(settings=SessionSettings(countdown_seconds=0, locks=False))
    run(session, room, 2.0)
    assert session.stage is SessionStage.KEYING
    assert "lock" not in camera.calls


def test_an_unusable_plate_restarts_the_countdown(open_session, room, messages):
    session = open_session(Plate(room.empty))
    session.see(room.frame(40))
    session._keyer.error = PlateError("It is another place.")
    shown = session.see(room.frame(40))
    assert shown.stage is SessionStage.COUNTDOWN
    assert shown.matte is None
    assert messages[-1] == "The plate was not captured: It is another place."


def test_a_stored_plate_is_used_if_it_fits(open_session, room, messages, tmp_path, camera):
    memory = PlateMemory(tmp_path)
    session = open_session(settings=SessionSettings(countdown_seconds=0), memory=memory)
    run(session, room, 2.0)
    assert memory.path_for(camera.name, 96, 128).is_file()

    again = open_session(memory=memory)
    assert again.stage is SessionStage.CHECKING
    shown = run(again, room, 1.0, person=40)
    assert shown.stage is SessionStage.KEYING
    assert "The last plate of this camera still fits. Press B for a new one." in messages


def test_a_stored_plate_of_another_place_is_not_used(open_session, room, messages, tmp_path, camera):
    memory = PlateMemory(tmp_path)
    elsewhere = np.ascontiguousarray(room.empty[::-1, ::-1])
    memory.keep(camera.name, Plate(elsewhere))
    session = open_session(memory=memory)
    shown = run(session, room, 1.0)
    assert shown.stage is SessionStage.COUNTDOWN
    assert any(text.startswith("The last plate does not fit.") for text in messages)


def test_plates_are_stored_by_camera_and_size(tmp_path, room):
    memory = PlateMemory(tmp_path)
    memory.keep("HD Webcam", Plate(room.empty))
    assert np.array_equal(memory.recall("HD Webcam", 96, 128).pixels, room.empty)
    assert memory.recall("HD Webcam", 128, 96) is None
    assert memory.recall("HD-Webcam", 96, 128) is None
    memory.path_for("HD Webcam", 96, 128).write_bytes(b"damaged")
    assert memory.recall("HD Webcam", 96, 128) is None


def test_an_unwritable_folder_only_prevents_storing_the_plate(open_session, room, messages, tmp_path):
    (tmp_path / "file").write_text("in the way")
    memory = PlateMemory(tmp_path / "file" / "plates")
    session = open_session(settings=SessionSettings(countdown_seconds=0), memory=memory)
    assert run(session, room, 2.0).stage is SessionStage.KEYING
    assert messages[-1].startswith("The plate cannot be stored")


def test_a_key_selects_the_next_background(open_session, room, messages):
    session = open_session(Plate(room.empty), backgrounds=("#ff0000", "transparent"))
    assert session.see(room.frame(40)).result[0, 0].tolist() == [255, 0, 0]
    session.change_background()
    shown = session.see(room.frame(40))
    assert shown.transparent
    assert shown.result[0, 0].tolist() == [0, 0, 0]
    session.change_background()
    blurred = session.see(room.frame(40)).result
    assert messages[-1] == "Background: blur"
    assert 0 < np.abs(blurred[:20].astype(int) - room.empty[:20]).mean() < 40
    session.close()


@pytest.fixture
def lite_session(camera, room, messages):
    from cleanplate.keyer.keyer import Keyer
    from cleanplate.live.live_backdrops import Backgrounds
    from cleanplate.live.session import Session

    levels = [Quality(0.5, "auto"), Quality(0.25, "off")]
    session = Session(
        camera,
        lambda plate: Keyer(plate, model=find_model("lite"), threads=1),
        Backgrounds(),
        SessionSettings(quality=levels[0]),
        plate=Plate(room.empty),
        pace=Pace(levels, 1e-6),  # no machine holds that rate
        say=messages.append,
    )
    yield session
    session.close()


def test_quality_falls_to_hold_the_rate_and_is_reset_by_a_key(lite_session, room):
    session = lite_session
    run(session, room, 0.1, person=40)
    assert "scale 0.5" in session.description
    run(session, room, 2.2, person=40)
    assert session.quality_control.quality == Quality(0.25, "off")
    assert "scale 0.25" in session.description
    session.quality_control.change_scale(finer=True)
    session.quality_control.change_refine()
    run(session, room, 1.0, person=40)
    assert not session.quality_control.adapts
    assert session.quality_control.quality == Quality(0.3125, "full")
    assert "refine full" in session.description
    session.quality_control.hold_rate()
    assert session.quality_control.adapts
    assert session.quality_control.quality == Quality(0.25, "off")


def test_without_pace_control_the_quality_stays(open_session, room, messages):
    session = open_session(Plate(room.empty))
    session.quality_control.hold_rate()
    assert messages == ["Scale and refinement were set by options and stay as they are."]
    assert session.quality_control.quality == AUTO


def test_a_model_that_needs_no_plate_keys_at_once(open_session, room, messages):
    session = open_session(Plate(room.empty), needs_plate=False)
    assert session.see(room.frame(40)).stage is SessionStage.KEYING
    session.ask_for_plate()
    assert session.stage is SessionStage.KEYING
    assert messages == ["This model works without a plate."]


def test_a_plate_with_props_is_taken_after_the_empty_one(open_session, room, messages, camera):
    session = open_session()
    session.ask_for_props()
    assert messages[-1] == "The empty plate comes first."
    run(session, room, 2.7)
    assert session.stage is SessionStage.KEYING
    session.ask_for_props()
    shown = session.see(room.frame(40))
    assert shown.headline == "Step out of the picture and put the props back: plate in 1. P captures it now."
    assert camera.calls[-1] == "lock", "both plates have one exposure"
    session.ask_for_props()
    for _ in range(45):
        session.see(room.frame(70))  # the chair
    assert session.stage is SessionStage.KEYING
    assert "The props are known." in messages[-1]
    for plate, frame in ((session._keyer.plate, room.frame()), (session._keyer.props, room.frame(70))):
        assert np.abs(plate.pixels.astype(int) - frame.pixels).mean() < 3
