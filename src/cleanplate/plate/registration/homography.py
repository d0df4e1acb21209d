"""The motion of a camera between two pictures, a 3 x 3 homography, and its robust estimation from pairs.

Three models are fitted: a translation, a similarity, a homography. Few or clustered pairs overfit a model of
many parameters and bend the far side of the picture, so each parameter has a price.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import BoolArray

Matrix = npt.NDArray[np.float64]
"""float64 ``(3, 3)``, the last element 1: takes ``(x, y, 1)`` of the plate to the frame."""

Points = npt.NDArray[np.float64]
"""float64 ``(n, 2)``: x to the right, y down, pixel centres at whole numbers."""

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

CONSENSUS_PIXELS = 1.5
"""Largest distance of a pair from the common motion, at the size of the search: tracked corners are wrong by
a fraction of a pixel, and pairs of the subject by more."""

FINEST_DEVIATION = 0.03
"""Least standard deviation of a pair, in pixels: the floor of interpolation, against a division by zero."""

FAR_PIXELS = 1e6
"""Distance assigned to a point beyond the horizon; any number above all sizes of pictures serves."""

TUKEY = 4.685
"""Deviations at which Tukey's biweight reaches zero (95% efficiency on Gaussian noise)."""

FREEDOM_PRICE = 4.0
"""Price of a parameter in units of log(pairs): above 1, because errors of neighbouring pairs are alike."""


def translation(x: float, y: float) -> Matrix:
    """A shift to the right and down."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scale_matrix(motion: Matrix, x: float, y: float) -> Matrix:
    """The same motion for pictures that are ``x`` times as wide and ``y`` times as high.

    Pixel centres lie at whole numbers, so a picture's corner is at -0.5 at every size.
    """
    grow = np.array([[x, 0.0, (x - 1) / 2], [0.0, y, (y - 1) / 2], [0.0, 0.0, 1.0]])
    return normalise(grow @ motion @ invert(grow))


def invert(motion: Matrix) -> Matrix:
    """The motion back."""
    return normalise(np.asarray(np.linalg.inv(motion), dtype=np.float64))


def normalise(matrix: npt.NDArray[np.float64]) -> Matrix:
    """Divide by the last element."""
    return np.asarray(matrix / matrix[2, 2], dtype=np.float64)


def move(motion: Matrix, points: Points) -> Points:
    """Map points; those on or beyond the horizon become NaN."""
    moved = points @ motion[:, :2].T + motion[:, 2]
    depth = np.where(moved[:, 2:] > 1e-9, moved[:, 2:], np.nan)
    return np.asarray(moved[:, :2] / depth, dtype=np.float64)


def grid_points(height: int, width: int, across: int = 9) -> Points:
    """A regular grid of points over a picture, its corners included."""
    x, y = np.meshgrid(np.linspace(0, width - 1, across), np.linspace(0, height - 1, across))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)


def displacement(motion: Matrix, height: int, width: int) -> float:
    """Largest displacement, in pixels, of any part of the picture."""
    points = grid_points(height, width)
    return float(np.max(np.linalg.norm(move(motion, points) - points, axis=1)))


def rotation_degrees(motion: Matrix, height: int, width: int) -> float:
    """Rotation at the picture's centre, clockwise as seen on the screen."""
    x_axis, y_axis = _axes_at_centre(motion, height, width)
    return math.degrees(math.atan2(x_axis[1] - y_axis[0], x_axis[0] + y_axis[1]))


def zoom(motion: Matrix, height: int, width: int) -> float:
    """Magnification at the picture's centre."""
    x_axis, y_axis = _axes_at_centre(motion, height, width)
    return math.sqrt(abs(x_axis[0] * y_axis[1] - x_axis[1] * y_axis[0]))


def centre_shift(motion: Matrix, height: int, width: int) -> float:
    """Shift of the picture's centre, in pixels."""
    centre = np.array([[(width - 1) / 2, (height - 1) / 2]])
    return float(np.linalg.norm(move(motion, centre) - centre))


def is_plausible(motion: Matrix, height: int, width: int) -> bool:
    """Tell whether a camera that still sees the same scene could have moved like this.

    Mirrored or folded pictures, zoom beyond a factor of 2 and rotation beyond 45 degrees are refused, and so
    is perspective that changes the area of one part of the picture more than twice as much as of another.
    """
    corners = grid_points(height, width, across=3)
    step = 1.0
    moved, right, down = (
        move(motion, corners + offset)
        for offset in (np.zeros(2), np.array([step, 0.0]), np.array([0.0, step]))
    )
    x_axis, y_axis = right - moved, down - moved
    areas = x_axis[:, 0] * y_axis[:, 1] - x_axis[:, 1] * y_axis[:, 0]
    if not np.all(np.isfinite(areas)) or areas.min() <= 0.25 or areas.max() >= 4.0:
        return False
    turned = abs(rotation_degrees(motion, height, width))
    return bool(areas.max() <= 2.0 * areas.min() and turned <= 45.0)


