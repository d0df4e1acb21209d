"""Executors: the places where the rows of a manifest are keyed, behind one protocol."""
