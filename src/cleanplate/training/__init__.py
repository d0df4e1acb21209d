"""Training: data, synthesis of cases, and the loop (``loop.py``, which reads from top to bottom)."""
