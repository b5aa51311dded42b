"""The page of `semrsm report` in headless Chromium: it opens offline, answers clicks and keys, and is accessible."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.command import command_in, succeed
from tests.report.pages import HOSTILE, write_run, write_whole_paper
from tests.report.test_page import retrieval

pytestmark = pytest.mark.slow

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install 'semrsm[browser]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("needs Chromium: apt-get install chromium", allow_module_level=True)

SMALL_NETWORK = ("model=timm", "model.name=test_resnet", "model.weights=random")
FEW_SCENES = ("dataset.n_scenes=4", "dataset.n_videos=3", "dataset.n_queries=4", "n_pictures=1", "n_thumbnails=4")


@pytest.fixture(scope="module")
def small_page(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """The page of a few small runs: a retrieval, crops, and CKA."""
    folder = tmp_path_factory.mktemp("small")
    with command_in(folder, shared_cache, is_drawn=True) as semrsm:
        succeed(semrsm("retrieve", *SMALL_NETWORK, *FEW_SCENES))
        succeed(semrsm("translate", *SMALL_NETWORK, "n_pairs=4", "n_batches=1"))
        succeed(semrsm("cka", *SMALL_NETWORK, "n_images=12", "n_draws=1", "kernels=[linear]"))
        for number, name in enumerate(HOSTILE):
            write_run(Path("outputs", f"hostile {number}"), "retrieval", retrieval(name, dataset=name), label=name)
        succeed(semrsm("report", "hydra.run.dir=report"))
    return folder / "report" / "index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as one:
        chromium = one.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any) -> Callable[..., Any]:
    """Open a page offline; whatever it asks for or complains of fails the test."""

    @contextmanager
    def open_page(path: Path, width: int = 1280, scheme: str = "light") -> Iterator[Any]:
        context = browser.new_context(offline=True, viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request", lambda request: wrong.append(request.url) if request.url[:5] not in ("file:", "data:") else None
        )
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(path.as_uri())
        yield page
        context.close()
        assert not wrong

    return open_page


def column(page: Any, table: str, place: int) -> list[str]:
    return page.eval_on_selector_all(
        f"{table} tbody tr:not([hidden])", f"rows => rows.map(row => row.cells[{place}].dataset.order)"
    )


def test_a_click_and_a_key_sort_a_table(small_page: Path, opened: Any) -> None:
    with opened(small_page) as page:
        table = "#retrieval-scenes-count_f1"
        heads = page.query_selector_all(f"{table} thead tr:last-child button")
        heads[2].click()
        numbers = [float(text) for text in column(page, table, 2)]
        assert numbers == sorted(numbers)
        assert len(set(numbers)) > 1
        assert page.get_attribute(f"{table} thead tr:last-child th:nth-child(3)", "aria-sort") == "ascending"
        heads[2].focus()
        page.keyboard.press("Enter")
        assert [float(text) for text in column(page, table, 2)] == sorted(numbers, reverse=True)
        assert page.get_attribute(f"{table} thead tr:last-child th:nth-child(3)", "aria-sort") == "descending"
        heads[1].click()
        assert column(page, table, 1) == sorted(column(page, table, 1))
        assert page.get_attribute(f"{table} thead tr:last-child th:nth-child(3)", "aria-sort") == "none"


def test_tables_are_filtered(small_page: Path, opened: Any) -> None:
    with opened(small_page) as page:
        page.click("#summary details:nth-of-type(2) summary")
        page.select_option("#runs select >> nth=0", "cka")
        tasks = page.eval_on_selector_all(
            "#runs tbody tr:not([hidden])", "rows => rows.map(row => row.cells[1].textContent)"
        )
        assert tasks == ["cka"]
        assert page.text_content("#runs output") == f"1 of {3 + len(HOSTILE)} rows"


def test_the_gallery_shows_what_is_chosen_and_what_was_matched(small_page: Path, opened: Any) -> None:
    with opened(small_page) as page:
        gallery = page.query_selector(".gallery")
        buttons = gallery.query_selector_all(".queries button")
        assert len(buttons) == 4
        before = gallery.query_selector(".query img").get_attribute("src")
        buttons[1].focus()
        page.keyboard.press("Enter")
        assert gallery.query_selector(".query img").get_attribute("src") != before
        assert [button.get_attribute("aria-pressed") for button in buttons] == ["false", "true", "false", "false"]
        selects = gallery.query_selector_all("select")
        selects[1].select_option("semantic (PI)")
        assert [found.text_content() for found in gallery.query_selector_all(".found > p")] == ["semantic (PI)"]
        query = gallery.query_selector(".query .seen")
        query.focus()
        page.keyboard.press("ArrowRight")
        said = gallery.query_selector("output").text_content()
        assert said.startswith("Patch 2 of ")
        shown = gallery.query_selector_all(".found .seen i")
        assert shown
        assert all(box.evaluate("box => box.style.display") == "block" for box in shown)
        query.hover()
        assert gallery.query_selector("output").text_content() != said
        selects[0].select_option("linear")
        assert gallery.query_selector_all(".found .neighbour")


def test_heat_maps_name_the_cell_under_the_pointer_and_by_keyboard(small_page: Path, opened: Any) -> None:
    with opened(small_page) as page:
        element = page.query_selector("#cka .heat")
        data = element.evaluate("one => JSON.parse(one.querySelector('script').textContent)")
        canvas, said = element.query_selector("canvas"), element.query_selector("output")
        canvas.focus()
        page.keyboard.press("ArrowRight")
        value = data["choices"][0]["values"][0][1]
        assert said.text_content() == (
            f"{data['row_title']} {data['row_names'][0]}, {data['column_title']} {data['column_names'][1]}: "
            f"CKA {value:.3f}"
        )
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3)
        assert data["row_names"][-1] in said.text_content()
        assert data["column_names"][-1] in said.text_content()
        crops = page.query_selector("#separation .heat canvas")
        crops.hover()
        assert len(page.query_selector_all("#separation .heat .pair img")) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_inaccessible_and_nothing_scrolls_sideways(
    small_page: Path, opened: Any, width: int, scheme: str
) -> None:
    with opened(small_page, width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        axe = Path(os.environ.get("SEMRSM_AXE", ""))
        if not axe.is_file():
            pytest.skip("needs axe-core: npm install axe-core, and SEMRSM_AXE=.../axe-core/axe.min.js")
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        page.add_script_tag(path=str(axe))
        found = page.evaluate("axe.run()")
        assert found["passes"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []


def test_the_page_of_the_whole_paper_tells_its_verdicts(tmp_path: Path, shared_cache: Path, opened: Any) -> None:
    with command_in(tmp_path, shared_cache, is_drawn=True) as semrsm:
        expected = write_whole_paper(Path("runs")).groupby(level=1).sum()
        succeed(semrsm("report", "runs=runs", "hydra.run.dir=report"))
    with opened(tmp_path / "report" / "index.html") as page:
        assert page.text_content("#summary .verdict.agrees") == f"{expected['agrees']} agree"
        assert page.text_content("#summary .verdict.differs") == f"{expected['differs']} differ"
        assert page.eval_on_selector_all("main section", "sections => sections.length") == 6


def test_the_page_of_the_embedded_default_is_small_and_opens(tmp_path: Path, shared_cache: Path, opened: Any) -> None:
    with command_in(tmp_path, shared_cache, is_drawn=True) as semrsm:
        for task in ("translate", "retrieve", "correlate", "bench", "cka", "rsm"):
            succeed(semrsm(task))
        succeed(semrsm("report", "hydra.run.dir=report"))
    path = tmp_path / "report" / "index.html"
    assert path.stat().st_size < 5_000_000
    with opened(path) as page:
        assert [card.text_content() for card in page.query_selector_all(".card .status")][:2] == ["seen here"] * 2
        ids = page.eval_on_selector_all("main section", "sections => sections.map(section => section.id)")
        assert ids[:6] == ["summary", "separation", "retrieval", "correlation", "matching", "cka"]
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