def estimate_motion(plate: Points, frame: Points) -> tuple[Matrix, BoolArray] | None:
    """Find the motion that most pairs agree on.

    A homography is searched with MAGSAC (Barath et al., CVPR 2020); its pairs, without the outliers, are
    fitted by each model with Tukey's biweight, and the model with the least cost (squared deviations plus the
    price of its parameters) is taken.

    Returns:
        The motion from plate to frame and the mask of pairs that agree; None if no motion was found.
    """
    if len(plate) < 4:
        return None
    found, mask = cv2.findHomography(plate, frame, cv2.USAC_MAGSAC, CONSENSUS_PIXELS, None, 4000, 0.999)
    if found is None or mask is None or not np.all(np.isfinite(found)) or abs(found[2, 2]) < 1e-9:
        return None
    agree = mask.ravel().astype(bool)
    if np.count_nonzero(agree) < 6:
        return None
    inside, outside = plate[agree], frame[agree]
    fits = [
        _fit_robustly(solver, inside, outside)
        for solver in (_solve_translation, _solve_similarity, _solve_homography)
    ]
    deviation = max(FINEST_DEVIATION, _deviation(_distances(fits[-1], inside, outside)))
    prices = [FREEDOM_PRICE * parameters * math.log(len(inside)) for parameters in (2, 4, 8)]
    reach = TUKEY * deviation
    costs = [
        float(np.sum((np.minimum(_distances(fit, inside, outside), reach) / deviation) ** 2)) + price
        for fit, price in zip(fits, prices, strict=True)
    ]
    motion = fits[int(np.argmin(costs))]
    distances = _distances(motion, plate, frame)
    return motion, distances < CONSENSUS_PIXELS


def _axes_at_centre(motion: Matrix, height: int, width: int) -> tuple[Points, Points]:
    centre = np.array([[(width - 1) / 2, (height - 1) / 2]])
    here, right, down = (
        move(motion, centre + offset) for offset in (np.zeros(2), np.array([0.5, 0.0]), np.array([0.0, 0.5]))
    )
    return ((right - here) * 2)[0], ((down - here) * 2)[0]


def _distances(motion: Matrix, plate: Points, frame: Points) -> npt.NDArray[np.float64]:
    distances = np.linalg.norm(move(motion, plate) - frame, axis=1)
    return np.where(np.isfinite(distances), distances, FAR_PIXELS)


def _deviation(distances: npt.NDArray[np.float64]) -> float:
    """Standard deviation per axis of 2-D Gaussian errors, from the median of their lengths."""
    return float(np.median(distances)) / 1.1774


def _fit_robustly(
    solve: Callable[[Points, Points, npt.NDArray[np.float64]], Matrix], plate: Points, frame: Points
) -> Matrix:
    """Solve, weigh each pair by its distance from the solution, and solve again."""
    weights = np.ones(len(plate))
    motion = solve(plate, frame, weights)
    for _ in range(6):
        distances = _distances(motion, plate, frame)
        reach = TUKEY * max(FINEST_DEVIATION, _deviation(distances))
        weights = np.clip(1.0 - (distances / reach) ** 2, 0.0, None) ** 2
        motion = solve(plate, frame, weights)
    return motion


def _solve_translation(plate: Points, frame: Points, weights: npt.NDArray[np.float64]) -> Matrix:
    x, y = np.average(frame - plate, axis=0, weights=weights)
    return translation(float(x), float(y))


def _solve_similarity(plate: Points, frame: Points, weights: npt.NDArray[np.float64]) -> Matrix:
    """Least squares over complex numbers: ``frame = a * plate + b``."""
    source, target = plate @ np.array([1, 1j]), frame @ np.array([1, 1j])
    source_mean, target_mean = np.average(source, weights=weights), np.average(target, weights=weights)
    source, target = source - source_mean, target - target_mean
    spread = float(np.sum(weights * np.abs(source) ** 2))
    turn = np.sum(weights * np.conj(source) * target) / spread if spread > 0 else 1.0 + 0j
    shift = target_mean - turn * source_mean
    return np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0.0, 0.0, 1.0]],
        dtype=np.float64,
    )


def _solve_homography(plate: Points, frame: Points, weights: npt.NDArray[np.float64]) -> Matrix:
    """The direct linear transform on normalised points (Hartley 1997), weighted."""
    source_frame, target_frame = _conditioning(plate), _conditioning(frame)
    source, target = move(source_frame, plate), move(target_frame, frame)
    x, y = source.T
    zero, one = np.zeros(len(source)), np.ones(len(source))
    rows_u = np.stack([x, y, one, zero, zero, zero, -target[:, 0] * x, -target[:, 0] * y], axis=1)
    rows_v = np.stack([zero, zero, zero, x, y, one, -target[:, 1] * x, -target[:, 1] * y], axis=1)
    roots = np.sqrt(weights)[:, None]
    rows = np.concatenate([rows_u * roots, rows_v * roots])
    values = np.concatenate([target[:, 0] * roots[:, 0], target[:, 1] * roots[:, 0]])
    # Slight damping towards the identity keeps the system solvable for collinear points.
    damping = 1e-6 * len(source) * np.eye(8)
    start = np.array([1.0, 0, 0, 0, 1.0, 0, 0, 0])
    solution = np.linalg.solve(rows.T @ rows + damping, rows.T @ values + damping @ start)
    inner = np.append(solution, 1.0).reshape(3, 3)
    return normalise(invert(target_frame) @ inner @ source_frame)


def _conditioning(points: Points) -> Matrix:
    """The similarity that centres points and makes their mean distance 1."""
    centre = points.mean(axis=0)
    scale = 1.0 / max(1e-9, float(np.mean(np.linalg.norm(points - centre, axis=1))))
    return np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1.0]])
