"""`semrsm correlate`: do similar representations mean similar predictions? (Section 4.3, Appendix E)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli.config import CorrelateConfig
from semrsm_cli.config.identity import identifying_settings
from semrsm_cli.errors import SemrsmError
from semrsm_cli.measures.agreement import correlation_interval, pearson, permutation_test, softmax
from semrsm_cli.measures.pairs import Rows
from semrsm_cli.pipeline.grams import Comparison, gram_in_store, matching_name
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report import paper
from semrsm_cli.report.figures.correlate import Density, density_figure, depth_figure, intervals_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Gram, Invariance, Kernel, KernelRows, median_sigma_by_rows
from semrsm_cli.tasks.correlate.pairs import divergences, ranks_on_disk, sample_pairs, symmetric
from semrsm_cli.tasks.correlate.predictions import Predicted, of_files, of_model

__all__ = ["correlate"]

_SAME_PREDICTION = 1e-9  # nats; what rounding makes of one image in two forward passes
_PRINTED_WITHOUT_SIGN = 0.176  # in Table 1: ResNet18, rbf, none
_ARGUMENT = {"x": "similarity", "y": "divergence"}  # what the measures call them
_STATISTICS = ("pearson", "spearman")


@dataclass(frozen=True)
class _Ranked:
    """A similarity or divergence of all pairs [n, n], and the pairs' ranks."""

    values: Rows
    ranks: Rows


def correlate(config: CorrelateConfig, folder: RunFolder) -> pd.DataFrame:
    """Correlate similarities with the divergence of predictions: one row a kernel and invariance of the last layer."""
    predicted = of_model(config, folder) if config.x is None else of_files(config, folder)
    with folder.timed("diverge"):
        divergence = _divergence_of(predicted, config)
    rows, tests, densities = [], [], []
    for layer in predicted.layers:
        is_last = layer is predicted.layers[-1]
        for name, similarities in _similarities_of(layer, config, folder):
            for invariance, similarity in similarities.items():
                with folder.timed("correlate"), _naming_layer(layer.name, f"{name}, {invariance}"):
                    rows.append(_row(layer, name, invariance, similarity, divergence, config))
                if is_last:
                    densities.append(_density(name, invariance, similarity, divergence))
                if is_last and config.arrays:
                    folder.array(f"{name}_{invariance}", symmetric(similarity.values))
            if is_last:
                with folder.timed("test"), _naming_layer(layer.name, str(name)):
                    tests += _compare(name, similarities, divergence, config)
    if config.arrays:
        folder.array("divergence", symmetric(divergence.values))
    table = _write(predicted, pd.DataFrame(rows), pd.DataFrame(tests), densities, config, folder)
    return _summarize(table, pd.DataFrame(tests))


def _divergence_of(predicted: Predicted, config: CorrelateConfig) -> _Ranked:
    """Jensen-Shannon divergence of all pairs of predictions.

    Raises:
        SemrsmError: All images are predicted alike.
    """
    values = divergences(softmax(predicted.logits), config.runtime.threads)
    # alike to the first is alike to each other; and it is the first row of a matrix that may not fit the memory
    largest = float(values[0:1].max())
    if largest < _SAME_PREDICTION:
        raise SemrsmError(
            f"all {len(predicted.ids)} images get the same prediction (largest divergence {largest:.1g} nats), "
            "so nothing can correlate with it; give images that differ, and a trained classifier"
        )
    return _Ranked(values, ranks_on_disk(values, config.runtime.threads))


def _similarities_of(
    layer: Layer, config: CorrelateConfig, folder: RunFolder
) -> Iterator[tuple[Kernel, dict[Invariance, _Ranked]]]:
    """For each kernel the similarities under every invariance; all kernels come from one matching."""
    compared = Comparison.within(layer, config.centering)
    grams = {}
    for invariance in config.invariances:
        with folder.timed(f"match {invariance}"):
            grams[invariance] = gram_in_store(
                compared, invariance, config.matching, config.runtime, folder, in_memory=False
            )
    for name in config.kernels:
        yield name, {invariance: _rank(g, name, config) for invariance, g in grams.items()}


def _rank(g: Gram, name: Kernel, config: CorrelateConfig) -> _Ranked:
    """The RSM of a kernel, and the ranks of its pairs; its sigma is the same for all rows."""
    sigma = config.sigma
    if name is Kernel.rbf and config.sigma_tile is None:
        sigma = sigma or median_sigma_by_rows(g)
    similarity = KernelRows(g, name, sigma=sigma, sigma_tile=config.sigma_tile)
    return _Ranked(similarity, ranks_on_disk(similarity, config.runtime.threads))


def _row(
    layer: Layer,
    name: Kernel,
    invariance: Invariance,
    similarity: _Ranked,
    divergence: _Ranked,
    config: CorrelateConfig,
) -> dict[str, Any]:
    """Both correlations of one similarity, with their intervals over images."""
    columns: dict[str, Any] = {
        "layer": layer.name,
        "positions": layer.x.shape[1],
        "channels": layer.x.shape[2],
        "kernel": str(name),
        "invariance": str(invariance),
        "matching": matching_name(invariance, config.matching),
    }
    for statistic, x, y in _statistics(similarity, divergence):
        columns[statistic] = pearson(x, y)
        interval = (np.nan, np.nan)
        if config.n_resamples:
            interval = correlation_interval(x, y, n_resamples=config.n_resamples, seed=config.seed)
        columns[f"{statistic}_low"], columns[f"{statistic}_high"] = interval
    return columns


