"""Every setting, stated once: typed, with its default, its meaning and its limits."""

from semrsm_cli.config.comparison import KernelConfig, KernelsConfig, MatchedConfig
from semrsm_cli.config.data import DataConfig
from semrsm_cli.config.model import ModelConfig
from semrsm_cli.config.runtime import RuntimeConfig
from semrsm_cli.config.store import StoreConfig
from semrsm_cli.config.tasks import (
    BenchConfig,
    CkaConfig,
    CorrelateConfig,
    ExtractConfig,
    ReportConfig,
    RetrieveConfig,
    RsmConfig,
    TrainConfig,
    TranslateConfig,
)

__all__ = [
    "BenchConfig",
    "CkaConfig",
    "CorrelateConfig",
    "DataConfig",
    "ExtractConfig",
    "KernelConfig",
    "KernelsConfig",
    "MatchedConfig",
    "ModelConfig",
    "ReportConfig",
    "RetrieveConfig",
    "RsmConfig",
    "RuntimeConfig",
    "StoreConfig",
    "TrainConfig",
    "TranslateConfig",
]
