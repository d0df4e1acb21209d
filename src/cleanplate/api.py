"""A photo or a clip in one call."""

from __future__ import annotations


