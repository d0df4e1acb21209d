"""Live keying of a camera: capture of the plate, keying, preview window and virtual camera."""
