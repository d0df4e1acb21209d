"""Evaluation of models and classical peers on cases with known truth, run like a user's job."""
