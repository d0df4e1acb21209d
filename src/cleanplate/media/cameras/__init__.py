"""Cameras, network streams, virtual cameras and the preview window."""
