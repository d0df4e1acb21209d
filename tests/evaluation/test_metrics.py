"""Each metric against numbers worked out by hand, its definition written out slowly, and its invariances."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cleanplate.errors import OptionError
from cleanplate.evaluation.metrics import (
    UNKNOWN,
    connectivity_error,
    dtssd,
    edge_mad,
    foreground_mse,
    gradient_error,
    holes,
    leak,
    mad,
    mse,
    near_soft_alpha,
    recomposition_error,
    sad,
    trimap_of,
)
from cleanplate.evaluation.metrics.gradient_connectivity import _gradient_magnitude

OF_ALPHA = (mad, mse, sad, gradient_error, connectivity_error)

bytes_of_alpha = arrays.arrays(
    np.uint8, (7, 9), elements=st.sampled_from([0, 20, 60, 100, 128, 180, 230, 255])
)


def as_alpha(levels):
    return (levels / 255).astype(np.float32)


def rows(*lines):
    return np.array(lines, np.float32)


def test_means_and_sums_by_hand():
    truth = rows([0, 0, 1, 1], [0, 0.5, 1, 1])
    alpha = rows([0.2, 0, 1, 0.6], [0, 0.1, 1, 1])
    assert mad(alpha, truth) == pytest.approx((0.2 + 0.4 + 0.4) / 8)
    assert mse(alpha, truth) == pytest.approx((0.04 + 0.16 + 0.16) / 8)
    assert sad(alpha, truth) == pytest.approx(1.0 / 1000)
    assert leak(alpha, truth) == pytest.approx(0.2 / 3)
    assert holes(alpha, truth) == pytest.approx(0.4 / 4)
    region = np.array([[True, False, False, True], [False] * 4])
    assert mad(alpha, truth, region) == pytest.approx(0.3)
    assert mse(alpha, truth, region) == pytest.approx(0.1)
    assert sad(alpha, truth, region) == pytest.approx(0.6 / 1000)


def test_foreground_errors_count_at_positive_true_alpha_only():
    alpha = rows([0, 0.01], [1, 0.5])
    truth = np.zeros((2, 2, 3))
    foreground = truth.copy()
    foreground[0, 0] = 1  # true alpha 0: means nothing
    foreground[1, 1] = (0.3, 0, 0)
    assert foreground_mse(foreground, truth, alpha) == pytest.approx(0.09 / 9)
    assert foreground_mse(
        foreground, truth, alpha, np.array([[True, False], [False, True]])
    ) == pytest.approx(0.09 / 3)
    assert math.isnan(foreground_mse(foreground, truth, np.zeros((2, 2))))


def test_the_recomposed_picture_by_hand():
    truth, colour = np.full((4, 4), 0.5), np.full((4, 4, 3), 0.6)
    assert recomposition_error(truth, colour, truth, colour) == 0
    assert recomposition_error(truth, colour + 0.2, truth, colour) == pytest.approx(0.1)
    # 0.75 of 0.6: 0.15 more over black, 0.025 more over grey, 0.1 less over white
    more = truth + 0.25
    assert recomposition_error(more, colour, truth, colour) == pytest.approx((0.15 + 0.025 + 0.1) / 3)
    # Too much alpha and too dark a colour cancel over black.
    assert recomposition_error(more, colour / 1.5, truth, colour) == pytest.approx((0.125 + 0.25) / 3)
    solid = np.ones((4, 4))
    assert math.isnan(recomposition_error(solid, colour, solid, colour))


def test_dtssd_by_hand():
    truth_before, truth = rows([0, 0], [1, 1]), rows([0, 1], [1, 1])
    before, after = rows([0, 0], [1, 0.8]), rows([0, 0.5], [1, 1])
    # Changes: 0.5 instead of 1, and 0.2 instead of none.
    assert dtssd(after, before, truth, truth_before) == pytest.approx(math.sqrt((0.25 + 0.04) / 4))
    assert dtssd(truth * 0.5, truth * 0.5, truth, truth) == 0  # wrong, but steady
    region = np.array([[True, False], [False, False]])
    assert dtssd(after, before, truth, truth_before, region) == 0


def test_edge_mad_uses_edges_only():
    truth = np.zeros((60, 80), np.float32)
    truth[:, 40:] = 1
    truth[:, 40] = 0.5
    near = near_soft_alpha(truth)
    assert near[0, 28:53].all()
    assert not near[:, :28].any()
    assert not near[:, 53:].any()
    alpha = truth.copy()
    alpha[:, :20] = 1
    assert edge_mad(alpha, truth) == 0
    alpha[:, 41] = 0
    assert edge_mad(alpha, truth) == pytest.approx(1 / 25)


def gaussian_gradient(alpha):
    """Rhemann's gradient written out: two 9 x 9 kernels whose squares sum to 1, each edge repeated."""
    sigma, reach = 1.4, 4
    height, width = alpha.shape
    padded = np.pad(alpha.astype(np.float64), reach, mode="edge")
    kernel = np.zeros((9, 9))
    for y, x in itertools.product(range(-reach, reach + 1), repeat=2):
        kernel[y + reach, x + reach] = -x * math.exp(-(x * x + y * y) / (2 * sigma**2))
    kernel /= math.sqrt((kernel**2).sum())
    magnitude = np.zeros(alpha.shape)
    for y, x in itertools.product(range(height), range(width)):
        window = padded[y : y + 9, x : x + 9]
        magnitude[y, x] = math.hypot((window * kernel).sum(), (window * kernel.T).sum())
    return magnitude


