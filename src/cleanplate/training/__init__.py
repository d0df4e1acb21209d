"""Training: synthesis of cases, losses, the loop."""
