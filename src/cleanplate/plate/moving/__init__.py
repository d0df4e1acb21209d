"""Plates whose camera moves: a clip of the empty set, matched with the source frame by frame."""
