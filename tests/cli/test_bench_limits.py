"""Work of a frame beside a plain convolution and a plain copy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cleanplate.cli.commands import bench_limits
from cleanplate.cli.commands.bench_limits import (
    CHANNELS,
    CONVOLUTION,
    add_up,
    count_work,
    describe_limits,
    measure_limits,
    time_convolution,
    time_copy,
)
from cleanplate.runtimes.onnx_runtime import open_session
from cleanplate.vocabulary import KeyerOptions

SIZE = (64, 96)


def make_pair() -> tuple[np.ndarray, np.ndarray]:
    plate = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
    frame = plate.copy()
    frame[16:48, 32:64] = 255 - frame[16:48, 32:64]
    return plate, frame


def test_the_work_of_a_convolution_is_counted(tmp_path: Path) -> None:
    session = open_session(CONVOLUTION, "cpu", 1, ("x",), ("y",), tmp_path / "profile")
    (result,) = session.run(("y",), {"x": np.ones((1, CHANNELS, 20, 30), np.float32)})
    assert np.allclose(result[:, :, 1:-1, 1:-1], 9 * CHANNELS * 0.01)
    work = add_up(json.loads(Path(session.end_profiling()).read_text()))
    assert work is not None
    assert work.multiply_adds == 9 * CHANNELS * CHANNELS * 20 * 30
    assert work.moved_bytes >= 4 * (2 * CHANNELS * 20 * 30 + 9 * CHANNELS * CHANNELS)


def test_the_convolution_is_the_one_of_its_generator() -> None:
    pytest.importorskip("onnx")
    from tests.cli.make_plain_convolution import make_convolution

    assert CONVOLUTION.read_bytes() == make_convolution().SerializeToString(deterministic=True)


def test_the_work_of_a_frame_grows_with_the_scale() -> None:
    plate, frame = make_pair()
    small, large = (count_work(plate, frame, KeyerOptions(scale=scale, refine="off")) for scale in (0.5, 1))
    assert small is not None
    assert large is not None
    assert 1.5 < large.multiply_adds / small.multiply_adds <= 4
    assert large.moved_bytes > small.moved_bytes > 0


def test_a_network_in_int8_has_no_limits() -> None:
    assert measure_limits(*make_pair(), KeyerOptions(model="lite-int8", threads=1), 0.1, 1.0) is None


@pytest.mark.parametrize(
    ("convolution", "copy", "busy", "limit"),
    [(1e9, 1e15, 1.0, "model"), (1e15, 1e9, 1.0, "memory bandwidth"), (1e9, 1e15, 0.5, "threads")],
)
def test_the_limit_is_the_larger_share_unless_cores_wait(
    monkeypatch: pytest.MonkeyPatch, convolution: float, copy: float, busy: float, limit: str
) -> None:
    monkeypatch.setattr(bench_limits, "time_convolution", lambda _: convolution)
    monkeypatch.setattr(bench_limits, "time_copy", lambda _: copy)
    limits = measure_limits(*make_pair(), KeyerOptions(threads=2), 0.1, busy)
    assert limits is not None
    assert limits["limit"] == limit
    assert limits["arithmetic_share"] == pytest.approx(limits["frame_multiply_adds"] / 0.1 / convolution)
    assert limits["memory_share"] == pytest.approx(limits["frame_moved_bytes"] / 0.1 / copy)
    assert describe_limits(limits)[-1].split(maxsplit=1) == ["limit", limit]


def test_yardsticks_are_plausible_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_limits, "YARDSTICK_SECONDS", 0.02)
    assert 1e8 < time_convolution(1) < 1e13
    assert 1e8 < time_copy(2) < 1e13
