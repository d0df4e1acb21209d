"""The code that chooses where to refine, cuts tiles out of the pictures and pastes the results back.

The refiner is a small network that sees the picture at full resolution, but only where the coarse network
expects itself to be wrong. "Where" is counted in cells of 4 x 4 pixels. A convolution gives the same numbers
however the picture is cut, as long as each piece brings its neighbourhood along; so neighbouring cells share
tiles instead of being run one by one, and what is written back are the selected cells alone.

The method is that of Lin et al., "Real-Time High-Resolution Background Matting", CVPR 2021, section 3.2.
"""

from cleanplate.router.changed_region import Region
from cleanplate.router.refine import Refine
from cleanplate.router.router import Clock, Coarse, DeviceRouter, Router, Shrink, stay_with

__all__ = ["Clock", "Coarse", "DeviceRouter", "Refine", "Region", "Router", "Shrink", "stay_with"]
