from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from cleanplate.frame import Frame
from cleanplate.media import Colour, Encoding, SourceInfo, open_sink
from cleanplate.system.scheduling import ordinary_scheduling

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="scheduling policies of Linux")


def policies():
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):
            found.add(os.sched_getscheduler(int(task.name)))
    return found


def take_real_time():
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pytest.skip("this user may not take real-time priority")


def test_real_time_priority_is_restored():
    ended = threading.Event()

    def work():
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        ready.set()
        ended.wait(600)

    ready = threading.Event()
    with ordinary_scheduling():
        take_real_time()
        worker = threading.Thread(target=work)
        worker.start()
        assert ready.wait(600)
    try:
        assert os.sched_getscheduler(0) == os.SCHED_OTHER
        assert os.sched_getscheduler(worker.native_id) == os.SCHED_OTHER
    finally:
        ended.set()
        worker.join()


def test_no_encoder_takes_real_time_priority(tmp_path):
    like = SourceInfo(
        path=tmp_path / "clip.mp4", width=64, height=64, frame_rate=None, frame_count=1, colour=Colour(),
    )  # fmt: skip
    before = policies()
    for codec in ("h264", "hevc", "av1"):
        with open_sink(
            tmp_path / f"{codec}.mp4", like, layer="composite", encoding=Encoding(codec=codec)
        ) as sink:
            sink.write(np.zeros((64, 64, 3), np.uint8), Frame(np.zeros((64, 64, 3), np.uint8)))
            assert policies() == before, codec
    assert policies() == before
