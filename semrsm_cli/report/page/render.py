"""Put the page together."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from semrsm_cli.report.page import provenance
from semrsm_cli.report.page.content import ResultTable
from semrsm_cli.report.page.pictures import Budgets
from semrsm_cli.report.page.results import Results
from semrsm_cli.report.page.sections import experiment_sections
from semrsm_cli.report.page.summary import answer_of, find_cards
from semrsm_cli.report.page.tables import plain_table
from semrsm_cli.report.verdicts import AGREES, DIFFERS, NOT_RUN, count_verdicts

__all__ = ["render_page"]

_TEMPLATES = "templates"


def render_page(results: Results) -> str:
    """The whole page as HTML, with nothing to load; the same results give the same bytes."""
    environment = Environment(
        loader=PackageLoader("semrsm_cli.report.page", _TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cards = find_cards(results)
    return environment.get_template("page.html.j2").render(
        style=_asset("style.css"),
        script=_asset("page.js"),
        cards=cards,
        answer=answer_of(cards),
        verdicts=_verdict_counts(results),
        verdicts_table=_all_verdicts(results),
        runs_table=provenance.runs_table(results),
        left_out={path.as_posix(): reason for path, reason in sorted(results.left_out.items())},
        sections=experiment_sections(results, Budgets.for_runs(len(results.runs))),
        sensitivity=[_sensitivity_table(name, frame) for name, frame in results.sensitivity.items()],
        differences=list(provenance.differences_tables(results)),
        methods=provenance.methods_text(results),
        citations=provenance.CITATIONS,
        details=provenance.run_details(results),
        files=sorted(results.tables),
    )


def _asset(name: str) -> Markup:
    """A style or script of ours, which stands in the page as it is."""
    return Markup(files("semrsm_cli.report.page").joinpath(_TEMPLATES, name).read_text(encoding="utf-8"))


def _verdict_counts(results: Results) -> dict[str, Any]:
    """How many printed numbers agree, differ and were not run, together and a table."""
    counts = count_verdicts(results.verdicts)
    rows = [
        {
            "table": int(row["table"]),
            "agrees": int(row[AGREES]),
            "differs": int(row[DIFFERS]),
            "not_run": int(row[NOT_RUN]),
        }
        for row in counts.to_dict("records")
    ]
    total = {name: sum(row[name] for row in rows) for name in ("agrees", "differs", "not_run")}
    return {"rows": rows, "total": total | {"all": sum(total.values())}}


def _all_verdicts(results: Results) -> ResultTable:
    """Every printed number with its verdict, as far as it was run."""
    run = results.verdicts[results.verdicts["verdict"] != NOT_RUN]
    frame = run.assign(table=run["table"].astype(str), size=run["size"].astype(str)).drop(columns=["n", "draws"])
    return plain_table(frame, id="verdicts", caption="Printed numbers that were run, and the verdict on each")


def _sensitivity_table(name: str, frame: Any) -> ResultTable:
    return plain_table(
        frame,
        id=f"sensitivity-{name}",
        caption=f"What each open choice changes: {name}",
        note="The reference with its numbers, then what each other choice adds to them.",
    )
