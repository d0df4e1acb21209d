"""Named models: their records, their files, and the verification of these files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.models.added_models import add_model, remove_model
    from cleanplate.models.config import ModelConfig
    from cleanplate.models.load import load_network, save_model
    from cleanplate.models.network_builder import build_network
    from cleanplate.models.official import bgmv2_config, load_official, rvm_config
    from cleanplate.models.registry import Model, find_model, list_models

__all__ = [
    "Model",
    "ModelConfig",
    "add_model",
    "bgmv2_config",
    "build_network",
    "find_model",
    "list_models",
    "load_network",
    "load_official",
    "remove_model",
    "rvm_config",
    "save_model",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "build_network": "network_builder",
            "ModelConfig": "config",
            "load_network": "load",
            "save_model": "load",
            "bgmv2_config": "official",
            "load_official": "official",
            "rvm_config": "official",
            "Model": "registry",
            "find_model": "registry",
            "list_models": "registry",
            "add_model": "added_models",
            "remove_model": "added_models",
        },
    )
