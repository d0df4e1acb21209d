"""PyTorch networks: backbones, coarse networks and the refiner. Needs the extra ``torch``."""
