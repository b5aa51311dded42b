"""Fixtures for all tests."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from typer.testing import CliRunner, Result

settings.register_profile("no deadline", deadline=None)  # an example may be the first to call a compiled function
settings.load_profile("no deadline")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all runs of the session, as a user would have."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def semrsm(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """The `semrsm` command, in an empty folder, 80 columns wide and offline."""
    from semrsm_cli.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMRSM_CACHE", str(shared_cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("SEMRSM_DATA", raising=False)
    yield lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])
    for handler in logging.getLogger().handlers[:]:  # Hydra's handlers hold the runner's closed streams
        logging.getLogger().removeHandler(handler)