def connectivity(alpha, truth, region):
    """Rhemann's connectivity written out, components found by walking."""
    height, width = alpha.shape
    levels = [step / 10 for step in range(11)]
    connected_to = np.full(alpha.shape, -1.0)
    for before, level in itertools.pairwise(levels):
        left = {p for p in itertools.product(range(height), range(width))
                if alpha[p] >= np.float32(level) and truth[p] >= np.float32(level)}  # fmt: skip
        largest = set()
        for start in itertools.product(range(height), range(width)):  # in the order in which ties are broken
            if start not in left:
                continue
            part, edge = set(), [start]
            left.discard(start)
            while edge:
                y, x = edge.pop()
                part.add((y, x))
                for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    if near in left:
                        left.discard(near)
                        edge.append(near)
            if len(part) > len(largest):
                largest = part
        for p in itertools.product(range(height), range(width)):
            if p not in largest and connected_to[p] < 0:
                connected_to[p] = before
    connected_to[connected_to < 0] = 1
    total = 0.0
    for p in itertools.product(range(height), range(width)):
        phi = [1 - d if (d := float(x[p]) - connected_to[p]) >= 0.15 else 1.0 for x in (alpha, truth)]
        total += abs(phi[0] - phi[1]) * region[p]
    return total / 1000


@settings(deadline=None, max_examples=30)
@given(bytes_of_alpha, bytes_of_alpha, arrays.arrays(np.bool_, (7, 9)))
def test_gradient_follows_its_definition(first, second, region):
    alpha, truth = as_alpha(first), as_alpha(second)
    made = (gaussian_gradient(alpha) - gaussian_gradient(truth)) ** 2
    assert gradient_error(alpha, truth) == pytest.approx(made.sum() / 1000, rel=1e-4, abs=1e-8)
    assert gradient_error(alpha, truth, region) == pytest.approx(
        (made * region).sum() / 1000, rel=1e-4, abs=1e-8
    )


def test_gradient_is_equal_to_the_bit_at_any_address():
    alpha, truth = np.random.default_rng(5).random((2, 60, 80), np.float32)
    blocks, errors = [], set()
    for size in range(16, 512, 16):  # shifts the addresses of the arrays that are allocated next
        blocks.append(np.empty(size, np.uint8))
        blocks.append(_gradient_magnitude(alpha))
        errors.add(gradient_error(alpha, truth))
    assert len({block.ctypes.data % 64 for block in blocks[1::2]}) > 1
    assert len({block.tobytes() for block in blocks[1::2]}) == 1
    assert len(errors) == 1


@settings(deadline=None, max_examples=60)
@given(bytes_of_alpha, bytes_of_alpha, arrays.arrays(np.bool_, (7, 9)))
def test_connectivity_follows_its_definition(first, second, region):
    alpha, truth = as_alpha(first), as_alpha(second)
    everywhere = np.ones_like(region)
    assert connectivity_error(alpha, truth) == pytest.approx(connectivity(alpha, truth, everywhere), abs=1e-7)
    assert connectivity_error(alpha, truth, region) == pytest.approx(
        connectivity(alpha, truth, region), abs=1e-7
    )


