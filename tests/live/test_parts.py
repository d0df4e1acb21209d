"""The slot, the meters, the pace and the backgrounds, each alone."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from cleanplate.errors import OptionError
from cleanplate.frame import Frame
from cleanplate.live.live_backdrops import Backgrounds
from cleanplate.live.meters import Meter
from cleanplate.live.pace import FULL, Pace, Quality, find_levels
from cleanplate.live.slot import Slot
from cleanplate.models.registry import find_model
from cleanplate.router import Refine


def test_a_slot_holds_the_newest_frame():
    slot = Slot()
    for number in range(5):
        slot.put(number)
    assert slot.take(0) == 4
    assert slot.missed == 4
    assert slot.take(0) is None
    slot.put(5)
    assert (slot.take(0), slot.missed) == (5, 4)


def test_the_end_of_a_slot_ends_waiting():
    slot = Slot()
    threading.Timer(0.05, slot.put, ["late"]).start()
    assert slot.take(600) == "late"
    ender = threading.Timer(0.05, slot.end)
    ender.start()
    began = time.monotonic()
    assert slot.take(600) is None
    assert time.monotonic() - began < 300
    assert slot.has_ended
    slot.put("last")
    assert not slot.has_ended
    assert slot.take(0) == "last"
    ender.join()


def test_a_meter_measures_shares_to_half_a_millisecond():
    meter = Meter()
    assert (meter.share(0.5), meter.recent_rate, meter.recent_seconds) == (0, 0, 0)
    for milliseconds in range(1, 101):
        meter.add(milliseconds / 1000)
    meter.add(100)  # beyond what it resolves
    assert meter.share(0.5) == pytest.approx(0.0505, abs=0.0011)
    assert meter.share(0.95) == pytest.approx(0.096, abs=0.0011)
    assert meter.longest_seconds == 100
    assert meter.count == 101
    assert meter.recent_seconds == pytest.approx((5.05 + 100) / 101)


def test_levels_fall_in_cost_and_are_valid_options():
    for name, size in (("lite", (720, 1280)), ("lite", (2160, 3840)), ("lite", (96, 128))):
        levels = find_levels(find_model(name).config, *size)
        assert levels[0].refine == "auto"
        assert levels[-1].refine == Refine("off")
        scales = [level.scale for level in levels]
        assert scales == sorted(scales, reverse=True)
        assert scales[-1] >= 0.125
        assert len(set(levels)) == len(levels) >= 4


LEVELS = [Quality(1.0, "auto"), Quality(0.5, "auto"), Quality(0.25, "off")]


def simulate(pace, seconds, costs, start=0.0, rate=30):
    """Simulate levels by their cost as a share of the frame period; returns the level over time."""
    history = []
    for number in range(round(seconds * rate)):
        pace.note(costs[pace.level] / rate, start + number / rate)
        history.append(pace.level)
    return history


def test_a_slow_machine_steps_down_within_seconds_and_stays():
    pace = Pace(LEVELS, 1 / 30)
    history = simulate(pace, 20, [2.0, 1.3, 0.8])
    assert history[round(4.5 * 30)] == 2
    assert set(history[135:]) == {2}


def test_a_single_delay_changes_no_level():
    pace = Pace(LEVELS, 1 / 30)
    for _ in range(2):
        pace.note(5.0, 0.0)
        assert set(simulate(pace, 5, [0.8, 0.8, 0.8], start=0.03)) == {0}
        pace.note(5.0, 5.1)
        assert set(simulate(pace, 5, [0.8, 0.8, 0.8], start=5.2)) == {0}
        pace.start()


def test_the_quality_rises_after_a_while():
    pace = Pace(LEVELS, 1 / 30)
    simulate(pace, 10, [2.0, 1.5, 0.8])
    assert pace.level == 2
    history = simulate(pace, 30, [0.5, 0.4, 0.2], start=10)
    assert history[30] == 2  # not at once
    assert history[-1] == 0


def test_failed_steps_up_are_retried_at_growing_intervals():
    pace = Pace(LEVELS[:2], 1 / 30)
    history = simulate(pace, 300, [1.2, 0.4])
    falls = [n for n in range(1, len(history)) if history[n] > history[n - 1]]
    waits = np.diff(falls)
    assert 3 <= len(falls) <= 9
    assert all(waits[1:] > waits[:-1] * 1.3)


def test_a_load_between_the_limits_changes_no_level():
    pace = Pace(LEVELS, 1 / 30)
    pace.level = 1
    assert set(simulate(pace, 30, [1, (FULL + 0.65) / 2, 1])) == {1}


def test_backgrounds_are_checked_at_the_start_and_cycle(tmp_path):
    with pytest.raises(OptionError, match="neither a colour nor a file"):
        Backgrounds(["#00ff00", str(tmp_path / "nosuch.jpg")])
    backgrounds = Backgrounds(["blur", "#00b140"])
    names = []
    for _ in range(4):
        names.append(backgrounds.name)
        backgrounds.next()
    assert names == ["blur", "#00b140", "#202428", "blur"]


def test_blur_needs_a_plate():
    assert Backgrounds(has_plate=False).name == "#202428"
    with pytest.raises(OptionError, match="give one with plate"):
        Backgrounds(["blur"], has_plate=False)


def test_a_blur_follows_the_plate():
    backgrounds = Backgrounds(["blur"])
    frame = Frame(np.zeros((48, 64, 3), np.uint8))
    for grey in (50, 150):
        backgrounds.take_plate(np.full((48, 64, 3), grey, np.uint8))
        assert np.all(backgrounds.current()(frame) == grey)
    backgrounds.close()
