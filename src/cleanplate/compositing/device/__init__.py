"""Frames that stay on an accelerator from upload to finished pixels: mattes, compositor, finish on tensors.

The equations are those of :mod:`cleanplate.compositing.over` and :mod:`cleanplate.compositing.finish`, to a
code value. A *picture* is the torch router's: channels first, uint8, or int32 that holds uint16.
"""
