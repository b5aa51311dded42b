"""Fixtures for all tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from typer.testing import Result

from tests.command import Command, command_in, succeed

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
def semrsm(request: pytest.FixtureRequest, tmp_path: Path, shared_cache: Path) -> Iterator[Command]:
    """The `semrsm` command, in an empty folder, 80 columns wide and offline."""
    is_drawn = request.node.get_closest_marker("drawn") is not None
    with command_in(tmp_path, shared_cache, is_drawn=is_drawn) as command:
        yield command


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Callable[..., tuple[Path, Result]]:
    """Run a command for all tests of a module, in a folder of its own: where its files lie, and what it said."""

    def run(*arguments: object) -> tuple[Path, Result]:
        folder = tmp_path_factory.mktemp("once")
        with command_in(folder, shared_cache) as command:
            return folder / "run", succeed(command(*arguments, "hydra.run.dir=run"))

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test first: at the end it would keep one of several processes busy alone."""
    items.sort(key=lambda item: item.path.name != "test_reproduction.py")
