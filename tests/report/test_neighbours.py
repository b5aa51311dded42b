"""Neighbours of the same query under several runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from semrsm_cli.errors import SemrsmError
from semrsm_cli.report.neighbours import Neighbours, common_queries, rank_queries_by_gain, read_neighbours

KERNELS = ("cosine", "linear")


def left_by_a_run(folder: Path, answers: dict[str, tuple[str, str]], scores: dict[str, float], kept: list[str]) -> Path:
    """A run whose queries have one neighbour each, without and with permutation invariance; it kept some thumbnails."""
    (folder / "tables").mkdir(parents=True)
    rows = [
        (kernel, invariance, query, 1, answer, 0.5, scores.get(answer, np.nan))
        for kernel in KERNELS
        for query, of_query in answers.items()
        for invariance, answer in zip(("none", "permutation"), of_query, strict=True)
    ]
    columns = ["kernel", "invariance", "query", "rank", "neighbour", "similarity", "score"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "tables" / "neighbours.csv", index=False)
    thumbnails = pd.DataFrame({"image": kept, "file": [f"{image}.jpg" for image in kept], "objects": ""})
    thumbnails.to_csv(folder / "tables" / "thumbnails.csv", index=False)
    for image in kept:
        Image.new("RGB", (8, 8)).save(folder / f"{image}.jpg")
    return folder


def read(folder: Path) -> Neighbours:
    found = read_neighbours(folder, "A")
    assert found is not None
    return found


def test_only_queries_all_of_whose_pictures_were_kept_count(tmp_path: Path) -> None:
    answers = {"007": ("x", "y"), "b": ("x", "z"), "c": ("x", "y")}
    first = read(left_by_a_run(tmp_path / "1", answers, {}, ["007", "b", "x", "y"]))
    assert first.kernel == "cosine"
    assert common_queries([first]) == ["007", "b"]
    assert first.of("007", "permutation")[0][0] == "y"
    assert first.of("b", "permutation") == []
    assert first.picture("007").size == (8, 8)
    second = read(left_by_a_run(tmp_path / "2", answers, {}, ["c", "007", "x", "y", "z"]))
    assert common_queries([first, second]) == ["007"]
    assert common_queries([]) == []


def test_a_run_without_thumbnails_is_none(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path / "1", {"a": ("x", "y")}, {}, ["a"])
    (folder / "tables" / "thumbnails.csv").unlink()
    assert read_neighbours(folder, "A") is None


def test_pictures_from_elsewhere_or_of_another_kind_are_not_shown(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.jpg")
    for name, file in (("above", "../secret.jpg"), ("absolute", str(tmp_path / "secret.jpg"))):
        folder = left_by_a_run(tmp_path / name, {"a": ("x", "y")}, {}, ["a", "x", "y"])
        kept = pd.read_csv(folder / "tables" / "thumbnails.csv").assign(file=["a.jpg", "x.jpg", file])
        kept.to_csv(folder / "tables" / "thumbnails.csv", index=False)
        assert read(folder).of("a", "none"), name
        assert not read(folder).of("a", "permutation"), name
    (folder / "a.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(SemrsmError, match=r"a\.jpg cannot be read as JPEG; run its task again"):
        read(folder).picture("a")


@pytest.mark.parametrize(
    ("scores", "order"),
    [
        ({"x": 0.25, "y": 0.5, "z": 1.0}, ["b", "c", "d", "a"]),
        ({"x": 1.0, "y": 0.5, "z": 0.25}, ["a", "d", "c", "b"]),
        ({}, ["b", "c", "d", "a"]),  # not scored: those that change, in their order
    ],
)
def test_queries_that_gain_most_come_first(tmp_path: Path, scores: dict[str, float], order: list[str]) -> None:
    answers = {"a": ("y", "y"), "b": ("x", "z"), "c": ("x", "y"), "d": ("x", "y")}
    if scores.get("x") == 1.0:
        answers["d"] = ("y", "z")
    kept = ["a", "b", "c", "d", "x", "y", "z"]
    found = [read(left_by_a_run(tmp_path / name, answers, scores, kept)) for name in "12"]
    assert rank_queries_by_gain(common_queries(found), found) == order
