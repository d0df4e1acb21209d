"""Data sets for training: finding, reading and inspecting their files. No PyTorch here.

``spec`` parses the user's names of data sets, ``layouts`` finds the files of each known layout, ``pictures``,
``video_frames`` and ``clips`` read them, ``inspection`` looks for damage.
:mod:`cleanplate.training.synthesis.material` makes sprites of the pictures.
"""

from __future__ import annotations

from cleanplate.training.datasets.spec import DataSpec, parse_data_spec

__all__ = ["DataSpec", "parse_data_spec"]