def _statistics(similarity: _Ranked, divergence: _Ranked) -> list[tuple[str, Rows, Rows]]:
    """Pearson's correlation is that of the values, Spearman's that of the ranks."""
    return [("pearson", similarity.values, divergence.values), ("spearman", similarity.ranks, divergence.ranks)]


def _compare(
    name: Kernel, similarities: dict[Invariance, _Ranked], divergence: _Ranked, config: CorrelateConfig
) -> list[dict[str, Any]]:
    """Is `permutation` correlated otherwise than `none`? One row a statistic, where both were asked for."""
    semantic, plain = (similarities.get(invariance) for invariance in (Invariance.permutation, Invariance.none))
    if semantic is None or plain is None or not config.n_permutations:
        return []
    rows = []
    for (statistic, x, y), (_, baseline, _) in zip(
        _statistics(semantic, divergence), _statistics(plain, divergence), strict=True
    ):
        test = permutation_test(x, baseline, y, n_permutations=config.n_permutations, seed=config.seed)
        rows.append(
            {
                "kernel": str(name),
                "statistic": statistic,
                "difference": test.difference,
                "p_value": test.p_value,
                "n_permutations": config.n_permutations,
            }
        )
    return rows


def _density(name: Kernel, invariance: Invariance, similarity: _Ranked, divergence: _Ranked) -> Density:
    """How many pairs have which similarity and divergence."""
    return Density.of(str(name), str(invariance), sample_pairs(similarity.values), sample_pairs(divergence.values))


@contextmanager
def _naming_layer(layer: str, what: str) -> Iterator[None]:
    """Say of which layer and kernel or invariance an error of the arrays speaks."""
    try:
        yield
    except ValueError as error:
        subject, _, fact = str(error).partition(" ")
        raise SemrsmError(f"{layer} ({what}): {_ARGUMENT.get(subject, subject)} {fact}") from error


def _write(
    predicted: Predicted,
    rows: pd.DataFrame,
    tests: pd.DataFrame,
    densities: list[Density],
    config: CorrelateConfig,
    folder: RunFolder,
) -> pd.DataFrame:
    """Write tables and figures; `correlation` is of the last layer, `depth` of all."""
    rows.insert(0, "model", predicted.name)
    rows.insert(1, "dataset", predicted.dataset)
    rows.insert(2, "n_samples", len(predicted.ids))
    last = predicted.layers[-1]
    of_last = rows[rows["layer"] == last.name].drop(columns=["layer", "positions", "channels"])
    table = _join_paper(of_last.reset_index(drop=True), identifying_settings(config), last.x.shape[1])
    folder.data("images", pd.DataFrame({"image": predicted.ids}))
    folder.table("correlation", table, note=_note_on(table))
    if len(tests):
        folder.table("tests", tests)
    folder.data("density", pd.concat([density.table() for density in densities], ignore_index=True))
    folder.figure("density", density_figure(densities, table))
    folder.figure("intervals", intervals_figure(table))
    if len(predicted.layers) > 1:
        folder.table("depth", rows)
        folder.figure("depth", depth_figure(rows))
    folder.note(
        layer=last.name,
        positions=last.x.shape[1],
        channels=last.x.shape[2],
        centering=str(config.centering),
        sigma=config.sigma or "median",
        sigma_tile=config.sigma_tile,
        image_order=str(config.image_order),
        seed=config.seed,
    )
    return table


def _join_paper(table: pd.DataFrame, settings: Mapping[str, Any], positions: int) -> pd.DataFrame:
    """The table with the paper's numbers where it prints some for the same model, images, kernel and invariance."""
    columns = {statistic: f"paper_{statistic}" for statistic in _STATISTICS}
    number, is_matched_so = paper.table_printed_for(1, 4, settings=settings, positions=positions)
    if number is None:
        return table.assign(**dict.fromkeys(columns.values(), np.nan))
    keys = ["model", "kernel", "invariance"]
    theirs = paper.paper_table(number)
    if "statistic" in theirs:
        theirs = theirs.pivot(index=keys, columns="statistic", values="value").reset_index()
    if not is_matched_so:
        theirs = theirs[theirs["invariance"] != str(Invariance.permutation)]
    return paper.join_paper(table, theirs.reindex(columns=[*keys, *_STATISTICS]), on=keys, columns=columns)


def _note_on(table: pd.DataFrame) -> str:
    """What is to be said of the paper's numbers in the table."""
    printed = table.set_index(["model", "kernel", "invariance"])["paper_pearson"]
    doubtful = printed.get(("ResNet18", "rbf", "none")) == _PRINTED_WITHOUT_SIGN
    return paper.NOTES[1] if doubtful else ""


def _summarize(table: pd.DataFrame, tests: pd.DataFrame) -> pd.DataFrame:
    """The table for a terminal: intervals as text, and how likely chance alone makes `permutation` differ so."""
    shown = table[["model", "dataset", "n_samples", "kernel", "invariance"]].copy()
    for statistic in _STATISTICS:
        shown[statistic] = table[statistic]
        ends = zip(table[f"{statistic}_low"], table[f"{statistic}_high"], strict=True)
        shown[f"{statistic}_95%"] = ["" if np.isnan(low) else f"[{low:.3f}, {high:.3f}]" for low, high in ends]
        if table[f"paper_{statistic}"].notna().any():
            shown[f"paper_{statistic}"] = table[f"paper_{statistic}"]
    if len(tests):
        of_pearson = tests[tests["statistic"] == "pearson"].set_index("kernel")["p_value"]
        p_values = shown["kernel"].map(of_pearson)
        shown["p"] = p_values.where(shown["invariance"] == str(Invariance.permutation))
    return shown
