"""A plate estimated from the clip itself."""
