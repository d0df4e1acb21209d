"""Keying a camera as it runs: from a plate that is taken in front of it to a window and a virtual camera."""
