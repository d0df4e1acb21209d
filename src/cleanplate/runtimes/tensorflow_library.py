"""Imports TensorFlow without its messages."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Capture the error output of native code; show it only if the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


# Native code reports errors only, unless the user wants more. Two lines about oneDNN remain: TensorFlow
# writes them before it reads this variable.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with quiet():
    import tensorflow as tf

__all__ = ["quiet", "tf"]
