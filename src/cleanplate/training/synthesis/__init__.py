"""Composites made on the fly, with their plate and the exact alpha and foreground."""
