"""One module for each subcommand.

NumPy's OpenBLAS reads its number of threads when it is loaded, so it is set here, before the first of them.
Workers and stages already use all cores, and OpenBLAS's threads spin while they wait: on a busy machine the
small equations of a plate's fit took two to five times the processor time (docs/log.md, 2026-11-29).
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
