"""Choice of the background colour of each pixel among its samples.

Each pixel's samples are clustered by colour. The largest cluster is mostly the background, but not where
somebody stood in front of it for most of the time. Pixels whose second cluster was seen at the same times are
joined to regions of the size of a person. For each region the strength of its outline is measured with either
cluster inside: a person has an outline, the wall behind has none (the test between abandoned and removed
objects in surveillance; here, averaged over the whole outline). Samples with motion around a pixel have less
weight, because people move and rooms do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import AnyArray, BoolArray, Float32Array, IndexArray
from cleanplate.plate.picture import SURE_CONFIDENCE
from cleanplate.plate.structure import largest_channel

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

CLUSTERS = 6
"""Clusters of colour for each pixel. A choice between memory and the number of things that may have been
there."""

LEAST_REACH = 0.045
"""Difference of a channel, of 1, up to which two samples show the same thing at any noise."""

NOISE_REACH = 5.0
"""The same in deviations of the noise."""

FAMILY_REACH = 2.2
"""Distance of two clusters, in reaches, up to which they are one thing in light and in shadow."""

OCCUPIED_WEIGHT = 0.2
"""Weight of a sample of an occupied place; 1 for one of a free place. A choice."""

USUALLY_FREE = 0.3
"""Share of the samples that show a thing in which its place is free, if it is the background."""

LEAST_SHARE = 0.05
"""Share of the samples that a choice needs to be one."""

LEAST_SAMPLES = 2
"""Least samples of a cluster: a single one may be noise."""

ENOUGH_SAMPLES = 2.0
"""Samples of a free place after which it is known: confidence is 1 - exp(-samples / this)."""

SURE_SAMPLES = -ENOUGH_SAMPLES * float(np.log(1 - SURE_CONFIDENCE))
"""Samples of a free place from which its confidence makes it known."""

SAME_TIMES = 0.5
"""Intersection over union of the times at which neighbours of one region were seen."""

SMALLEST_REGION = 12
"""Least pixels of a region that is decided as one, and the largest number of regions. Choices that bound the
time."""

MOST_REGIONS = 300

CLOSING = 11
"""Gaps in a region up to this many pixels are a part of it."""

OUTLINE_GAP = 3
"""Pixels between the two sides of an outline that are compared: it is soft itself."""

LARGEST_STEP = 0.25
"""Largest difference across an outline that counts; larger ones are clipped."""

CLEAR_STEP = 0.012
"""Least reduction of the step along the outline for the second cluster to be chosen."""

RARITY_PRICE = 0.02
"""Addition to ``CLEAR_STEP`` for each factor e by which the second cluster was seen less often."""


@dataclass(frozen=True)
class Background:
    """Chosen background at the samples' size.

    Attributes:
        picture: float32 RGB in [0, 1], ``(height, width, 3)``.
        visible: bool ``(samples, height, width)``: pixels in which a sample shows the background.
        sure: float32 ``(height, width)``: samples that show it while its place was free; fewer where that was
            the exception, because somebody who sits and talks holds still at times.
        moved: Share of the picture with motion in any sample.
        unseen: Share of the area covered by the subject that was never surely seen empty.
    """

    picture: Float32Array
    visible: BoolArray
    sure: Float32Array
    moved: float
    unseen: float


def find_background(
    views: Float32Array, known: BoolArray, restless: BoolArray, occupied: BoolArray
) -> Background:
    """Choose the background of each pixel among its samples.

    Args:
        views: float32 RGB in [0, 1], ``(samples, height, width, 3)``, registered and in one light.
        known: Masks of the known pixels of each sample, ``(samples, height, width)``.
        restless: Masks of motion around the time of a sample, likewise.
        occupied: ``restless``, and places in which the subject rests; see :func:`find_occupied`.
    """
    views = np.stack([cv2.GaussianBlur(view, (0, 0), 0.7) for view in views])
    reach = max(LEAST_REACH, NOISE_REACH * _measure_noise(views))
    weights = known * np.where(occupied, np.float32(OCCUPIED_WEIGHT), np.float32(1))
    labels, colours = _cluster(views, known, reach)
    counts = np.stack([np.where(labels == k, weights, 0).sum(axis=0) for k in range(CLUSTERS)])
    labels, colours, counts = _unite(labels, colours, counts, FAMILY_REACH * reach)
    order = np.argsort(-counts, axis=0)
    chosen = order[0]
    uncertain: BoolArray = np.zeros(chosen.shape, bool)
    for rank in (1, 2):
        chosen = _reconsider(chosen, order[rank], labels, colours, counts, reach, uncertain)
    picture = _take(colours, np.where(uncertain, _despeckle(chosen, colours, counts, reach), chosen))
    picture, visible = _settle(picture, views, known, weights, reach)
    free = np.sum(visible & ~occupied, axis=0)
    share = free / np.maximum(visible.sum(axis=0), 1)
    sure = (free * np.clip(share / USUALLY_FREE, 0, 1)).astype(np.float32)
    moved = float(restless.any(axis=0).mean())
    return Background(
        picture, visible, sure, moved, _measure_unseen(known & ~visible & restless, occupied, sure)
    )


def _measure_unseen(hidden: BoolArray, occupied: BoolArray, sure: Float32Array) -> float:
    """Share of the covered area that was never surely seen empty; 0 if nothing was covered.

    Args:
        hidden: Masks of moving things before the background, ``(samples, height, width)``.
        occupied: Masks of the places in which the subject is or may be, likewise.
        sure: Number of samples that show the background of a free place, ``(height, width)``.
    """
    empty = sure >= SURE_SAMPLES
    seen = int(np.count_nonzero((hidden.sum(axis=0) >= LEAST_SAMPLES) & empty))
    unseen = int(np.count_nonzero((occupied.sum(axis=0) >= LEAST_SAMPLES) & ~empty))
    return unseen / max(seen + unseen, 1)


def _measure_noise(views: Float32Array) -> float:
    """Deviation between neighbouring samples in the quieter half of the pictures."""
    if len(views) < 2:
        return 0.0
    changes = largest_channel(np.abs(np.diff(views[:, ::2, ::2], axis=0)))
    return float(np.quantile(changes, 0.3))


def _cluster(
    views: Float32Array, known: BoolArray, reach: float
) -> tuple[npt.NDArray[np.int8], Float32Array]:
    """Group each pixel's samples by colour, in order of time.

    Returns:
        The cluster of each sample, -1 for none, ``(samples, height, width)``, and the clusters' mean colours,
        ``(clusters, height, width, 3)``.
    """
    size = views.shape[1:3]
    colours = np.full((CLUSTERS, *size, 3), 9.0, np.float32)  # far from any colour
    counts = np.zeros((CLUSTERS, *size), np.float32)
    rows, columns = np.indices(size)
    for view, shown in zip(views, known, strict=True):
        distances = largest_channel(np.abs(colours - view))
        nearest = distances.argmin(axis=0)
        # A colour outside of all clusters takes an empty cluster, or the smallest one so far.
        hit = distances[nearest, rows, columns] < reach
        place = np.where(hit, nearest, counts.argmin(axis=0))
        seen = np.where(hit, counts[place, rows, columns], 0) + 1
        old = colours[place, rows, columns]
        mixed = np.where(hit[..., None], old + (view - old) / np.minimum(seen, 20)[..., None], view)
        colours[place, rows, columns] = np.where(shown[..., None], mixed, old)
        counts[place, rows, columns] = np.where(shown, seen, counts[place, rows, columns])
    labels = np.full(views.shape[:3], -1, np.int8)
    for number, (view, shown) in enumerate(zip(views, known, strict=True)):
        distances = largest_channel(np.abs(colours - view))
        nearest = distances.argmin(axis=0)
        hit = (distances[nearest, rows, columns] < 1.3 * reach) & shown
        labels[number] = np.where(hit, nearest, -1)
    return labels, colours


def _unite(
    labels: npt.NDArray[np.int8], colours: Float32Array, counts: Float32Array, reach: float
) -> tuple[npt.NDArray[np.int8], Float32Array, Float32Array]:
    """Merge clusters that are near each other; the colour is that of the largest cluster."""
    used = counts > 0
    near = (largest_channel(np.abs(colours[:, None] - colours[None])) < reach) & used[:, None] & used[None]
    own = np.arange(CLUSTERS, dtype=np.int8)[:, None, None]
    family = np.broadcast_to(own, counts.shape)
    for _ in range(2):
        # Each takes the least number among its neighbours'; chains longer than three are not merged.
        family = np.where(near, family[None], np.int8(CLUSTERS)).min(axis=1)
        family = np.where(used, family, own)
    rows, columns = np.indices(counts.shape[1:])
    united_counts, united_colours = np.zeros_like(counts), colours.copy()
    for number in range(CLUSTERS):
        members = np.where(family == number, counts, 0)
        united_counts[number] = members.sum(axis=0)
        united_colours[number] = colours[members.argmax(axis=0), rows, columns]
    united = np.where(labels >= 0, family[labels, rows, columns], np.int8(-1))
    return united, united_colours, united_counts


def _reconsider(
    chosen: IndexArray,
    rival: IndexArray,
    labels: npt.NDArray[np.int8],
    colours: Float32Array,
    counts: Float32Array,
    reach: float,
    uncertain: BoolArray,
) -> IndexArray:
    """Choose the rival cluster in regions where it continues the surroundings better; mark them uncertain."""
    chosen = chosen.copy()
    picture, other = _take(colours, chosen), _take(colours, rival)
    weight, other_weight = _take(counts, chosen), _take(counts, rival)
    least = max(LEAST_SAMPLES, LEAST_SHARE * len(labels)) * OCCUPIED_WEIGHT
    open_ = (other_weight >= least) & (largest_channel(np.abs(picture - other)) > reach)
    times = labels == rival
    for region in _group(open_, times, other_weight):
        swapped = np.where(region[..., None], other, picture)
        step, other_step = _outline_steps(_fill(region), picture, swapped)
        rarity = float(np.log(weight[region].mean() / other_weight[region].mean()))
        if step - other_step > CLEAR_STEP + RARITY_PRICE * max(rarity, 0.0):
            # Scattered pixels of the rim, too few for a region of their own, but seen at the same times.
            usual = times[:, region].mean(axis=1) > 0.5
            common = (times & usual[:, None, None]).sum(axis=0)
            alike = common > SAME_TIMES * (times | usual[:, None, None]).sum(axis=0)
            filled = _fill(region)
            uncertain |= cv2.dilate(filled.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            changed = region | (filled & alike)
            chosen[changed] = rival[changed]
            picture[changed] = other[changed]
    return chosen


def _despeckle(chosen: IndexArray, colours: Float32Array, counts: Float32Array, reach: float) -> IndexArray:
    """Choose, in single pixels, the cluster nearest to the median of their neighbours."""
    candidates = np.where((counts > 0)[..., None], colours, np.float32(9))
    for _ in range(2):
        picture = _take(colours, chosen)
        around = np.dstack([cv2.medianBlur(np.ascontiguousarray(picture[..., c]), 5) for c in range(3)])
        distances = largest_channel(np.abs(candidates - around))
        nearest = distances.argmin(axis=0)
        gain = largest_channel(np.abs(picture - around)) - distances.min(axis=0)
        chosen = np.where(gain > reach, nearest, chosen)
    return chosen


def _group(open_: BoolArray, times: BoolArray, weight: Float32Array) -> list[BoolArray]:
    """Connected pixels that were seen at the same times, the most often seen first."""
    regions: list[BoolArray] = []
    left = open_.copy()
    flat = times.reshape(len(times), -1).astype(np.float32)
    seen = flat.sum(axis=0)
    for _ in range(MOST_REGIONS):
        if not left.any():
            break
        seed = int(np.argmax(np.where(left, weight, -1)))
        common = flat[:, seed] @ flat
        alike = (common > SAME_TIMES * (seen + seen[seed] - common)).reshape(open_.shape) & left
        _, parts = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
        region = parts == parts.flat[seed]
        left &= ~region
        left.flat[seed] = False
        if np.count_nonzero(region) >= SMALLEST_REGION:
            regions.append(region)
    return regions


def _outline_steps(region: BoolArray, inside: Float32Array, other: Float32Array) -> tuple[float, float]:
    """Strength of the region's outline as an edge, with either choice inside.

    The strength is the mean difference across the outline, less the difference between neighbours on either
    side: in texture a difference is no edge.
    """
    steps: list[list[float]] = [[], []]
    surroundings = np.where(region[..., None], np.float32(np.nan), inside)
    for axis in (0, 1):
        for way in (OUTLINE_GAP, -OUTLINE_GAP):
            crossing = region & ~_shift(region, way, axis, True)
            if not crossing.any():
                continue
            near = _shift(surroundings, way, axis, np.nan)[crossing]
            far = _shift(surroundings, 2 * way, axis, np.nan)[crossing]
            texture = _difference(near, far)
            for number, choice in enumerate((inside, other)):
                own = choice[crossing]
                deeper = np.where(region[..., None], choice, np.float32(np.nan))
                own_texture = _difference(own, _shift(deeper, -way, axis, np.nan)[crossing])
                textures = np.stack([texture, own_texture])
                known = np.isfinite(textures)
                usual = np.where(known, textures, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
                steps[number] += list(_difference(own, near) - usual)
    if not steps[0]:
        return 0.0, 0.0
    return float(np.mean(steps[0])), float(np.mean(steps[1]))


def _fill(region: BoolArray) -> BoolArray:
    """Close the region's gaps: pixels in which both clusters look alike are missing in it."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSING, CLOSING))
    padded = cv2.copyMakeBorder(
        region.astype(np.uint8), CLOSING, CLOSING, CLOSING, CLOSING, cv2.BORDER_REPLICATE
    )
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(closed, outlines, -1, 1, cv2.FILLED)
    return np.asarray(closed[CLOSING:-CLOSING, CLOSING:-CLOSING] > 0)


