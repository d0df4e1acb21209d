"""Constant rates that a container's clock has rounded come back exactly; variable ones stay."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from cleanplate.media import Reading, Span, open_sink, open_source
from cleanplate.media.containers.cadence import find_cadence

MakeVideo = Callable[..., Path]

MILLISECOND = Fraction(1, 1000)
FILM = Fraction(24000, 1001)


def rounded(
    rate: Fraction, count: int, start: Fraction = Fraction(0), tick: Fraction = MILLISECOND
) -> list[int]:
    return [round((start + number / rate) / tick) for number in range(count)]


@pytest.mark.parametrize(
    "rate", [FILM, Fraction(24), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(120)]
)
@pytest.mark.parametrize("start", [Fraction(0), Fraction(1, 3)])
def test_rates_rounded_to_milliseconds_are_restored(rate: Fraction, start: Fraction) -> None:
    stamps = rounded(rate, 240, start)
    cadence = find_cadence(stamps, MILLISECOND, rate + Fraction(1, 100))
    assert cadence is not None
    assert cadence.rate == rate
    times = [cadence.place(stamp) * cadence.time_base for stamp in stamps]
    assert {after - before for before, after in pairwise(times)} == {1 / rate}
    assert times[0] == stamps[0] * MILLISECOND
    assert (
        max(abs(time - stamp * MILLISECOND) for time, stamp in zip(times, stamps, strict=True)) < MILLISECOND
    )


def test_the_time_base_is_that_of_editors() -> None:
    cadence = find_cadence(rounded(FILM, 100), MILLISECOND, FILM)
    assert cadence is not None
    assert cadence.time_base == Fraction(1, 24000)
    assert [cadence.last(42), cadence.last(41), cadence.last(84)] == [1001, 1001, 2016]
    assert cadence.place(10_000_020) == 240_000_480  # no frame of the rate lies there


@pytest.mark.parametrize(
    ("stamps", "declared"),
    [
        ([0, 40, 80, 120, 160], Fraction(25)),  # counted exactly
        ([0, 42, 83, 126, 160, 208], FILM),  # 160 is off by 7
        ([0, 42, 83, 127], FILM),  # 127 is off by 2
        ([0, 42], FILM),
        (list(np.cumsum([33, 34, 30, 37, 33, 33, 28, 41])), Fraction(30)),
        ([0, 5, 90, 91, 300], Fraction(12)),
    ],
)
def test_a_variable_rate_is_not_changed_to_a_constant_one(stamps: list[int], declared: Fraction) -> None:
    assert find_cadence([int(stamp) for stamp in stamps], MILLISECOND, declared) is None


def test_a_missing_frame_leaves_the_others_on_the_grid() -> None:
    stamps = rounded(FILM, 100)
    del stamps[40:43]
    cadence = find_cadence(stamps, MILLISECOND, FILM)
    assert cadence is not None
    assert [cadence.place(stamp) for stamp in stamps[39:41]] == [39 * 1001, 43 * 1001]


def test_rates_rounded_to_ticks_of_transport_streams_are_restored() -> None:
    tick = Fraction(1, 90_000)
    cadence = find_cadence(rounded(FILM, 100, Fraction(7, 5), tick), tick, FILM)
    assert cadence is not None
    assert (cadence.rate, cadence.time_base) == (FILM, Fraction(1, 360_000))


@pytest.fixture
def film(make_video: MakeVideo) -> Path:
    return make_video("film.mkv", pts=range(72), time_base=1 / FILM, rate=FILM)


def test_a_film_from_matroska_has_one_step_in_mov(film: Path, tmp_path: Path) -> None:
    with av.open(str(film)) as container:
        steps = {b.pts - a.pts for a, b in pairwise(p for p in container.demux(video=0) if p.size)}
    assert steps == {41, 42}
    with open_source(film) as source:
        assert (source.info.frame_rate, source.info.time_base) == (FILM, Fraction(1, 24000))
        with open_sink(tmp_path / "out.mov", source.info, layer="composite") as sink:
            for frame in source:
                assert frame.time_seconds == frame.index / FILM
                sink.write(frame.pixels, frame)
    with av.open(str(tmp_path / "out.mov")) as container:
        stream = container.streams.video[0]
        assert (stream.average_rate, stream.time_base, stream.frames) == (FILM, Fraction(1, 24000), 72)
        assert {packet.duration for packet in container.demux(stream) if packet.size} == {1001}


@pytest.mark.parametrize("first", [5, 60, 71])
def test_the_rest_of_a_film_has_the_same_times_and_pixels(film: Path, first: int) -> None:
    with open_source(film) as source:
        whole = list(source)
    with open_source(film) as source:
        source.start_at(first, whole[first].pts)
        rest = list(source)
    assert [(f.index, f.pts, f.duration) for f in rest] == [
        (f.index, f.pts, f.duration) for f in whole[first:]
    ]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(rest, whole[first:], strict=True))


def test_a_span_of_a_film_begins_at_its_frame(film: Path) -> None:
    with open_source(film, Reading(span=Span.parse("1.5-2.5"))) as source:
        frames = list(source)
    assert len(frames) == 24  # numbers 36 to 59
    assert [frame.time_seconds for frame in frames] == [number / FILM for number in range(24)]


def test_a_variable_rate_stays(make_video: MakeVideo) -> None:
    stamps = np.cumsum([0, 41, 42, 60, 33, 42, 41, 100, 42, 41]).tolist()
    path = make_video("variable.mkv", pts=stamps, time_base=MILLISECOND, rate=FILM)
    with open_source(path) as source:
        assert source.info.time_base == MILLISECOND
        assert [frame.pts for frame in source] == stamps
