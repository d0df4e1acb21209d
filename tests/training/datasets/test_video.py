"""Frames out of the middle of videos."""

from __future__ import annotations

import pickle
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanplate.errors import InputError
from cleanplate.media import open_source
from cleanplate.training.datasets.video_frames import VideoFile


@pytest.fixture(scope="module")
def video(tmp_path_factory, cutout, write_clip):
    folder = tmp_path_factory.mktemp("video")
    return write_clip(folder / "0000.mp4", [cutout(i)[..., :3] for i in range(20)], key_every=8)


@pytest.fixture(scope="module")
def frames(video):
    with open_source(video) as source:
        return [frame.pixels for frame in source]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(start=st.integers(0, 19), length=st.integers(1, 20))
def test_any_stretch_equals_decoding_from_the_start(video, frames, start, length):
    length = min(length, 20 - start)
    read = [picture.pixels for picture in VideoFile(video).read(start, length)]
    assert len(read) == length
    for got, expected in zip(read, frames[start:], strict=False):
        np.testing.assert_array_equal(got, expected)


def test_key_frames_are_a_second_apart(tmp_path, cutout, write_clip):
    path = write_clip(tmp_path / "a.mp4", [cutout(i)[..., :3] for i in range(60)], key_every=12)
    assert VideoFile(path).key_frames() == [0, 24, 48]


def test_an_unpickled_video_is_readable(video, frames):
    file = VideoFile(video)
    next(file.read(3, 1))
    again = pickle.loads(pickle.dumps(file))
    assert len(again) == 20
    np.testing.assert_array_equal(next(again.read(3, 1)).pixels, frames[3])


def test_frames_of_matroska_are_counted(tmp_path, video, frames):
    path = tmp_path / "a.mkv"
    with av.open(str(video)) as source, av.open(str(path), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    assert len(VideoFile(path)) == 20
    np.testing.assert_array_equal(next(VideoFile(path).read(13, 1)).pixels, frames[13])


def test_damage_is_an_error_that_names_the_file(tmp_path, video):
    data = bytearray(video.read_bytes())
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"broken\.mp4"):
        len(VideoFile(broken))
    with pytest.raises(InputError, match="20 frames, so there is no frame 20"):
        list(VideoFile(video).read(19, 2))
    with pytest.raises(InputError, match="There is no file"):
        len(VideoFile(Path("nowhere.mp4")))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_bytes_give_frames_or_an_input_error(tmp_path, video, seed):
    rng = np.random.default_rng(seed)
    data = np.frombuffer(video.read_bytes(), np.uint8).copy()
    data[rng.integers(0, len(data), 40)] = rng.integers(0, 256, 40)
    path = tmp_path / "noise.mp4"
    path.write_bytes(data.tobytes())
    try:
        for picture in VideoFile(path).read(0, 20):
            assert picture.pixels.dtype == np.uint8
        VideoFile(path).key_frames()
    except InputError as error:
        message = error.message
    else:
        message = path.name
    assert path.name in message
