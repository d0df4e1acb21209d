"""Evaluation: models and classical peers over cases whose truth is known, the way a user would run them."""
