"""Hints: the user's rough word on what is subject and what is background, carried through a clip."""
