"""Order and limits of the queue."""

from __future__ import annotations

import pytest

from cleanplate.cli.service.fair_queue import FairQueue, QueuedTask
from cleanplate.cli.service.refusals import Refusal


def put(queue, *names, is_clip=False):
    tasks = [QueuedTask(name, is_clip, lambda _: None) for name in names]
    for task in tasks:
        queue.put(task)
    return tasks


def take(queue, count):
    return [queue.take().client for _ in range(count)]


def test_clients_take_turns():
    queue = FairQueue(100, 100, workers=2)
    put(queue, *"aaaa", "b", "c", "b")
    assert take(queue, 3) == ["a", "b", "c"]
    put(queue, "d")
    assert take(queue, 5) == ["a", "b", "d", "a", "a"]


def test_clips_leave_a_worker_to_pictures():
    queue = FairQueue(100, 100, workers=2)
    first, _ = put(queue, "a", "b", is_clip=True)
    put(queue, "a", "c")
    assert queue.take() is first
    assert take(queue, 2) == ["c", "a"]
    assert queue.count() == {
        ("waiting", "picture"): 0,
        ("waiting", "clip"): 1,
        ("running", "picture"): 2,
        ("running", "clip"): 1,
    }
    queue.done(first, 1.0)
    assert take(queue, 1) == ["b"]


def test_a_full_queue_counts_uploads_and_drops_cancelled_ones():
    queue = FairQueue(3, 2, workers=1)
    first, _ = put(queue, "a", "b")
    with queue.reserve("a"):
        for client in "ac":
            with pytest.raises(Refusal, match="queue is full") as refused, queue.reserve(client):
                pass
            assert (refused.value.status, refused.value.retry_seconds > 0) == (429, True)
    put(queue, "a")
    first.abandoned.set()
    with queue.reserve("a"), pytest.raises(Refusal, match="full"), queue.reserve("a"):
        pass
    with queue.reserve("b"):
        pass


def test_one_client_gets_its_share_at_most():
    queue = FairQueue(30, 2, workers=1)
    put(queue, "a", "a")
    with (
        pytest.raises(Refusal, match="2 requests of this client wait already") as refused,
        queue.reserve("a"),
    ):
        pass
    assert refused.value.status == 429
    with queue.reserve("b"):
        pass


def test_a_closed_queue_gives_nothing():
    queue = FairQueue(3, 3, workers=1)
    put(queue, "a")
    queue.close()
    assert queue.take() is None
    with pytest.raises(Refusal, match="stopping") as refused, queue.reserve("a"):
        pass
    assert refused.value.status == 503
