from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from cleanplate.training.presets import Preset
from cleanplate.training.stream import ROUND, Batch, Cases, stream, vary
from cleanplate.training.synthesis.material import Material


def cases(material: Material, preset: Preset, stage: str = "coarse", **how: int) -> Cases:
    return Cases(material, preset, preset.stages[stage], seed=(5, 0), batch=2, **how)


def take(count: int, batches: itertools.chain[Batch] | object) -> list[Batch]:
    return list(itertools.islice(batches, count))  # type: ignore[call-overload]


def same(one: Batch, other: Batch) -> bool:
    pairs = zip(vars(one.case).values(), vars(other.case).values(), strict=True)
    return (one.scale, one.refines) == (other.scale, other.refines) and all(
        a.shape == b.shape and torch.equal(a, b) for a, b in pairs
    )


@pytest.mark.parametrize("replay", [1, 2, 3])
@pytest.mark.parametrize("stage", ["coarse", "joint"])
def test_a_stream_starts_at_any_position(material: Material, tiny: Preset, replay: int, stage: str) -> None:
    whole = take(2 * replay * ROUND, stream(cases(material, tiny, stage), replay=replay))
    for start in (1, ROUND, ROUND + 2, replay * ROUND + 1):
        part = take(3, stream(cases(material, tiny, stage), start=start, replay=replay))
        assert all(map(same, part, whole[start : start + 3])), start
    assert not any(same(a, b) for a, b in itertools.combinations(whole, 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_the_stream(material: Material, tiny: Preset, workers: int) -> None:
    alone = take(5, stream(cases(material, tiny)))
    assert all(map(same, alone, take(5, stream(cases(material, tiny), workers=workers))))


def test_processes_share_one_stream(material: Material, tiny: Preset) -> None:
    alone = take(4, stream(cases(material, tiny)))
    first, second = (take(2, stream(cases(material, tiny, rank=rank, world=2))) for rank in (0, 1))
    assert all(map(same, alone, [first[0], second[0], first[1], second[1]]))


def test_another_seed_is_another_stream(material: Material, tiny: Preset) -> None:
    other = Cases(material, tiny, tiny.stages["coarse"], seed=(6, 0), batch=2)
    assert not same(take(1, stream(cases(material, tiny)))[0], take(1, stream(other))[0])


def test_courses_alternate(material: Material, tiny: Preset) -> None:
    kinds = [batch.refines for batch in take(4, stream(cases(material, tiny, "joint")))]
    assert kinds == [False, False, True, False]  # three of whole frames to one of crops


def test_a_replay_is_the_scene_mirrored_in_other_colours(material: Material, tiny: Preset) -> None:
    fresh = next(stream(cases(material, tiny)))
    again = vary(fresh, 1, 0)
    assert torch.equal(again.case.alpha, fresh.case.alpha.flip(3))
    assert torch.equal(again.case.plate[:, 3:], fresh.case.plate[:, 3:].flip(3))
    order = next(
        order for order in itertools.permutations(range(3))
        if torch.equal(again.case.source, fresh.case.source[:, list(order)].flip(3))
    )  # fmt: skip
    assert order != (0, 1, 2)
    for name in ("plate", "foreground"):
        picture, before = (getattr(batch.case, name)[:, :3] for batch in (again, fresh))
        assert torch.equal(picture, before[:, list(order)].flip(3)), name


def test_a_smaller_share_makes_a_smaller_batch(material: Material, tiny: Preset) -> None:
    stage = tiny.stages["coarse"]
    stage = replace(stage, courses=(replace(stage.courses[0], share=0.5),))
    assert len(Cases(material, tiny, stage, seed=(1,), batch=6)[0].case.source) == 3
