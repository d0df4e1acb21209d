"""Writers of networks in other formats, each with a parity check. Needs the extra ``export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.export.export_options import ExportOptions
    from cleanplate.export.parity import Difference
    from cleanplate.export.targets import FORMATS
    from cleanplate.export.write import export_model

__all__ = [
    "FORMATS",
    "Difference",
    "ExportOptions",
    "export_model",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "ExportOptions": "export_options",
            "Difference": "parity",
            "FORMATS": "targets",
            "export_model": "write",
        },
    )
