"""Synthesis of composites on the fly, with their plate and the exact alpha and foreground."""
