"""Runs for the tests of report's page: the whole paper's numbers with noise, and names that a page must not obey."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd

from semrsm_cli.report.paper import printed_numbers

HALF_WIDTH = 0.02
HOSTILE = ["<script>alert(1)</script>", "{{ 7 * 7 }}", "\"quoted\" & 'so'", "</script><b>x", "a%20b/../c"]


def write_whole_paper(folder: Path, *, noise: float = 0.02, seed: int = 0) -> pd.Series:
    """Runs with the paper's numbers, each moved a little; returns the verdict on each by hand, by table and verdict."""
    printed = printed_numbers()
    moved = np.random.default_rng(seed).uniform(-noise, noise, len(printed)) * np.where(printed["table"] == 5, 50, 1)
    width = np.where(printed["table"] == 5, 50, 1) * HALF_WIDTH / 2
    rows = printed.assign(ours=printed["printed"] + moved, low=printed["printed"] + moved - width)
    rows["high"] = rows["ours"] + width
    for (table, model), of_model in rows.groupby(["table", "model"], sort=False):
        name, frame = _as_task(int(table), of_model.assign(model=model))
        write_run(folder / f"{name}_{table}_{model}".replace("/", "_"), name, frame, label=str(model))
    agrees = (np.abs(moved) <= width) | (np.abs(moved) <= printed["rounding"] * (1 + 1e-9))
    verdicts = pd.Series(np.where(agrees, "agrees", "differs"))
    return verdicts.groupby([printed["table"], verdicts]).size()


def write_run(path: Path, name: str, frame: pd.DataFrame, *, label: str, **settings: object) -> None:
    """A finished run with one table."""
    (path / "tables").mkdir(parents=True)
    frame.to_csv(path / "tables" / f"{name}.csv", index=False)
    facts = {
        "command": [f"semrsm {name}", f"model.label={label}"],
        "settings": {"model.label": label, "matching.method": "batch_optimal", "centering": "sample"} | settings,
        "stages": {"images": 1, "representations": 1, "matching": 1, "measures": 1},
        "seed": 0,
        "versions": {"semrsm": "0.1.0", "torch": "2.14.1"},
        "seconds": {"total": 12.5},
    }
    (path / "run.json").write_text(json.dumps(facts))


def _as_task(table: int, rows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The rows as the task that makes a table writes them."""
    if table in (2, 3):
        names = {"ours": "at_1", "low": "ci_low", "high": "ci_high", "size": "n_database", "printed": "paper"}
        dataset, metric = ("egoobjects", "count_f1") if table == 2 else ("cityscapes", "presence_iou")
        frame = rows.rename(columns=names).assign(
            dataset=dataset, metric=metric, n_queries=2000, matching="batch_optimal", difference_low=0.01
        )
        return "retrieval", frame.assign(difference_high=0.03)
    if table == 5:
        names = {"ours": "percent_of_optimal", "low": "percent_low", "high": "percent_high", "size": "positions"}
        parts = rows["method"].str.extract(r"(?P<method>\w+)(?:\((?P<batch>\d+)\))?")
        frame = rows.rename(columns=names | {"printed": "paper_percent"}).assign(
            method=parts["method"], batch=parts["batch"].astype(float), dataset="tiny_imagenet", layer="layer1"
        )
        return "matching", frame.assign(n_exact=np.nan, n_pairs=100, seconds_mean=0.004, paper_seconds=0.005)
    keys = ["model", "kernel", "invariance", "size"]
    wide = []
    for statistic in ("pearson", "spearman"):
        names = {"ours": statistic, "low": f"{statistic}_low", "high": f"{statistic}_high"}
        of_statistic = rows[rows["statistic"] == statistic].rename(columns=names | {"printed": f"paper_{statistic}"})
        wide.append(of_statistic.set_index(keys)[[*names.values(), f"paper_{statistic}"]])
    frame = pd.concat(wide, axis=1).reset_index().rename(columns={"size": "n_samples"})
    return "correlation", frame.assign(dataset="imagenet", matching="batch_optimal")


class Page(HTMLParser):
    """What a page says: its text without scripts and styles, its tables by id, verdicts in their cells, addresses."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.verdicts: dict[str, list[str]] = {}
        self._table, self._silent, self._verdict = "", 0, False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href")]
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "div" and given.get("class") == "table":
            self._table = str(given["id"])
        self._silent += tag in ("script", "style")
        self._verdict = tag == "small" and "verdict" in str(given.get("class"))

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self.text.append(data)
        if self._verdict:
            self.verdicts.setdefault(self._table, []).append(data)
            self._verdict = False

    def says(self, text: str) -> bool:
        """Whether a text stands on the page."""
        return text in " ".join(" ".join(self.text).split())
