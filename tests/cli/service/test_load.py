"""Fifty clients at once: bounded memory, a fair queue, 429 when it is full."""

from __future__ import annotations

import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.cli.service.running import find_clip_processes, run_service
from tests.waiting import stopped, wait_until

CLIENTS = 50
TOKENS = [f"token-of-the-client-{number:02}" for number in range(CLIENTS)]
PADDING = bytes(8_000_000)
"""Follows the end of each picture, where no reader looks."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc"),
]


def headers(number):
    return {"Authorization": f"Bearer {TOKENS[number]}"}


def waiting(url):
    """Number of pictures in the queue."""
    text = httpx.get(f"{url}/metrics", headers=headers(1), timeout=300).text
    return float(re.search(r'cleanplate_tasks{kind="picture",state="waiting"} (.*)', text)[1])


def peak_mb(process):
    """Largest memory that the server's own process has had."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024


def test_fifty_clients_at_once(small, tmp_path):
    photo, plate = ((small / name).read_bytes() for name in ("photo.png", "plate.png"))
    done: list[tuple[int, int]] = []
    lock = threading.Lock()

    def ask(number, source=photo + PADDING):
        given = {"source": ("photo.png", source), "plate": ("plate.png", plate)}
        answer = httpx.post(f"{running.url}/v1/image", files=given, headers=headers(number), timeout=800)
        with lock:
            done.append((number, answer.status_code))
        return answer

    options = ("--workers", "1", "--queue", "100", "--queue-per-client", "16", "--wait-seconds", "800")
    with run_service(tmp_path, *options, tokens=TOKENS) as running:
        expected = ask(0, photo).content
        before = peak_mb(running.process)
        done.clear()
        # A clip that stands still keeps the worker busy until everybody has arrived.
        given = {"source": ("clip.mp4", (small / "long.mp4").read_bytes()), "plate": ("plate.png", plate)}
        clip = httpx.post(f"{running.url}/v1/videos", files=given, headers=headers(1), timeout=300).json()
        wait_until(lambda: find_clip_processes(running), "process of the clip")
        with ExitStack() as busy, ThreadPoolExecutor(2 * CLIENTS) as threads:
            busy.enter_context(stopped(*find_clip_processes(running)))
            # The first client sends 40 pictures, of which 16 may wait; then all others send one each.
            flood = [threads.submit(ask, 0, photo) for _ in range(40)]
            wait_until(lambda: len(done) == 24, "refusals")
            others = [threads.submit(ask, number) for number in range(1, CLIENTS)]
            wait_until(lambda: waiting(running.url) == 16 + CLIENTS - 1, "pictures in the queue")
            httpx.delete(f"{running.url}/v1/jobs/{clip['id']}", headers=headers(1), timeout=300)
            busy.close()
            answers = [future.result() for future in others]
            flooded = [future.result() for future in flood]
        assert [answer.status_code for answer in answers] == [200] * (CLIENTS - 1)
        assert all(answer.content == expected for answer in answers)
        refused = [answer for answer in flooded if answer.status_code == 429]
        assert len(refused) == 24
        assert all(1 <= int(answer.headers["retry-after"]) <= 600 for answer in refused)
        assert all(answer.content == expected for answer in flooded if answer.status_code == 200)
        # Everybody was served once before the first client was served again; answers overtake others in the
        # threads of this test. In the order of arrival, the first client would be served 16 times first.
        served = [number for number, status in done if status == 200]
        assert served[: CLIENTS + 8].count(0) <= 9
        assert set(served[: CLIENTS + 8]) == set(range(CLIENTS))
        grown = peak_mb(running.process) - before
        sys.stderr.write(f"memory of the server: {before:.0f} MB, {grown:.0f} MB more under load\n")
        assert grown < 100, "400 MB of uploads went through memory"
        wait_until(lambda: list((tmp_path / "service/pictures").iterdir()) == [], "removed uploads")
        health = httpx.get(f"{running.url}/healthz", timeout=300)
        assert health.status_code == 200
    assert "Traceback" not in running.log


def test_a_full_queue_refuses_everybody_until_there_is_room(small, tmp_path):
    clip, plate = ((small / name).read_bytes() for name in ("long.mp4", "plate.png"))
    options = ("--workers", "1", "--queue", "3", "--queue-per-client", "3")
    with run_service(tmp_path, *options, tokens=TOKENS) as running:

        def queue(number):
            given = {"source": ("clip.mp4", clip), "plate": ("plate.png", plate)}
            return httpx.post(f"{running.url}/v1/videos", files=given, headers=headers(number), timeout=300)

        assert queue(0).status_code == 202
        wait_until(lambda: find_clip_processes(running), "process of the first clip")
        with stopped(*find_clip_processes(running)):
            waiting = [queue(number) for number in (1, 2, 3)]
            assert [answer.status_code for answer in waiting] == [202] * 3
            refused = queue(9)
            assert refused.status_code == 429
            assert "The queue is full" in refused.json()["error"]["message"]
            url = f"{running.url}/v1/jobs/{waiting[2].json()['id']}"
            assert httpx.delete(url, headers=headers(3), timeout=300).status_code == 202
            assert queue(9).status_code == 202
