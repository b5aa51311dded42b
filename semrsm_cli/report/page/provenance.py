"""How results were made: runs, what differs between them, machines and versions, and a paragraph of methods."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from semrsm_cli.report.differences import settings_table, value_text
from semrsm_cli.report.page.content import ResultTable
from semrsm_cli.report.page.results import Results, command_of
from semrsm_cli.report.page.tables import plain_table
from semrsm_cli.report.runs import TABLES, Run

__all__ = ["CITATIONS", "differences_tables", "methods_text", "run_details", "runs_table"]

CITATIONS = """@inproceedings{wald2024decoupling,
  title     = {Decoupling Semantic Similarity from Spatial Alignment for Neural Networks},
  author    = {Wald, Tassilo and Ulrich, Constantin and Köhler, Gregor and Zimmerer, David and Denner, Stefan and
               Baumgartner, Michael and Isensee, Fabian and Jaini, Priyank and Maier-Hein, Klaus H.},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2024}
}"""
_TASKS = {
    "retrieval": "retrieve",
    "correlation": "correlate",
    "matching": "bench",
    "separation": "translate",
    "cka": "cka",
    "rsm": "rsm",
    "training": "train",
}
_CENTRING = {
    "none": "none",
    "sample": "less their mean over the images, per position and channel",
    "channel": "less their mean over images and positions, per channel",
}
_FACTS = ("versions", "stages", "machine", "seconds", "peak_memory_mib", "hosts", "settings_hash", "image_ids_hash")


def runs_table(results: Results) -> ResultTable:
    """The finished runs: what, on what, seed, how long, with which version."""
    rows = [
        {
            "run": run.path.as_posix(),
            "task": ", ".join(_TASKS.get(name, name) for name in run.tables),
            "network": results.label_of(run),
            "images": results.dataset_of(run),
            "seed": str(run.seed),
            "seconds": float(_fact(run, "seconds", "total") or "nan"),
            "semrsm": str(_fact(run, "versions", "semrsm") or ""),
        }
        for run in sorted(results.runs, key=lambda run: (_order(run), run.path.as_posix()))
    ]
    return plain_table(pd.DataFrame(rows), id="runs", caption="Runs that this report puts together")


def differences_tables(results: Results) -> Iterator[ResultTable]:
    """For each task whose runs were not all made alike the settings in which they differ."""
    for name in TABLES:
        runs = results.runs_of(name)
        if len({run.identity for run in runs}) < 2:
            continue
        told = settings_table([(run.path.as_posix(), run.seed, run.identity) for run in runs], results.settings)
        told = told.drop(columns="settings").rename(columns={"run": "run"}).astype(str)
        note = "Their numbers stand side by side; a mean is taken over seeds alone."
        caption = f"What differs between the runs of semrsm {_TASKS.get(name, name)}"
        yield plain_table(told, id=f"differences-{name}", caption=caption, note=note)


def run_details(results: Results) -> list[dict[str, Any]]:
    """For each run its command and what its run.json tells of machine, versions, hashes and times."""
    return [
        {
            "path": run.path.as_posix(),
            "command": command_of(run),
            "facts": {
                name: _lines(run.facts[name])
                for name in (*_FACTS, *(key for key in run.facts if key.split(" ")[0] == "network"))
                if name in run.facts
            },
        }
        for run in sorted(results.runs, key=lambda run: (_order(run), run.path.as_posix()))
    ]


def methods_text(results: Results) -> str:
    """A paragraph to copy into a paper, from what the runs say of themselves."""
    networks = _all(run.settings.get("model.label") for run in results.runs)
    images = _all(results.dataset_of(run) or None for run in results.runs)
    methods = _all(run.settings.get("matching.method") for run in results.runs)
    centring = _all(run.settings.get("centering") for run in results.runs)
    seeds = _all(run.seed for run in results.runs)
    packages = _all(_fact(run, "versions", "semrsm") for run in results.runs)
    torch = _all(_fact(run, "versions", "torch") for run in results.runs)
    parts = [
        "Representations of "
        + (_listing(networks) or "the networks")
        + (f" for images of {_listing(images)}" if images else "")
        + " were compared position by position (spatio-semantic similarity) and after the permutation of positions "
        "that maximises their inner product (semantic similarity; Wald et al., 2024)."
    ]
    if methods:
        exact = "to within a certified relative gap of 1e-4 of the optimum"
        parts.append(
            f"The assignment was solved {exact}."
            if methods == ["optimal"]
            else f"Methods of matching: {_listing(methods)}."
        )
    if centring:
        parts.append(f"Centring of the representations: {_listing([_CENTRING.get(name, name) for name in centring])}.")
    parts.append(
        "Intervals are 95 % percentile intervals of a bootstrap over groups of related images; p-values are of "
        "permutation tests, adjusted by Holm's method."
    )
    parts.append(
        f"All was computed with semrsm {_listing(packages) or '(version unknown)'}"
        + (f" and PyTorch {_listing(torch)}" if torch else "")
        + f", {'seeds' if len(seeds) > 1 else 'seed'} {_listing(seeds)}."
    )
    return " ".join(parts)


def _order(run: Run) -> int:
    """The place of a run's first table among all."""
    return min((list(TABLES).index(name) for name in run.tables), default=len(TABLES))


def _fact(run: Run, name: str, key: str) -> Any:
    """A fact within a fact of run.json; None where there is none."""
    facts = run.facts.get(name)
    return facts.get(key) if isinstance(facts, dict) else None


def _all(values: Any) -> list[str]:
    """The different values that there are, in order."""
    return sorted({value_text(value) for value in values if value is not None}, key=lambda text: (len(text), text))


def _listing(words: Sequence[str]) -> str:
    """Words as one says them: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def _lines(value: Any) -> str:
    """A fact on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {value_text(one)}" for name, one in sorted(value.items()))
    return value_text(value)
