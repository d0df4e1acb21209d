"""Exposure, shading, clipping, illumination and shadow between the plate and a frame."""