def _shift(picture: AnyArray, way: int, axis: int, beyond: float) -> AnyArray:
    """Each pixel's neighbour ``way`` pixels before it along an axis; ``beyond`` where there is none."""
    shifted = np.roll(picture, way, axis)
    edge: list[slice] = [slice(None)] * picture.ndim
    edge[axis] = slice(0, way) if way > 0 else slice(way, None)
    shifted[tuple(edge)] = beyond
    return shifted


def _difference(first: Float32Array, second: Float32Array) -> Float32Array:
    """The largest difference of a channel, limited, of colours ``(n, 3)``."""
    return np.asarray(np.minimum(np.abs(first - second).max(axis=1), LARGEST_STEP))


def _settle(
    picture: Float32Array, views: Float32Array, known: BoolArray, weights: Float32Array, reach: float
) -> tuple[Float32Array, BoolArray]:
    """Average the samples that agree with the picture; return the average and the masks of agreement."""
    visible = known.copy()
    for _ in range(2):
        for number, view in enumerate(views):
            visible[number] = known[number] & (largest_channel(np.abs(view - picture)) < reach)
        trusted = np.where(visible, weights, 0)
        total = trusted.sum(axis=0)
        mean = np.einsum("nhw,nhwc->hwc", trusted, views) / np.maximum(total, 1e-6)[..., None]
        picture = np.where(total[..., None] > 0, mean, picture).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    for number in range(len(views)):
        # A median closes single holes from noise before the mask of hidden pixels is dilated.
        hidden = cv2.medianBlur((~visible[number]).astype(np.uint8), 3)
        visible[number] = (cv2.dilate(hidden, kernel) == 0) & known[number]
    return picture, visible


def _take(values: Float32Array, labels: IndexArray) -> Float32Array:
    rows, columns = np.indices(labels.shape)
    return np.asarray(values[labels, rows, columns])
