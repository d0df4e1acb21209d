"""Top-level boxes of MP4 and MOV files (ISO 14496-12, 4.2)."""

from __future__ import annotations

import os
from typing import BinaryIO

MOST_BOXES = 1024
"""Boxes that are looked through; files have some ten, and fragmented ones two for each fragment. A choice."""


def find_box(file: BinaryIO, name: bytes) -> tuple[int, int] | None:
    """Find the first top-level box of a name.

    Args:
        file: The file, open for reading.
        name: Four letters.

    Returns:
        Position and length of its content, in bytes; None without such a box, or in a file of another format.
    """
    size = file.seek(0, os.SEEK_END)
    at = 0
    for _ in range(MOST_BOXES):
        if at + 8 > size:
            break
        file.seek(at)
        head = file.read(16)
        length, header = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:  # the rest of the file
            length = size - at
        if length < header or not head[4:8].isalnum():
            break
        if head[4:8] == name:
            return at + header, length - header
        at += length
    return None
