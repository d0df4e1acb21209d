"""Diagnosis of a plate against a photo or clip."""
