"""Audio and subtitle tracks, copied or encoded beside the pictures."""
