"""Colour tags (ITU-T H.273), transfer functions, bit depth, dither, chroma siting and HDR metadata."""
