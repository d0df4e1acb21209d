"""Hints: the user's strokes for subject and background, carried through a clip."""
