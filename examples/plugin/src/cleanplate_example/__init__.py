"""A plug-in of each kind for cleanplate; ``pyproject.toml`` names them."""

from pathlib import Path


def model_folder() -> Path:
    """Folder of models with its manifest, as ``cleanplate publish`` writes it; here by ``make_model.py``."""
    return Path(__file__).parent / "models"
