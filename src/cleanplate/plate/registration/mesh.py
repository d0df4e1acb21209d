"""Smooth field of displacements after a homography, for parallax and a breathing lens.

The field has values at the nodes of a coarse grid and is bilinear between them. It is found like a motion
(:mod:`~cleanplate.plate.registration.dense`): Gauss-Newton on points of strong gradient with robust weights,
which reject the subject, and a price on bending, which keeps the field smooth where nothing is seen. A field
found in one half of the picture's blocks must reduce the remainder in the other half, or it is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.frame import BoolArray, Float32Array
from cleanplate.plate.registration.dense import DensePoints
from cleanplate.plate.registration.homography import Matrix, Points, invert, move, scale_matrix
from cleanplate.plate.structure import Structure, shrink

Nodes = npt.NDArray[np.float64]
"""float64 ``(rows, columns, 2)``: displacements to the right and down, at nodes spread over the picture."""

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

ROWS, COLUMNS = 7, 11
"""Nodes of the field. A choice: more follow nearer objects, fewer need less texture in each cell."""

LEVEL_SIDES = (480, 960)
"""Longest sides of the copies for the search, coarse to fine."""

STEPS = 4
"""Steps of Gauss-Newton on each copy. A choice between time and convergence."""

EACH = 2
"""Points of each cell."""

BENDING = 0.04
"""Deviation, in node distances per node distance, of the slope from node to node."""

LARGEST_SHIFT = 0.02
"""Largest displacement by parallax, in widths of the picture; larger ones have another cause."""

LARGEST_SLOPE = 0.1
"""Largest change of the displacement per pixel. A choice: beyond it the picture looks torn."""

BLOCK = 48
"""Side, in pixels of the finest copy, of the blocks that are held out in turn."""

LEAST_GAIN = 0.03
"""Least relative reduction of the remainder in held-out blocks; with half of it, a plate of another place is
bent until it seems to fit."""


@dataclass(frozen=True)
class Mesh:
    """A field of displacements over a picture of any size.

    Attributes:
        nodes: In widths of the picture. A point of the frame that the homography takes back to ``u`` is shown
            by the plate at ``u`` plus the displacement there.
    """

    nodes: Nodes

    def largest(self, width: int) -> float:
        """The largest displacement in pixels of a picture of this width."""
        return width * float(np.max(np.linalg.norm(self.nodes, axis=2)))

    def at(self, points: Points, height: int, width: int) -> Points:
        """Displacements in pixels at points ``(n, 2)`` of a picture of this size."""
        weights = _spread(points, height, width)
        return np.asarray(width * (weights @ self.nodes.reshape(-1, 2)))

    def maps(self, motion: Matrix, height: int, width: int) -> tuple[Float32Array, Float32Array]:
        """Position of each of the frame's pixels in the plate: columns and rows, ``(height, width)``."""
        back = invert(motion).astype(np.float32)
        x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
        depth = back[2, 0] * x + back[2, 1] * y + back[2, 2]
        u = (back[0, 0] * x + back[0, 1] * y + back[0, 2]) / depth
        v = (back[1, 0] * x + back[1, 1] * y + back[1, 2]) / depth
        rows, columns = self.nodes.shape[:2]
        at = u * np.float32((columns - 1) / (width - 1)), v * np.float32((rows - 1) / (height - 1))
        field = cv2.remap(
            (self.nodes * width).astype(np.float32), *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return u + field[..., 0], v + field[..., 1]


def find_mesh(plate: Structure, frame: Structure, motion: Matrix, tolerance: float) -> Mesh | None:
    """Find the displacements that remain after a motion.

    Args:
        plate: Structure of the plate.
        frame: Structure of the frame, of the same size.
        motion: From plate to frame in pixels of these copies; exact to a few pixels everywhere.
        tolerance: Displacement, in pixels of these copies, below which no field is returned.

    Returns:
        None if the largest displacement is below the tolerance, or the field fails in held-out blocks.
    """
    levels = [
        _Level.of(plate, frame, motion, side) for side in LEVEL_SIDES if side <= max(plate.detail.shape)
    ]
    if not levels:
        levels = [_Level.of(plate, frame, motion, max(plate.detail.shape))]
    for black in (True, False):
        tried = _search(levels, black)
        if tried is None or not _holds(levels[-1], tried, not black):
            return None
    mesh = _search(levels, None)
    width = plate.detail.shape[1]
    if mesh is None or mesh.largest(width) < tolerance:
        return None
    return mesh


@dataclass(frozen=True)
class _Level:
    """The search at one size: points of the plate, the frame's detail, and the motion between them."""

    points: DensePoints
    detail: Float32Array
    motion: Matrix

    @classmethod
    def of(cls, plate: Structure, frame: Structure, motion: Matrix, side: int) -> _Level:
        small_plate, small_frame = shrink(plate, side), shrink(frame, side)
        height, width = small_plate.detail.shape
        full_height, full_width = plate.detail.shape
        return cls(
            DensePoints(small_plate.detail, small_plate.contrast, each=EACH),
            small_frame.detail,
            scale_matrix(motion, width / full_width, height / full_height),
        )

    def block_is_black(self) -> BoolArray:
        return self.points.block_parity(max(8, BLOCK * self.points.size[1] // LEVEL_SIDES[-1]))


def _search(levels: list[_Level], black: bool | None) -> Mesh | None:
    """Solve on all levels, from the points of black blocks, of white ones, or of all (None)."""
    mesh = Mesh(np.zeros((ROWS, COLUMNS, 2)))
    stiffness = _bending()
    for level in levels:
        height, width = level.points.size
        points = level.points.points
        if len(points) < 64:
            return None
        chosen = np.ones(len(points), np.float32)
        if black is not None:
            chosen = (level.block_is_black() == black).astype(np.float32)
        spread = _spread(points, height, width).astype(np.float32)
        slopes = level.points.slopes * np.float32(width)
        columns = np.concatenate([spread * slopes[:, :1], spread * slopes[:, 1:]], axis=1)
        for number in range(STEPS):
            places = move(level.motion, points - mesh.at(points, height, width))
            weighed = level.points.compare(level.detail, places, trust=chosen, patience=2.0 / 2**number)
            if weighed is None:
                return None
            off, weights = weighed
            weighted = columns * weights[:, None]
            normal = (weighted.T @ columns).astype(np.float64) + stiffness
            right = (weighted.T @ off).astype(np.float64)
            right -= stiffness @ mesh.nodes.reshape(-1, 2).T.ravel()
            change = np.linalg.solve(normal, right).reshape(2, ROWS, COLUMNS)
            mesh = Mesh(mesh.nodes + change.transpose(1, 2, 0))
            if not _is_gentle(mesh):
                return None
    return mesh


def _holds(level: _Level, mesh: Mesh, black: bool) -> bool:
    """Tell whether the field is better than none in the blocks of this colour."""
    height, width = level.points.size
    points = level.points.points
    chosen = (level.block_is_black() == black).astype(np.float32)
    remainders = []
    for shifts in (np.zeros_like(points), mesh.at(points, height, width)):
        places = move(level.motion, points - shifts)
        remainders.append(level.points.remainder(level.detail, places, trust=chosen))
    before, after = remainders
    return before is not None and after is not None and after < (1 - LEAST_GAIN) * before


def _spread(points: Points, height: int, width: int) -> npt.NDArray[np.float64]:
    """Bilinear weights of the nodes at points, ``(n, nodes)``."""
    x = np.clip(points[:, 0] * (COLUMNS - 1) / (width - 1), 0, COLUMNS - 1)
    y = np.clip(points[:, 1] * (ROWS - 1) / (height - 1), 0, ROWS - 1)
    across = np.clip(1 - np.abs(x[:, None] - np.arange(COLUMNS)), 0, None)
    down = np.clip(1 - np.abs(y[:, None] - np.arange(ROWS)), 0, None)
    return np.asarray((down[:, :, None] * across[:, None, :]).reshape(len(points), -1))


def _bending() -> npt.NDArray[np.float64]:
    """The price of second differences between nodes, and a trace of one of displacement itself."""
    nodes = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    triples = [nodes[:, i : i + 3].reshape(-1, 3) for i in range(COLUMNS - 2)]
    triples += [nodes[i : i + 3].T for i in range(ROWS - 2)]
    rows = np.concatenate(triples)
    second = np.zeros((len(rows), ROWS * COLUMNS))
    np.put_along_axis(second, rows, np.array([[1.0, -2.0, 1.0]]), axis=1)
    distance = 1.0 / (COLUMNS - 1)
    price = second.T @ second / (BENDING * distance) ** 2 + np.eye(ROWS * COLUMNS) / LARGEST_SHIFT**2
    return np.kron(np.eye(2), price)


def _is_gentle(mesh: Mesh) -> bool:
    if not np.all(np.isfinite(mesh.nodes)) or mesh.largest(1) > LARGEST_SHIFT:
        return False
    distance = 1.0 / (COLUMNS - 1)
    steps = [np.abs(np.diff(mesh.nodes, axis=axis)).max() / distance for axis in (0, 1)]
    return bool(max(steps) < LARGEST_SLOPE)
