"""Every schema, as Hydra knows it: the task's, and that of each kind of data set."""

from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from semrsm_cli.config import tasks
from semrsm_cli.config.data import DataConfig
from semrsm_cli.config.labels import network_label
from semrsm_cli.config.store import StoreConfig
from semrsm_cli.data import DATASETS

__all__ = ["TASKS", "editable", "register_schemas"]

TASKS = {
    "bench": tasks.BenchConfig,
    "cka": tasks.CkaConfig,
    "correlate": tasks.CorrelateConfig,
    "data": DataConfig,
    "extract": tasks.ExtractConfig,
    "report": tasks.ReportConfig,
    "retrieve": tasks.RetrieveConfig,
    "rsm": tasks.RsmConfig,
    "store": StoreConfig,
    "train": tasks.TrainConfig,
    "translate": tasks.TranslateConfig,
}


def register_schemas(*needed: str) -> None:
    """Tell Hydra the schemas, in groups named `schema` whose members are no options, and what YAML calls.

    Args:
        needed: Tasks whose schemas are needed, since each takes Hydra some milliseconds; by default all.
    """
    OmegaConf.register_new_resolver("lower", str.lower, replace=True)
    OmegaConf.register_new_resolver("network_label", network_label, replace=True)
    store = ConfigStore.instance()
    for task in needed or TASKS:
        store.store(group="schema", name=task, node=editable(TASKS[task]))
    for dataset, kind in DATASETS.items():
        store.store(group="dataset/schema", name=dataset, node=editable(kind), package="dataset")


def editable(schema: type) -> DictConfig:
    """A config of a frozen dataclass that overrides can still be merged into."""
    config: DictConfig = OmegaConf.structured(schema)
    _unlock(config)
    return config


def _unlock(config: Any) -> None:
    """Take the read-only flags away that OmegaConf gives frozen dataclasses."""
    if not isinstance(config, DictConfig):
        return
    OmegaConf.set_readonly(config, None)
    for key in () if config._is_missing() or config._is_none() else config:
        _unlock(config._get_node(key))
