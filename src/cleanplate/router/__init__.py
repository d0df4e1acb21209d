"""Choice of the cells to refine, cutting of tiles, and pasting of the refined results.

The refiner is a small network that sees the picture at full resolution, but only in cells of 4 x 4 pixels
where the coarse network expects an error. A convolution gives the same numbers however the picture is cut, if
each piece has its halo. So neighbouring cells share a tile instead of being run one by one, and only the
selected cells are written back.

The method is that of Lin et al., "Real-Time High-Resolution Background Matting", CVPR 2021, section 3.2.
"""

from cleanplate.router.changed_region import ChangedRegion
from cleanplate.router.refine import Refine
from cleanplate.router.router import Clock, Coarse, DeviceRouter, Router, Shrink, stay_with

__all__ = ["ChangedRegion", "Clock", "Coarse", "DeviceRouter", "Refine", "Router", "Shrink", "stay_with"]
