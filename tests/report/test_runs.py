"""Tables of many runs, joined."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import pytest

from semrsm_cli.errors import SemrsmError
from semrsm_cli.report.runs import find_runs, join_runs

COLUMNS = ("model", "dataset", "n_database", "metric", "kernel", "invariance")


def run(
    folder: Path,
    *,
    at: float,
    score: float,
    seed: int | None = None,
    facts: Mapping[str, object] = MappingProxyType({}),
    settings: Mapping[str, object] = MappingProxyType({}),
    **changes: object,
) -> Path:
    """A finished run of one row, written at second `at`."""
    row = dict(zip(COLUMNS, ("A", "scenes", 8, "count_f1", "cosine", "none"), strict=True)) | changes
    row |= dict.fromkeys(("n_queries", "matching", "ci_low", "ci_high", "paper", "difference_low", "difference_high"))
    (folder / "tables").mkdir(parents=True)
    path = folder / "tables" / "retrieval.csv"
    pd.DataFrame([row | {"at_1": score}]).to_csv(path, index=False)
    os.utime(path, (at, at))
    told = {"command": ["semrsm retrieve"], "settings": dict(settings), "stages": {"matching": 1}, **facts}
    (folder / "run.json").write_text(json.dumps(told | ({} if seed is None else {"seed": seed})))
    return folder


def test_runs_are_found_at_any_depth_and_other_files_are_passed_over(tmp_path: Path) -> None:
    run(tmp_path / "a" / "model=clip,seed=0", at=2, score=0.5)
    run(tmp_path / "b", at=1, score=0.25)
    (tmp_path / "c" / "tables").mkdir(parents=True)
    (tmp_path / "c" / "tables" / "draw.csv").write_text("role,image\n")
    (tmp_path / "retrieval.csv").write_text("not,in,tables\n")
    found = find_runs([tmp_path])[0]
    assert [item.path.relative_to(tmp_path).as_posix() for item in found] == ["b", "a/model=clip,seed=0"]
    assert [item.tables for item in found] == [("retrieval",)] * 2
    assert find_runs([tmp_path, tmp_path / "a", tmp_path / "b"])[0] == found


def test_the_newest_of_equal_rows_counts_and_seeds_stay_apart(tmp_path: Path) -> None:
    run(tmp_path / "old", at=1, score=0.1, seed=0)
    run(tmp_path / "new", at=3, score=0.3, seed=0)
    run(tmp_path / "other seed", at=2, score=0.2, seed=1)
    run(tmp_path / "other model", at=2, score=0.4, model="B")
    rows, left_out = join_runs(find_runs([tmp_path])[0], "retrieval")
    assert left_out == 1
    assert sorted(rows["at_1"]) == [0.2, 0.3, 0.4]
    assert rows.set_index("at_1").loc[0.3, "run"] == (tmp_path / "new").as_posix()
    assert sorted(rows["seed"]) == [0, 0, 1]


def test_unlike_runs_stand_side_by_side_and_like_ones_do_not(tmp_path: Path) -> None:
    alike = {"settings": {"model.readout": "decoder"}, "facts": {"network": {"weights": 1}, "image_ids_hash": "a"}}
    run(tmp_path / "first", at=1, score=0.1, **alike)
    run(tmp_path / "again", at=2, score=0.2, **alike)
    assert join_runs(find_runs([tmp_path])[0], "retrieval")[0]["at_1"].tolist() == [0.2]
    for number, change in enumerate(
        (
            {"settings": {"model.readout": "after_norm"}},
            {"facts": alike["facts"] | {"network": {"weights": 2}}},
            {"facts": alike["facts"] | {"network ResNet18 seed 1": {"weights": 1}}},
            {"facts": alike["facts"] | {"stages": {"matching": 2}}},
            {"facts": alike["facts"] | {"image_ids_hash": "b"}},
        ),
        start=1,
    ):
        run(tmp_path / f"other {number}", at=9, score=0.9, **(alike | change))  # type: ignore[arg-type]
        rows, left_out = join_runs(find_runs([tmp_path])[0], "retrieval")
        assert (len(rows), left_out) == (1 + number, 1)
        assert rows["settings"].nunique() == rows["label"].nunique() == 1 + number
    assert rows.sort_values("at_1")["at_1"].tolist() == [0.2] + [0.9] * number


def test_curves_over_locality_stand_apart_and_change_no_other_table(tmp_path: Path) -> None:
    run(tmp_path / "plain", at=1, score=0.1)
    plain = join_runs(find_runs([tmp_path])[0], "retrieval")[0]
    for at in (2, 3):
        path = run(tmp_path / f"curve_{at}", at=at, score=at / 10, model="B") / "tables" / "retrieval.csv"
        row = pd.read_csv(path)
        free = row.assign(invariance="permutation")
        pd.concat([row, *(free.assign(locality=value) for value in (0, 2, 8))]).to_csv(path, index=False)
        os.utime(path, (at, at))
    runs = find_runs([tmp_path])[0]
    curves, left_out = join_runs(runs, "retrieval", over_locality=True)
    assert left_out == 4, "the older of the same curve"
    assert set(curves["run"]) == {(tmp_path / "curve_3").as_posix()}
    assert list(curves["locality"].fillna(-1)) == [-1, 0, 2, 8]
    rows = join_runs(runs, "retrieval")[0]
    assert list(rows["invariance"]) == ["none", "none", "permutation"]
    pd.testing.assert_frame_equal(rows[rows["model"] == "A"][list(plain)], plain)
    assert join_runs(runs[:1], "retrieval", over_locality=True)[0].empty


def test_images_differ_from_seed_to_seed_without_being_other_settings(tmp_path: Path) -> None:
    for seed in (0, 1):
        run(tmp_path / f"{seed}", at=seed, score=0.1, seed=seed, facts={"image_ids_hash": f"of seed {seed}"})
    rows, _ = join_runs(find_runs([tmp_path])[0], "retrieval")
    assert len(rows) == 2
    assert rows["settings"].nunique() == rows["label"].nunique() == 1
    run(tmp_path / "changed", at=3, score=0.3, seed=1, facts={"image_ids_hash": "other files"})
    rows, _ = join_runs(find_runs([tmp_path])[0], "retrieval")
    assert rows["settings"].nunique() == rows["label"].nunique() == 3, "no mean is taken over any of them"


def test_the_order_of_folders_and_their_place_change_nothing(tmp_path: Path) -> None:
    for place in ("a/x", "a/y", "b/y", "b/x"):
        settings = {"model.readout": "decoder" if place[0] == place[2] else "after_norm", "z": place[-1]}
        run(tmp_path / place, at=5, score=ord(place[-1]) / 1000, settings=settings)
    one, two = (
        join_runs(find_runs([tmp_path / first])[0], "retrieval")[0].drop(columns="run").sort_values("label")
        for first in ("a", "b")
    )
    pd.testing.assert_frame_equal(one.reset_index(drop=True), two.reset_index(drop=True))


def test_a_table_that_no_run_has_is_empty(tmp_path: Path) -> None:
    run(tmp_path / "a", at=1, score=0.1)
    assert join_runs(find_runs([tmp_path])[0], "matching")[0].empty


def test_a_name_that_looks_like_a_missing_value_stays_a_name(tmp_path: Path) -> None:
    run(tmp_path / "a", at=1, score=0.1, model="NA")
    rows, _ = join_runs(find_runs([tmp_path])[0], "retrieval")
    assert rows[["model", "invariance"]].to_numpy().tolist() == [["NA", "none"]]


def test_no_folder_no_run_or_a_broken_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SemrsmError, match=r"there is no folder .*nowhere; set runs="):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(SemrsmError, match=r"left a table: none of retrieval, .* in a folder named tables") as raised:
        find_runs([tmp_path])
    assert "\n" not in str(raised.value)
    path = run(tmp_path / "a", at=1, score=0.1) / "tables" / "retrieval.csv"
    path.write_text("model,dataset\nA,scenes\n")
    with pytest.raises(SemrsmError, match=r"retrieval\.csv lacks the column 'n_database'"):
        join_runs(find_runs([tmp_path])[0], "retrieval")
    path.write_text('"')
    with pytest.raises(SemrsmError, match=r"retrieval\.csv cannot be read as a table: ") as raised:
        join_runs(find_runs([tmp_path])[0], "retrieval")
    assert "\n" not in str(raised.value)


def test_runs_that_did_not_end_are_left_out_and_named(tmp_path: Path) -> None:
    cases = {
        "killed": (None, "it has no run.json, so its run did not end"),
        "half": ('{"command": [', "its run.json cannot be read"),
        "binary": ("\udcff", "its run.json cannot be read"),
        "deep": ("[" * 100_000, "its run.json cannot be read"),
        "list": ("[]", "its run.json names no command"),
        "other": ("{}", "its run.json names no command"),
        "old": ('{"command": [], "seed": 0}', "its run.json tells no settings, as earlier versions wrote it"),
        "seeds": ('{"command": [], "seed": [0, 1]}', "its run.json has the seed [0, 1], which is no integer"),
    }
    for name, (text, _) in cases.items():
        record = run(tmp_path / name, at=9, score=0.9) / "run.json"
        record.unlink() if text is None else record.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(
        SemrsmError, match=r"ended: .*binary is left out: .* \(7 more like it\); run its task again"
    ) as raised:
        find_runs([tmp_path])
    assert "\n" not in str(raised.value)
    run(tmp_path / "whole", at=1, score=0.1, seed=0)
    runs, left_out = find_runs([tmp_path])
    assert join_runs(runs, "retrieval")[0]["at_1"].tolist() == [0.1]
    assert [path.name for path in left_out] == sorted(cases)
    for path, reason in left_out.items():
        assert reason.startswith(str(cases[path.name][1]))
        assert "\n" not in reason
