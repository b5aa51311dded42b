"""`semrsm correlate`: do similar representations mean similar predictions? (Section 4.3, Appendix E)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli.config import POOLED, CorrelateConfig
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.measures.agreement import correlation_interval, pearson, permutation_test, softmax
from semrsm_cli.measures.pairs import Rows
from semrsm_cli.report import paper
from semrsm_cli.report.figures.correlate import Density, density_figure, depth_figure, intervals_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Centered, Invariance, Kernel, Representations, forecast, mean
from semrsm_cli.tasks.correlate_pairs import (
    InnerProducts,
    Similarity,
    divergences,
    inner_products,
    median_sigma,
    ranks_on_disk,
    sample_pairs,
    symmetric,
)
from semrsm_cli.tasks.correlate_sources import Layer, Predicted, given, of_model
from semrsm_cli.tasks.retrieve_ranking import pooled
from semrsm_cli.tasks.rsm import foretell, matching_name, matching_options

__all__ = ["correlate"]

SAME_PREDICTION = 1e-9  # nats; what rounding makes of one image in two forward passes
PAPER_TABLE = {2000: 1, 20000: 4}  # images of ImageNet
PRINTED_WITHOUT_SIGN = 0.176  # in Table 1: ResNet18, rbf, none
ARGUMENT = {"x": "similarity", "y": "divergence"}  # what the measures call them
STATISTICS = ("pearson", "spearman")


@dataclass(frozen=True)
class Ranked:
    """A similarity or divergence of all pairs [n, n], and the pairs' ranks."""

    values: Rows
    ranks: Rows


def correlate(config: CorrelateConfig, folder: RunFolder) -> pd.DataFrame:
    """Correlate similarities with the divergence of predictions: one row a kernel and invariance of the last layer."""
    predicted = of_model(config, folder) if config.x is None else given(config, folder)
    with folder.timed("diverge"):
        divergence = divergence_of(predicted, config)
    rows, tests, densities = [], [], []
    for layer in predicted.layers:
        is_last = layer is predicted.layers[-1]
        for name, similarities in similarities_of(layer, config, folder):
            for invariance, similarity in similarities.items():
                with folder.timed("correlate"), naming(layer.name, f"{name}, {invariance}"):
                    rows.append(row(layer, name, invariance, similarity, divergence, config))
                if is_last:
                    densities.append(density(name, invariance, similarity, divergence))
                if is_last and config.arrays:
                    folder.array(f"{name}_{invariance}", symmetric(similarity.values))
            if is_last:
                with folder.timed("test"), naming(layer.name, str(name)):
                    tests += compare(name, similarities, divergence, config)
    if config.arrays:
        folder.array("divergence", symmetric(divergence.values))
    table = write(predicted, pd.DataFrame(rows), pd.DataFrame(tests), densities, config, folder)
    return gist(table, pd.DataFrame(tests))


def divergence_of(predicted: Predicted, config: CorrelateConfig) -> Ranked:
    """Jensen-Shannon divergence of all pairs of predictions.

    Raises:
        SemrsmError: All images are predicted alike.
    """
    values = divergences(softmax(predicted.logits), config.runtime.workers)
    # alike to the first is alike to each other; and it is the first row of a matrix that may not fit the memory
    largest = float(values[0:1].max())
    if largest < SAME_PREDICTION:
        raise SemrsmError(
            f"all {len(predicted.ids)} images get the same prediction (largest divergence {largest:.1g} nats), "
            "so nothing can correlate with it; give images that differ, and a trained classifier"
        )
    return Ranked(values, ranks_on_disk(values, config.runtime.workers))


def similarities_of(
    layer: Layer, config: CorrelateConfig, folder: RunFolder
) -> Iterator[tuple[Kernel, dict[str, Ranked]]]:
    """For each kernel the similarities under every invariance; all kernels come from one matching."""
    centered = Centered(layer.x, mean(layer.x, config.centering))
    inner = {}
    for invariance in config.invariances:
        with folder.timed(f"match {invariance}"), naming(layer.name, invariance):
            inner[invariance] = matched(layer, centered, invariance, config, folder)
    for name in config.kernels:
        yield name, {invariance: ranked(products, name, config) for invariance, products in inner.items()}


def matched(
    layer: Layer, centered: Centered, invariance: str, config: CorrelateConfig, folder: RunFolder
) -> InnerProducts:
    """Inner products of all pairs of one layer's images; tells beforehand what takes long."""
    settings: dict[str, Any] = {"representation": layer.key, "centering": str(config.centering)}
    x: Representations = centered
    if invariance == POOLED:
        x, settings["pooled"] = pooled(centered), True
    rule = Invariance.none if invariance == POOLED else Invariance(invariance)
    if rule is Invariance.translation and layer.grid is None:
        raise ConfigError(
            f"invariances holds translation, which needs a CNN's map; leave it out for layer {layer.name}"
        )
    options = matching_options(config.matching) | {
        "grid": layer.grid,
        "workers": config.runtime.workers,
        "memory_gib": config.runtime.memory_gib,
    }
    step = f"{invariance} {layer.name}"
    if rule is not Invariance.none:
        cost = forecast(x, invariance=rule, **options)
        folder.note(forecast_seconds=folder.facts.get("forecast_seconds", {}) | {step: round(cost.seconds, 3)})
        foretell(step, cost)
    align = config.sigma_tile or 1
    return inner_products(x, rule, settings, align=align, name=step, **options)