def test_connectivity_by_hand():
    """A solid body, and an island in the matte alone, which floats with its full alpha."""
    truth = np.zeros((10, 20), np.float32)
    truth[:, :8] = 1
    alpha = truth.copy()
    alpha[4:6, 12:16] = 0.7
    assert connectivity_error(alpha, truth) == pytest.approx(8 * 0.7 / 1000)
    alpha[4:6, 12:16] = 0.14  # below theta
    assert connectivity_error(alpha, truth) == 0
    assert connectivity_error(truth * 0, truth) == pytest.approx(80 / 1000)


def test_reference_figures():
    """Compare with RVM's published script (evaluate_lr.py) on a moved disc with a hole."""
    y, x = np.mgrid[:96, :128].astype(np.float32)
    truth = np.clip((30 - np.hypot(x - 60, y - 50)) / 6 + 0.5, 0, 1)
    alpha = np.clip((31 - np.hypot(x - 62, y - 49)) / 9 + 0.5, 0, 1)
    alpha[40:46, 50:60] = 0.4
    alpha[5:9, 100:110] = 0.8
    assert 1e3 * mad(alpha, truth) == pytest.approx(32.3227196, rel=1e-6)
    assert 1e3 * mse(alpha, truth) == pytest.approx(11.2401733, rel=1e-6)
    assert gradient_error(alpha, truth) == pytest.approx(0.9782685, rel=1e-6)
    assert connectivity_error(alpha, truth) == pytest.approx(0.4018672, rel=1e-6)
    before, truth_before = np.roll(alpha, 2, 1), np.roll(truth, 3, 1)
    assert 1e2 * dtssd(alpha, before, truth, truth_before) == pytest.approx(7.2661424, rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(bytes_of_alpha, bytes_of_alpha)
@pytest.mark.parametrize("metric", OF_ALPHA)
def test_every_metric_is_symmetric_and_zero_for_equal_mattes(metric, first, second):
    alpha, truth = as_alpha(first), as_alpha(second)
    assert metric(truth, truth) == pytest.approx(0, abs=1e-15)  # vectors of pixels round in another order
    assert metric(alpha, truth) == pytest.approx(metric(truth, alpha), rel=1e-6)
    if metric is not connectivity_error:  # which of two regions of equal area is the largest depends on order
        assert metric(alpha[::-1].copy(), truth[::-1].copy()) == pytest.approx(
            metric(alpha, truth), rel=1e-4, abs=2e-4
        )
    everywhere = np.ones(truth.shape, bool)
    assert metric(alpha, truth, everywhere) == pytest.approx(metric(alpha, truth))


@given(bytes_of_alpha, bytes_of_alpha)
def test_errors_of_regions_add_up(first, second):
    alpha, truth = as_alpha(first), as_alpha(second)
    region = truth > 0.5
    for metric in (sad, gradient_error, connectivity_error):
        total = metric(alpha, truth, region) + metric(alpha, truth, ~region)
        assert total == pytest.approx(metric(alpha, truth), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("metric", [mad, mse])
def test_an_empty_region_has_no_mean(metric):
    truth = np.ones((4, 4), np.float32)
    assert math.isnan(metric(truth, truth, np.zeros((4, 4), bool)))
    assert math.isnan(leak(truth, truth))
    assert math.isnan(holes(1 - truth, 1 - truth))


@pytest.mark.parametrize("metric", [*OF_ALPHA, leak, holes, edge_mad])
def test_shapes_are_not_broadcast(metric):
    with pytest.raises(OptionError, match="shape"):
        metric(np.zeros((4, 5), np.float32), np.zeros((1, 5), np.float32))


def test_a_trimap_by_hand():
    alpha = np.zeros((9, 40), np.float32)
    alpha[:, 20:] = 1
    alpha[:, 19] = 0.5
    assert trimap_of(alpha, 3)[4].tolist() == [0] * 16 + [128] * 7 + [255] * 17
    assert trimap_of(alpha, 0)[4].tolist() == [0] * 19 + [128] + [255] * 20
    point = np.zeros((9, 9), np.float32)
    point[4, 4] = 0.5
    assert (trimap_of(point, 2) == UNKNOWN).sum() == 13  # a diamond
    with pytest.raises(OptionError):
        trimap_of(alpha, -1)
