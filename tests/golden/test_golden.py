"""The default runs still give the numbers that they gave; see scripts/renew_golden.py for when they shall not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from semrsm_cli.stages import VERSIONS
from tests.golden import TABLES, differences, golden_numbers, read_golden, read_versions


def test_the_numbers_are_of_these_versions_of_the_stages() -> None:
    assert read_versions() == dict(VERSIONS), "a stage's version was raised: run scripts/renew_golden.py"


def test_a_number_that_moves_in_its_sixth_digit_is_noticed() -> None:
    for task, (_, numbers) in TABLES.items():
        known = read_golden(task)
        assert not differences(task, known)
        for column in set(numbers) & set(known):
            moved = known.copy()
            moved.loc[len(moved) // 2, column] *= 1 + 2e-5
            assert len(differences(task, moved)) == 1
        assert not differences(task, known[::-1].assign(new=1.0))
        (gone,) = differences(task, known[1:])
        assert gone.endswith("is gone")
        assert "is gone" in differences(task, known.drop(columns=numbers[0]))[0]


@pytest.mark.slow
@pytest.mark.parametrize("task", TABLES)
def test_default_runs_give_the_numbers_that_they_gave(task: str, run_once: Callable[..., tuple[Path, Result]]) -> None:
    run, _ = run_once(task)
    moved = differences(task, golden_numbers(task, run))
    assert not moved, "\n".join(
        [*moved, "if that is wanted, raise the stage's version and run scripts/renew_golden.py"]
    )
