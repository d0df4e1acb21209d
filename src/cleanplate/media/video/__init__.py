"""Video sources and sinks, pixel formats, and segments that are joined without encoding."""
