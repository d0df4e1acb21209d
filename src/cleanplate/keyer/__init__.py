"""The keyer: plate, runtime and router in one call; keying without a plate; regions and cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.keyer.cuts import CutDetector
    from cleanplate.keyer.keyer import Keyer
    from cleanplate.keyer.recurrent_keyer import RecurrentKeyer, open_keyer
    from cleanplate.keyer.regions import Region, open_region

__all__ = [
    "CutDetector",
    "Keyer",
    "RecurrentKeyer",
    "Region",
    "open_keyer",
    "open_region",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "CutDetector": "cuts",
            "Keyer": "keyer",
            "RecurrentKeyer": "recurrent_keyer",
            "open_keyer": "recurrent_keyer",
            "Region": "regions",
            "open_region": "regions",
        },
    )
