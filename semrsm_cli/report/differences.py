"""What differs between runs: the names that tell unlike rows apart, and what each open choice changes."""

import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

__all__ = ["Settings", "label_runs", "sensitivity_table", "settings_table", "value_text"]

Settings = Mapping[str, Mapping[str, Any]]
"""The settings of runs, by their hash."""

_MODELS = {"cka": ["model_a", "model_b"], "rsm": ["array"], "training": ["architecture"]}
"""The columns of a table that name its networks, or what else is compared; else `model`."""
_SHOWN: Mapping[str, frozenset[str]] = {
    "retrieval": frozenset({"dataset.n_database"}),
    "correlation": frozenset({"n_images"}),
}
"""Settings that a table has in columns of its own."""
_ROUNDING = 10  # digits, so that equal numbers differ by 0


def label_runs(rows: pd.DataFrame, name: str, settings: Settings) -> pd.Series:
    """The network of each row of table `name`, and in brackets what tells its run from others of the same network.

    Args:
        rows: Joined rows.
        name: Name of the table.
        settings: The settings that the column `settings` stands for.

    Returns:
        Such as `CLIPSeg` or `CLIPSeg (readout=decoder)`, in the order of the rows.
    """
    models = _MODELS.get(name, ["model"])
    within = [column for column in (*models, "dataset", "metric") if column in rows]
    labels = rows[models[0]].astype(str).copy()
    for _, group in rows.groupby(within, sort=False, dropna=False):
        told = _tell_apart(list(dict.fromkeys(group["settings"])), settings, _SHOWN.get(name, frozenset()))
        for identity, text in told.items():
            if text:
                chosen = group.index[group["settings"] == identity]
                labels[chosen] = labels[chosen] + f" ({text})"
    return labels


def _tell_apart(identities: Sequence[str], settings: Settings, shown: Collection[str]) -> dict[str, str]:
    """For each of some runs' hashes the settings in which they are not all the same, in words.

    What more than half of the runs have goes without saying. The networks' own hashes are told where nothing else tells
    two runs apart.
    """
    every = {identity: _settings_of(identity, settings) for identity in identities}
    names = sorted({name for of_run in every.values() for name in of_run} - set(shown))
    varying = [name for name in names if len({value_text(of_run.get(name)) for of_run in every.values()}) > 1]
    telling = [name for name in varying if not _is_network(name)]
    if len({tuple(value_text(of_run.get(name)) for name in telling) for of_run in every.values()}) < len(
        {tuple(value_text(of_run.get(name)) for name in varying) for of_run in every.values()}
    ):
        telling = varying
    usual = {name: _usual([value_text(of_run.get(name)) for of_run in every.values()]) for name in telling}
    short = _short_names(telling)
    return {
        identity: ", ".join(
            f"{short[name]}={value}" for name in telling if (value := value_text(of_run.get(name))) != usual[name]
        )
        for identity, of_run in every.items()
    }


def _usual(values: Sequence[str]) -> str | None:
    """What more than half of the values are, if there is such a one."""
    value, count = Counter(values).most_common(1)[0]
    return value if 2 * count > len(values) else None


def _is_network(name: str) -> bool:
    """Whether a fact of a run is the hash of a network: `network`, or `network NAME` where there are several."""
    return name.split(" ")[0] == "network"


def _settings_of(identity: str, settings: Settings) -> dict[str, Any]:
    """The settings behind a hash; images stand behind the stroke, where one seed's differ."""
    known, _, images = identity.partition("/")
    return dict(settings[known]) | ({"images": images} if images else {})


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """The last part of each name, or all of it where two end alike."""
    last = [name.rpartition(".")[2] for name in names]
    return {name: end if last.count(end) == 1 else name for name, end in zip(names, last, strict=True)}


def value_text(value: Any) -> str:
    """A value as one writes it on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(value_text, value))}]" if isinstance(value, list) else str(value)


def settings_table(runs: Sequence[tuple[str, int, str]], settings: Settings) -> pd.DataFrame:
    """One row a run: its folder, seed, hash, and each setting in which not all runs are the same."""
    rows = [
        {"run": path, "seed": seed, "settings": identity} | {k: value_text(v) for k, v in settings[identity].items()}
        for path, seed, identity in runs
    ]
    table = pd.DataFrame(rows)
    varying = [column for column in table if table[column].nunique(dropna=False) > 1]
    return table[list(dict.fromkeys(["run", "seed", "settings", *varying]))]


def sensitivity_table(rows: pd.DataFrame, settings: Settings, value: str) -> pd.DataFrame:
    """What each open choice changes: by how much the numbers of runs differ that differ in one setting alone.

    Of the runs of one network and set the one with most such neighbours is the reference: its line has its numbers, the
    lines of the others what they have more, as a mean over the seeds that both have.

    Args:
        rows: Joined rows of a table.
        settings: The settings that the column `settings` stands for.
        value: The column of the number.

    Returns:
        A line a choice, a group of columns a kernel, a column an invariance; empty where no run has a neighbour.
    """
    size = [column for column in ("n_database", "n_samples") if column in rows]
    lines = []
    for of_set, group in rows.groupby(["model", "dataset", *size], sort=False):
        reference, choices = _one_away(list(dict.fromkeys(group["settings"])), settings)
        if not choices:
            continue
        cells = group.set_index(["settings", "seed", "kernel", "invariance"])[value]
        head = dict(zip(("model", "dataset", "images"), of_set, strict=True))
        lines.append(_line(head, ("reference", ""), cells[reference]))
        lines += [_line(head, choice, cells[run] - cells[reference]) for run, choice in choices.items()]
    columns = list(dict.fromkeys(column for line in lines for column in line))
    return pd.DataFrame(lines, columns=pd.MultiIndex.from_tuples(columns)) if lines else pd.DataFrame()


def _one_away(identities: Sequence[str], settings: Settings) -> tuple[str, dict[str, tuple[str, str]]]:
    """The run that most others differ from in one setting, and for each of these the setting and its value."""
    every = {identity: _settings_of(identity, settings) for identity in identities}
    neighbours: dict[str, dict[str, tuple[str, str]]] = {one: {} for one in identities}
    for (one, ours), (other, theirs) in itertools.permutations(every.items(), 2):
        changed = [name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name) and not _is_network(name)]
        if len(changed) == 1:
            neighbours[one][other] = (changed[0], value_text(theirs.get(changed[0])))
    reference = max(identities, key=lambda one: len(neighbours[one]))
    return reference, dict(sorted(neighbours[reference].items(), key=lambda item: item[1]))


def _line(head: Mapping[str, Any], choice: tuple[str, str], cells: "pd.Series[float]") -> dict[tuple[str, str], Any]:
    """One line: what was run, the choice, and the mean over seeds for each kernel and invariance."""
    start: dict[tuple[str, str], Any] = {(column, ""): entry for column, entry in head.items()}
    start |= {("choice", ""): choice[0], ("value", ""): choice[1]}
    means = cells.dropna().groupby(["kernel", "invariance"], sort=False).mean().round(_ROUNDING)
    rows = means.reset_index(name="mean").to_dict("records")
    return start | {(row["kernel"], row["invariance"]): row["mean"] for row in rows}
