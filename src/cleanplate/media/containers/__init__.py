"""Containers and codecs: the table of formats, encoders, hardware, decoding and clocks."""
