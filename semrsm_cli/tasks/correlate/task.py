"""`semrsm correlate`: do similar representations mean similar predictions? (Section 4.3, Appendix E)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli.config import CorrelateConfig
from semrsm_cli.config.identity import identifying_settings
from semrsm_cli.errors import SemrsmError
from semrsm_cli.measures.agreement import softmax
from semrsm_cli.pipeline.grams import Comparison, gram_in_store, matching_name
from semrsm_cli.pipeline.rearrangements import (
    MOVEMENT,
    Rearrangement,
    informative,
    movement_columns,
    rearrangements,
)
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report import paper
from semrsm_cli.report.figures.correlate import Density, density_figure, depth_figure, intervals_figure
from semrsm_cli.report.figures.locality import locality_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Gram, Invariance, Kernel, KernelRows, median_sigma_by_rows
from semrsm_cli.tasks.correlate.pairs import divergences, ranks_on_disk, sample_pairs, symmetric
from semrsm_cli.tasks.correlate.predictions import Predicted, of_files, of_model
from semrsm_cli.tasks.correlate.statistics import (
    STATISTICS,
    Agreement,
    Ranked,
    Target,
    compare,
    note_on_tests,
    with_holm,
)

__all__ = ["correlate"]

_SAME_PREDICTION = 1e-9  # nats; what rounding makes of one image in two forward passes
_PRINTED_WITHOUT_SIGN = 0.176  # in Table 1: ResNet18, rbf, none
_ARGUMENT = {"x": "similarity", "y": "divergence"}  # what the measures call them


@dataclass(frozen=True)
class _Results:
    """Rows of the correlations of all layers, and of the last one the tests and densities."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    tests: list[dict[str, Any]] = field(default_factory=list)
    densities: list[Density] = field(default_factory=list)


def correlate(config: CorrelateConfig, folder: RunFolder) -> pd.DataFrame:
    """Correlate similarities with the divergence of predictions: one row a kernel and invariance of the last layer."""
    predicted = of_model(config, folder) if config.x is None else of_files(config, folder)
    with folder.timed("diverge"):
        divergence = _divergence_of(predicted, config)
    results = _Results()
    for layer in predicted.layers:
        is_last = layer is predicted.layers[-1]
        compared = Comparison.within(layer, config.centering)
        wanted = rearrangements(config.invariances, config.locality)
        movement = {moved: movement_columns(compared, moved, config.matching) for moved in wanted}
        for name, similarities in _similarities_of(compared, wanted, config, folder):
            agreements = {}
            for moved, similarity in similarities.items():
                with folder.timed("correlate"), _naming_layer(layer.name, f"{name}, {moved}"):
                    agreements[moved] = Agreement.of(similarity, divergence, config)
                    row = _row(layer, name, moved.invariance, agreements[moved], config)
                    results.rows.append(row | movement[moved])
                if is_last and not moved.locality:
                    results.densities.append(_density(name, moved.invariance, similarity, divergence))
                if is_last and config.arrays:
                    folder.array(f"{name}_{moved}", symmetric(similarity.values))
            if is_last:
                with folder.timed("test"), _naming_layer(layer.name, str(name)):
                    results.tests.extend(_tests(name, agreements, divergence, config))
    if config.arrays:
        folder.array("divergence", symmetric(divergence.values))
    return _summarize(*_write(predicted, results, divergence, config, folder))


def _divergence_of(predicted: Predicted, config: CorrelateConfig) -> Target:
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
    return Target(values, ranks_on_disk(values, config.runtime.threads), predicted.groups)


def _similarities_of(
    compared: Comparison, wanted: Sequence[Rearrangement], config: CorrelateConfig, folder: RunFolder
) -> Iterator[tuple[Kernel, dict[Rearrangement, Ranked]]]:
    """For each kernel the similarities under every invariance; all kernels come from one matching."""
    grams = {}
    for moved in wanted:
        with folder.timed(f"match {moved}"):
            grams[moved] = gram_in_store(
                compared,
                moved.invariance,
                config.matching,
                config.runtime,
                folder,
                locality=moved.locality,
                in_memory=False,
            )
    for name in config.kernels:
        yield name, {moved: _rank(g, name, config) for moved, g in grams.items()}


def _rank(g: Gram, name: Kernel, config: CorrelateConfig) -> Ranked:
    """The RSM of a kernel, and the ranks of its pairs; its sigma is the same for all rows."""
    sigma = config.sigma
    if name is Kernel.rbf and config.sigma_tile is None:
        sigma = sigma or median_sigma_by_rows(g)
    similarity = KernelRows(g, name, sigma=sigma, sigma_tile=config.sigma_tile)
    return Ranked(similarity, ranks_on_disk(similarity, config.runtime.threads))


def _row(
    layer: Layer, name: Kernel, invariance: Invariance, agreement: Agreement, config: CorrelateConfig
) -> dict[str, Any]:
    """Both correlations of one similarity, with their intervals over images or groups of images."""
    return {
        "layer": layer.name,
        "positions": layer.x.shape[1],
        "channels": layer.x.shape[2],
        "kernel": str(name),
        "invariance": str(invariance),
        "matching": matching_name(invariance, config.matching),
        **agreement.columns(),
    }


def _tests(
    name: Kernel, agreements: dict[Rearrangement, Agreement], divergence: Target, config: CorrelateConfig
) -> list[dict[str, Any]]:
    """Is `permutation` correlated otherwise than `none`? One row a statistic, where both were asked for."""
    semantic, plain = (agreements.get(Rearrangement(one)) for one in (Invariance.permutation, Invariance.none))
    if semantic is None or plain is None or not (config.n_permutations or config.n_resamples):
        return []
    return [{"kernel": str(name), **row} for row in compare(semantic, plain, divergence, config)]


