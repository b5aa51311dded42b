"""The page of `semrsm report`, without a browser: what it says, how big it is, what it does not depend on."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.command import Command, succeed
from tests.report.pages import HOSTILE, Page, write_run, write_whole_paper

TABLE_OF = {"retrieval-egoobjects": 2, "retrieval-cityscapes": 3, "matching-tiny_imagenet": 5}
TABLE_OF |= {"correlation-imagenet-2000": 1, "correlation-imagenet-20000": 4}


def page_of(semrsm: Command, runs: str = "runs", run: str = "report") -> str:
    succeed(semrsm("report", f"runs={runs}", f"hydra.run.dir={run}"))
    return Path(run, "index.html").read_text(encoding="utf-8")


def retrieval(model: str = "Net", score: float = 0.5, **columns: object) -> pd.DataFrame:
    """Two rows of a retrieval, with permutations and without."""
    frame = pd.DataFrame({"model": model, "kernel": "cosine", "invariance": ["none", "permutation"]})
    frame = frame.assign(at_1=[score, score + 0.25], ci_low=[score - 0.1, score + 0.15], dataset="scenes")
    frame = frame.assign(ci_high=frame["at_1"] + 0.1, n_database=128, n_queries=64, matching="optimal", paper=np.nan)
    frame = frame.assign(metric="count_f1", difference_low=[np.nan, 0.2], difference_high=[np.nan, 0.3])
    return frame.assign(**columns)


def test_every_printed_number_has_its_verdict(semrsm: Command) -> None:
    expected = write_whole_paper(Path("runs"))
    html = page_of(semrsm)
    page = Page(html)
    assert len(html) < 10_000_000
    total = expected.groupby(level=1).sum()
    assert page.says("Of 270 numbers that the paper prints")
    assert page.says(f"{total['agrees']} agree")
    assert page.says(f"{total['differs']} differ")
    assert page.says("0 not run")
    found: Counter[tuple[int, str]] = Counter()
    for name, verdicts in page.verdicts.items():
        table = max((key for key in TABLE_OF if name.startswith(key)), key=len)
        found.update((TABLE_OF[table], verdict) for verdict in verdicts)
    assert found == Counter(expected.to_dict())


def test_numbers_that_were_not_run_are_said(semrsm: Command) -> None:
    write_whole_paper(Path("all"))
    for run in Path("all").glob("retrieval_2_*"):
        shutil.copytree(run, Path("runs", run.name))
    page = Page(page_of(semrsm))
    assert page.says("180 not run")
    assert set(page.verdicts) == {"retrieval-egoobjects-count_f1"}
    assert page.says("No run of semrsm translate is among these.")


def test_nothing_is_loaded_and_every_inner_link_leads_somewhere(semrsm: Command) -> None:
    write_whole_paper(Path("runs"))
    html = page_of(semrsm)
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids
        elif not address.startswith("data:"):
            assert Path("report", address).is_file(), address
    assert not re.search(r"url\(|@import|https?://", html.split("</style>")[0])


def test_hostile_names_are_text(semrsm: Command) -> None:
    for number, name in enumerate(HOSTILE):
        write_run(Path("runs", f'it\'s "{number}" <b>'), "retrieval", retrieval(name, dataset=name), label=name)
    html = page_of(semrsm)
    page = Page(html)
    for name in HOSTILE:
        assert page.says(name)
    assert page.says('it\'s "0" <b>')
    assert "<script>alert" not in html
    assert page.tags.count("b") == html.count("<b>")
    assert page.says("{{ 7 * 7 }}")
    assert not page.says(" 49 ")


def test_data_for_the_script_cannot_end_it(semrsm: Command, tmp_path: Path) -> None:
    name = "</script><b>x"
    frame = pd.DataFrame({"model_a": name, "layer_a": [name, "b"], "model_b": name, "layer_b": name, "kernel": "rbf"})
    frame = frame.assign(invariance_a="none", invariance_b="none", estimator="biased", cka=[1.0, 0.5])
    write_run(Path("runs/cka"), "cka", frame, label=name)
    html = page_of(semrsm)
    data = [json.loads(text) for text in re.findall(r'application/json">(.*?)</script>', html)]
    assert data[0]["row_names"] == [name, "b"]
    assert data[0]["choices"][0]["values"] == [[1.0], [0.5]]


def test_order_and_age_of_runs_change_nothing(semrsm: Command) -> None:
    pages = []
    for order in ((0, 1, 2), (2, 0, 1)):
        shutil.rmtree("runs", ignore_errors=True)
        for number in order:
            write_run(
                Path("runs", f"run_{number}"), "retrieval", retrieval(f"Net {number}", 0.1 * number), label=f"{number}"
            )
        pages.append(page_of(semrsm, run=f"report_{order[0]}"))
    assert pages[0] == pages[1]


def test_unlike_runs_stand_side_by_side_and_unfinished_ones_are_listed(semrsm: Command) -> None:
    for centering, score in (("sample", 0.5), ("none", 0.1)):
        write_run(Path("runs", centering), "retrieval", retrieval(score=score), label="Net", centering=centering)
    Path("runs/half/tables").mkdir(parents=True)
    retrieval().to_csv("runs/half/tables/retrieval.csv")
    page = Page(page_of(semrsm))
    assert page.says("Net (centering=none)")
    assert page.says("Net (centering=sample)")
    assert page.says("What differs between the runs of semrsm retrieve")
    assert page.says("runs/half : it has no run.json, so its run did not end")
    assert not page.says("0.550")  # the mean of both, 0.75 and 0.35
    assert page.says("a gain of +0.250 [+0.200, +0.300]")


def test_the_first_screen_answers_its_question(semrsm: Command) -> None:
    write_run(Path("runs/a"), "retrieval", retrieval(), label="Net")
    correlation = pd.DataFrame({"model": "Net", "kernel": "cosine", "invariance": ["none", "permutation"]})
    names = [f"{name}{end}" for name in ("pearson", "spearman") for end in ("", "_low", "_high")]
    correlation = correlation.assign(**{name: [-0.2, -0.1] for name in names}, dataset="scenes", n_samples=1200)
    correlation = correlation.assign(paper_pearson=np.nan, paper_spearman=np.nan, matching="optimal")
    assert Page(page_of(semrsm)).says("better than position by position in the one experiment here.")
    write_run(Path("runs/b"), "correlation", correlation, label="Net")
    page = Page(page_of(semrsm, run="again"))
    assert page.says("better than position by position in 1 of 2 experiments here; in 1 it does worse.")
    assert page.says("Over the pairs of 1,200 images of scenes")
    assert page.says("Shifted content is recognised: not run.")


def test_without_labels_the_agreement_on_neighbours_is_told(semrsm: Command) -> None:
    write_run(Path("runs/a"), "retrieval", retrieval(score=np.nan, metric=np.nan), label="Net")
    sides = {"invariance_a": ["none", "none"], "invariance_b": ["pooled", "permutation"]}
    agreement = pd.DataFrame({"kernel": "cosine"} | sides).assign(n_neighbours=5, same_first=[0.5, 0.25])
    agreement.assign(overlap=[0.75, 0.6]).to_csv("runs/a/tables/agreement.csv", index=False)
    Path("runs/a/figures").mkdir()
    Image.new("RGB", (9, 9)).save("runs/a/figures/agreement.png")
    page = Page(page_of(semrsm))
    assert page.says("Neighbours show the same things: no labels to tell by.")
    assert page.says("is the same for 25% of the queries")
    assert page.says("so are 60% of the nearest 5 (cosine kernel, Net)")
    assert "agreement-1" in page.ids
    assert page.says("0.750")
    assert page.says("the share of queries whose first one is the same")
    Path("runs/a/tables/agreement.csv").write_text("of,another,kind")
    assert page_of(semrsm, run="again").count('id="agreement-1"') == 0


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(0.1, 0.3, "seen here"), (-0.1, 0.3, "not clear here"), (-0.3, -0.1, "the other way round here")],
)
def test_a_finding_says_what_its_interval_allows(semrsm: Command, low: float, high: float, status: str) -> None:
    frame = retrieval(difference_low=[np.nan, low], difference_high=[np.nan, high])
    write_run(Path("runs/a"), "retrieval", frame, label="Net")
    page = Page(page_of(semrsm))
    cards = re.split(r"Shifted content|Neighbours show|Similarity foretells", " ".join(page.text))
    assert status in " ".join(cards[1].split()), "what was run comes first"


@pytest.mark.slow
def test_pictures_beyond_the_budget_are_left_out_and_named(semrsm: Command) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        run = Path("runs", f"run_{number}")
        write_run(run, "retrieval", retrieval(f"Net {number}"), label=f"Net {number}")
        (run / "figures").mkdir()
        for name in ("scores", "matched_1", "matched_2", "matched_3"):
            noise = rng.integers(0, 255, (900, 1000, 3), dtype=np.uint8)
            Image.fromarray(noise).save(run / "figures" / f"{name}.png")
    (run / "figures" / "scores_2.png").write_bytes(b"no picture")
    html = page_of(semrsm)
    assert len(html) < 5_000_000
    assert Page(html).says("more figures lie in the runs' folders, the first is runs/run_")


def test_no_browser_is_one_line(semrsm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(Path("runs/a"), "retrieval", retrieval(), label="Net")
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)))
    result = succeed(semrsm("report", "runs=runs", "open=true", "hydra.run.dir=report"))
    assert opened == [Path("report/index.html").resolve().as_uri()]
    assert "no browser could be opened" in result.stderr
    succeed(semrsm("report", "runs=runs", "hydra.run.dir=again"))
    assert len(opened) == 1


def test_matchings_of_other_networks_matrices_and_trainings_have_their_sections(semrsm: Command) -> None:
    bench = pd.DataFrame({"method": ["optimal", "batch_optimal"], "batch": [np.nan, 64.0], "positions": 256})
    bench = bench.assign(model="Net", dataset="photos", layer="x", n_exact=np.nan, n_pairs=9, seconds_mean=0.002)
    bench = bench.assign(percent_of_optimal=[100.0, 98.0], percent_low=97.0, percent_high=100.0, paper_percent=np.nan)
    bench["paper_seconds"] = np.nan
    write_run(Path("runs/bench"), "matching", bench, label="Net")
    rsm = pd.DataFrame({"array": ["arrays/x.npy"], "kernel": "cosine", "invariance": "none", "n": 3, "m": 3})
    write_run(Path("runs/rsm"), "rsm", rsm.assign(positions=4, channels=5), label="Net")
    Path("runs/rsm/arrays").mkdir()
    np.save("runs/rsm/arrays/x.npy", np.eye(3) + 0.25)
    pd.DataFrame({"image": ["cat.jpg", "dog.jpg", "1"]}).to_csv("runs/rsm/tables/images.csv", index=False)
    Path("runs/rsm/figures").mkdir()
    Image.new("RGB", (9, 9)).save("runs/rsm/figures/density.png")  # a layer may be called so
    training = pd.DataFrame(
        {"architecture": ["resnet10"], "dataset": "scenes", "epochs": 2, "seed": 0, "val_loss": 1.0}
    )
    write_run(Path("runs/train"), "training", training.assign(val_accuracy=0.75, chance=0.25), label="Net")
    html = page_of(semrsm)
    page = Page(html)
    assert page.says("Batch-Optimal reaches 98.0 to 98.0 % of the optimum.")
    assert page.says("batch_optimal(64)")
    assert page.says("0.750")
    data = [json.loads(text) for text in re.findall(r'application/json">(.*?)</script>', html)]
    (choice,) = data[0]["choices"]
    assert choice["values"] == (np.eye(3) + 0.25).tolist()
    assert (choice["low"], choice["high"]) == (0.225, 0.275), "an image with itself takes no part in the colours"
    assert data[0]["row_names"] == ["cat.jpg", "dog.jpg", "1"]
    assert page.says("RSM density, Net")
    assert {"matching", "rsm", "training"} <= set(page.ids)