def ranked(inner: InnerProducts, name: Kernel, config: CorrelateConfig) -> Ranked:
    """The RSM of a kernel; its sigma is the same for all rows."""
    sigma = config.sigma
    if name is Kernel.rbf and config.sigma_tile is None:
        sigma = sigma or median_sigma(inner)
    similarity = Similarity(inner, name, sigma=sigma, sigma_tile=config.sigma_tile)
    return Ranked(similarity, ranks_on_disk(similarity, config.runtime.workers))


def row(
    layer: Layer, name: Kernel, invariance: str, similarity: Ranked, divergence: Ranked, config: CorrelateConfig
) -> dict[str, Any]:
    """Both correlations of one similarity, with their intervals over images."""
    rule = Invariance.none if invariance == POOLED else Invariance(invariance)
    found: dict[str, Any] = {
        "layer": layer.name,
        "positions": layer.x.shape[1],
        "channels": layer.x.shape[2],
        "kernel": str(name),
        "invariance": invariance,
        "matching": matching_name(rule, config.matching),
    }
    for statistic, x, y in statistics(similarity, divergence):
        found[statistic] = pearson(x, y)
        interval = (np.nan, np.nan)
        if config.n_resamples:
            interval = correlation_interval(x, y, n_resamples=config.n_resamples, seed=config.seed)
        found[f"{statistic}_low"], found[f"{statistic}_high"] = interval
    return found


def statistics(similarity: Ranked, divergence: Ranked) -> list[tuple[str, Rows, Rows]]:
    """Pearson's correlation is that of the values, Spearman's that of the ranks."""
    return [("pearson", similarity.values, divergence.values), ("spearman", similarity.ranks, divergence.ranks)]


def compare(
    name: Kernel, similarities: dict[str, Ranked], divergence: Ranked, config: CorrelateConfig
) -> list[dict[str, Any]]:
    """Is `permutation` correlated otherwise than `none`? One row a statistic, where both were asked for."""
    semantic, plain = (similarities.get(str(rule)) for rule in (Invariance.permutation, Invariance.none))
    if semantic is None or plain is None or not config.n_permutations:
        return []
    rows = []
    for (statistic, x, y), (_, baseline, _) in zip(
        statistics(semantic, divergence), statistics(plain, divergence), strict=True
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


def density(name: Kernel, invariance: str, similarity: Ranked, divergence: Ranked) -> Density:
    """How many pairs have which similarity and divergence."""
    return Density.of(str(name), invariance, sample_pairs(similarity.values), sample_pairs(divergence.values))


@contextmanager
def naming(layer: str, what: str) -> Iterator[None]:
    """Say of which layer and kernel or invariance an error of the arrays speaks."""
    try:
        yield
    except ValueError as error:
        subject, _, fact = str(error).partition(" ")
        raise SemrsmError(f"{layer} ({what}): {ARGUMENT.get(subject, subject)} {fact}") from error


def write(
    predicted: Predicted,
    rows: pd.DataFrame,
    tests: pd.DataFrame,
    densities: list[Density],
    config: CorrelateConfig,
    folder: RunFolder,
) -> pd.DataFrame:
    """Write tables and figures; `correlation` is of the last layer, `depth` of all."""
    rows.insert(0, "model", predicted.model)
    rows.insert(1, "dataset", predicted.dataset)
    rows.insert(2, "n_samples", len(predicted.ids))
    last = predicted.layers[-1]
    of_last = rows[rows["layer"] == last.name].drop(columns=["layer", "positions", "channels"])
    table = with_printed(of_last.reset_index(drop=True))
    folder.data("images", pd.DataFrame({"image": predicted.ids}))
    folder.table("correlation", table, note=note_on(table))
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
        seed=config.seed,
    )
    return table


def with_printed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the paper's numbers where it prints some for the same model, images, kernel and invariance."""
    columns = {statistic: f"paper_{statistic}" for statistic in STATISTICS}
    number = PAPER_TABLE.get(table["n_samples"].iloc[0]) if table["dataset"].iloc[0] == "imagenet" else None
    if number is None:
        return table.assign(**dict.fromkeys(columns.values(), np.nan))
    keys = ["model", "kernel", "invariance"]
    theirs = paper.printed(number)
    if "statistic" in theirs:
        theirs = theirs.pivot(index=keys, columns="statistic", values="value").reset_index()
    return paper.beside(table, theirs.reindex(columns=[*keys, *STATISTICS]), on=keys, columns=columns)


def note_on(table: pd.DataFrame) -> str:
    """What is to be said of the paper's numbers in the table."""
    printed = table.set_index(["model", "kernel", "invariance"])["paper_pearson"]
    doubtful = printed.get(("ResNet18", "rbf", "none")) == PRINTED_WITHOUT_SIGN
    return paper.NOTES[1] if doubtful else ""


def gist(table: pd.DataFrame, tests: pd.DataFrame) -> pd.DataFrame:
    """The table for a terminal: intervals as text, and how likely chance alone makes `permutation` differ so."""
    shown = table[["model", "dataset", "n_samples", "kernel", "invariance"]].copy()
    for statistic in STATISTICS:
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
