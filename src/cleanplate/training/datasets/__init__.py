"""Data sets for training: where their files lie, how they are read, what is wrong with them. No PyTorch here.

``spec`` is what the user writes, ``layouts`` finds the files of each known layout, ``pictures``, ``video``
and ``clips`` read them, ``check`` looks for damage. :mod:`cleanplate.training.synthesis.material` makes
sprites of it.
"""

from __future__ import annotations

from cleanplate.training.datasets.spec import DataSpec, parse_data_spec

__all__ = ["DataSpec", "parse_data_spec"]