def _density(name: Kernel, invariance: Invariance, similarity: Ranked, divergence: Ranked) -> Density:
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
    predicted: Predicted, results: _Results, divergence: Target, config: CorrelateConfig, folder: RunFolder
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write tables and figures; `correlation` is of the last layer, `depth` of all. Returns it and the tests."""
    rows, tests = pd.DataFrame(results.rows), with_holm(pd.DataFrame(results.tests))
    rows.insert(0, "model", predicted.name)
    rows.insert(1, "dataset", predicted.dataset)
    rows.insert(2, "n_samples", len(predicted.ids))
    last = predicted.layers[-1]
    of_last = rows[rows["layer"] == last.name].drop(columns=["layer", "positions", "channels"])
    table = _join_paper(of_last.reset_index(drop=True), identifying_settings(config), last.x.shape[1])
    statistics = [f"paper_{statistic}" for statistic in STATISTICS]
    table[statistics] = table[statistics].where(~(table["locality"] > 0))
    table = table.assign(n_groups=divergence.n_groups, layer=last.name, centering=str(config.centering))
    table = _movement_last(table)
    own = table[~(table["locality"] > 0)]
    folder.data("images", pd.DataFrame({"image": predicted.ids}))
    resampled = divergence.resampled if config.n_resamples else ""
    folder.table("correlation", table, note=_note_on(own, resampled))
    if len(tests):
        folder.table("tests", tests, note=note_on_tests(tests, divergence))
    folder.data("density", pd.concat([density.table() for density in results.densities], ignore_index=True))
    folder.figure("density", density_figure(results.densities, own, resampled=resampled))
    folder.figure("intervals", intervals_figure(own, tests, resampled=resampled))
    if len(predicted.layers) > 1:
        folder.table("depth", _movement_last(rows.assign(n_groups=divergence.n_groups)))
        folder.figure("depth", depth_figure(rows[~(rows["locality"] > 0)], resampled=resampled))
    if len(own) < len(table):
        figure = locality_figure(
            table,
            value="pearson",
            label="Pearson's $r$ with the\ndivergence of predictions",
            series="kernel",
            title=f"{predicted.name}, {last.name}",
            interval=("pearson_low", "pearson_high") if resampled else (),
        )
        folder.figure("locality", figure)
    folder.note(
        layer=last.name,
        positions=last.x.shape[1],
        channels=last.x.shape[2],
        centering=str(config.centering),
        sigma=config.sigma or "median",
        sigma_tile=config.sigma_tile,
        image_order=str(config.image_order),
        seed=config.seed,
        resampled=resampled,
    )
    return table, tests


def _movement_last(table: pd.DataFrame) -> pd.DataFrame:
    """The table with what tells how positions moved as its last columns."""
    return table[[*table.columns.drop(list(MOVEMENT)), *MOVEMENT]]


def _join_paper(table: pd.DataFrame, settings: Mapping[str, Any], positions: int) -> pd.DataFrame:
    """The table with the paper's numbers where it prints some for the same model, images, kernel and invariance."""
    columns = {statistic: f"paper_{statistic}" for statistic in STATISTICS}
    number, is_matched_so = paper.table_printed_for(1, 4, settings=settings, positions=positions)
    if number is None:
        return table.assign(**dict.fromkeys(columns.values(), np.nan))
    keys = ["model", "kernel", "invariance"]
    theirs = paper.paper_table(number)
    if "statistic" in theirs:
        theirs = theirs.pivot(index=keys, columns="statistic", values="value").reset_index()
    if not is_matched_so:
        theirs = theirs[theirs["invariance"] != str(Invariance.permutation)]
    return paper.join_paper(table, theirs.reindex(columns=[*keys, *STATISTICS]), on=keys, columns=columns)


def _note_on(table: pd.DataFrame, resampled: str) -> str:
    """What is to be said of the intervals and of the paper's numbers in the table."""
    printed = table.set_index(["model", "kernel", "invariance"])["paper_pearson"]
    doubtful = printed.get(("ResNet18", "rbf", "none")) == _PRINTED_WITHOUT_SIGN
    notes = [f"Intervals: 95 % over {resampled}." if resampled else "", paper.NOTES[1] if doubtful else ""]
    return " ".join(filter(None, notes))


def _summarize(table: pd.DataFrame, tests: pd.DataFrame) -> pd.DataFrame:
    """The table for a terminal: intervals as text, and Holm's p-value of the difference of `permutation` and `none`."""
    told = informative(table[list(MOVEMENT)]).columns
    shown = table[["model", "dataset", "n_samples", "n_groups", "kernel", "invariance", *told]].copy()
    for statistic in STATISTICS:
        shown[statistic] = table[statistic]
        ends = zip(table[f"{statistic}_low"], table[f"{statistic}_high"], strict=True)
        shown[f"{statistic}_95%"] = ["" if np.isnan(low) else f"[{low:.3f}, {high:.3f}]" for low, high in ends]
        if table[f"paper_{statistic}"].notna().any():
            shown[f"paper_{statistic}"] = table[f"paper_{statistic}"]
    if len(tests) and tests["p_holm"].notna().any():
        of_pearson = tests[tests["statistic"] == "pearson"].set_index("kernel")["p_holm"]
        p_values = shown["kernel"].map(of_pearson)
        is_own = (table["invariance"] == str(Invariance.permutation)) & (table["locality"] == 0)
        shown["p_holm"] = p_values.where(is_own)
    return shown
