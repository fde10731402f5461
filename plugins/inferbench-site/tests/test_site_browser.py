"""The pages in a real browser: no errors, no requests, charts with marks, tables that sort, keys, print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import pytest

pytestmark = pytest.mark.needs_plugins(
    "networks/llama3-8b", "chips/h100-sxm", "plots/roofline", "suites/reference"
)


@contextmanager
def opened(browser: Any, path: Any, width: int = 1280, scheme: str = "light") -> Iterator[Any]:
    """A page, and that nothing went wrong on it: no message, no dialog, no request but for its own files."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    wrong: list[str] = []
    page.on(
        "console",
        lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda r: (
            wrong.append(f"request {r.url[:80]}")
            if not r.url.startswith(("file:", "data:", "blob:"))
            else None
        ),
    )
    page.on("requestfailed", lambda request: wrong.append(f"failed {request.url[:80]}"))
    page.goto(path.as_uri())
    yield page
    assert page.evaluate("window.hacked") is None
    assert wrong == []
    context.close()


def every(folder):
    return sorted(folder.rglob("*.html"))


def test_every_page_loads_without_errors_and_its_charts_have_their_marks(browser, site, board):
    for path in (*every(site), *every(board)):
        with opened(browser, path) as page:
            page.evaluate("sketchAll()")
            for plot in page.query_selector_all(".plot"):
                assert plot.query_selector_all(".sketch .mark"), (path, plot.get_attribute("id"))
            assert page.evaluate("typeof Plotly") == "undefined"
            page.evaluate("drawAll()")
            for chart in page.query_selector_all(".chart"):
                for plot in chart.query_selector_all(".plot"):
                    assert plot.query_selector("svg.main-svg"), path
                    assert not plot.query_selector(".sketch"), path
                marks = chart.query_selector_all(".point, .bars path, .js-line, .hm image, .errorbar")
                assert marks, (path, chart.get_attribute("data-chart"))
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_heading_sorts_by_number_with_missing_values_last(browser, site):
    with opened(browser, site / "compare.html") as page:
        head = page.locator("th", has_text="tokens/s per chip").locator("button")
        column = page.locator("th", has_text="tokens/s per chip").evaluate("e => e.cellIndex")
        head.click()
        rows = "[...document.querySelectorAll('#comparison tbody tr')]"
        read = f"{rows}.map(r => r.cells[{column}].dataset.sort)"
        up = [float(value) for value in page.evaluate(read)]
        assert up == sorted(up)
        head.focus()
        page.keyboard.press("Enter")
        assert [float(value) for value in page.evaluate(read)] == sorted(up, reverse=True)
        assert page.locator("th[aria-sort=descending]").count() == 1


def test_words_and_boxes_filter_rows(browser, site):
    rows = "[...document.querySelectorAll('#comparison tbody tr')]"
    shown = f"{rows}.filter(r => !r.hidden).map(r => r.textContent)"
    with opened(browser, site / "compare.html") as page:
        page.fill("[data-filter=comparison]", "H100 prefill")
        (row,) = page.evaluate(shown)
        assert "h100-sxm" in row
        assert page.locator("#comparison-count").text_content() == "1 of 6 rows"
        page.fill("[data-filter=comparison]", "")
        page.uncheck("[data-choose=comparison][data-column='1'] >> nth=0")
        assert len(page.evaluate(shown)) == 4
        page.uncheck("[data-choose=comparison][data-column='0'] >> nth=0")
        assert len(page.evaluate(shown)) == 2


def test_each_work_has_its_own_comparison_that_sorts_and_filters(browser, site):
    pages = sorted((site / "workloads").glob("*.html"))
    assert len(pages) == 3
    for path in pages:
        with opened(browser, path) as page:
            rows = page.locator("#comparison tbody tr")
            assert rows.count() == 2
            page.locator("#comparison th button").first.click()
            assert rows.first.locator("td").first.text_content() == "b200"
            page.locator("#comparison th button").first.click()
            assert rows.first.locator("td").first.text_content() == "h100-sxm"
            page.fill("[data-filter=comparison]", "h100")
            assert page.locator("#comparison tbody tr:visible").count() == 1


@pytest.mark.parametrize("width", [390, 1920])
def test_no_label_meets_another_or_is_cut_off_and_no_page_scrolls_sideways(browser, site, width):
    """The rooflines of all systems and works are the most crowded charts of a site."""
    seen = 0
    for path in every(site):
        with opened(browser, path, width) as page:
            for drawing in ("sketchAll()", "drawAll()"):
                page.evaluate(drawing)
                seen += labels_apart(page)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert seen > 60


def labels_apart(page) -> int:
    """Check the boxes of all labels on a page; return how many there are."""
    read = """[...document.querySelectorAll('.plot')].map(plot => {
        const box = (e) => (({ left, top, right, bottom }) => [left, top, right, bottom])(
            e.getBoundingClientRect());
        const words = '.annotation-text, .textpoint text, .sketch .label, .sketch .said';
        const texts = [...plot.querySelectorAll(words)];
        return { plot: box(plot), texts: texts.map(e => [e.textContent, ...box(e)]) };
    })"""
    count = 0
    for plot in page.evaluate(read):
        texts = plot["texts"]
        for name, left, top, right, bottom in texts:
            assert left >= plot["plot"][0] - 1, name
            assert right <= plot["plot"][2] + 1, name
            assert top >= plot["plot"][1] - 1, name
            assert bottom <= plot["plot"][3] + 1, name
        for (name, *a), (other, *b) in combinations(texts, 2):
            apart = a[2] <= b[0] + 1 or b[2] <= a[0] + 1 or a[3] <= b[1] + 2 or b[3] <= a[1] + 2
            assert apart, (name, other)
        count += len(texts)
    return count


def test_labels_find_places_in_a_crowd_and_what_finds_none_gets_a_legend(browser, tmp_path):
    """Thirty points with texts and five named lines in one corner, as `-o x.html` writes them."""
    from inferbench_plot.draw.pages import RENDERER

    import inferbench as ib

    dots = ib.Dots(
        "", [1 + i / 100 for i in range(30)], [1.0] * 30, texts=[f"Accelerator {i}" for i in range(30)]
    )
    lines = [ib.Line(f"A line with a long name, {i}", [1, 2], [1, 1 + i / 1000], colour=i) for i in range(5)]
    panel = ib.Panel(ib.Scale("x", log=True), ib.Scale("y"), (*lines, dots))
    path = tmp_path / "crowd.html"
    path.write_text(RENDERER.render(ib.Report((), figures=(ib.Figure("f", "Crowd", (panel,)),)), 0), "utf-8")
    for width in (390, 1280):
        with opened(browser, path, width) as page:
            page.evaluate("all")
            page.evaluate("document.getElementById('panel0').classList.add('plot')")
            shown = labels_apart(page)
            assert 3 <= shown < 35
            legend = page.evaluate("[...document.querySelectorAll('.legendtext')].map(e => e.textContent)")
            named = page.evaluate(
                "[...document.querySelectorAll('.annotation-text')].map(e => e.textContent)"
            )
            assert all(any(line.name in text for text in (*legend, *named)) for line in lines)


def test_each_pair_has_its_page_with_ratios_that_filter(browser, site):
    (path,) = (site / "pairs").glob("*.html")
    with opened(browser, path) as page:
        rows = page.locator("#comparison tbody tr:visible")
        whole = rows.count()
        page.uncheck("[data-column='0'] >> nth=0")
        assert 0 < rows.count() < whole
        page.check("[data-column='0'] >> nth=0")
        for box in page.locator("[data-column='1']").all()[1:]:
            box.uncheck()
        assert rows.count() == 3
        assert len(set(page.locator("#comparison tbody tr:visible td:nth-child(2)").all_text_contents())) == 1
    with opened(browser, site / "compare.html") as page:
        page.locator(".pairs a").first.click()
        assert page.url == path.as_uri()


def test_hostile_texts_are_read_as_they_are(browser, site):
    (path,) = [path for path in (site / "chips").glob("*.html") if "h100" not in path.name]
    with opened(browser, path) as page:
        page.evaluate("sketchAll()")
        page.evaluate("drawAll()")
        assert page.locator("h1").text_content().startswith("</title><script>window.hacked = 1")
        assert "onerror=" in page.locator(".lead").text_content()
        assert page.locator("script:not([type])").count() == 2  # the page's own, and Plotly
        assert page.locator("a[href^=javascript]").count() == 0
        assert page.locator("img").count() == 0


def test_keys_reach_the_content_first_and_the_theme_turns(browser, site):
    with opened(browser, site / "index.html") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click(".theme")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
        assert page.get_attribute(".theme", "aria-pressed") == "true"


def test_zooming_by_key_shows_the_same_marks_and_reads_plotly_only_then(browser, site):
    chip = next(path for path in (site / "chips").glob("*.html") if "h100" in path.name)
    with opened(browser, chip) as page:
        page.evaluate("sketchAll()")
        chart = page.locator("[data-chart=chip-roofline]")
        dots = chart.locator(".sketch circle.mark, .sketch polygon.mark").count()
        assert dots > 4
        assert chart.locator(".sketch .interval").count() > 0
        chart.locator(".zoom").focus()
        page.keyboard.press("Enter")
        chart.locator("svg.main-svg").first.wait_for()
        chart.locator(".zoom").wait_for(state="hidden")
        assert page.evaluate("document.activeElement.dataset.chart") == "chip-roofline"
        assert chart.locator(".scatterlayer .points path").count() == dots
        assert page.locator(".sketch").count() > 0  # of the other charts


def test_a_sketch_fits_its_place_when_the_window_and_the_theme_change(browser, site):
    with opened(browser, site / "index.html") as page:
        page.evaluate("sketchAll()")
        page.set_viewport_size({"width": 420, "height": 900})
        width = "document.querySelector('.sketch').viewBox.baseVal.width"
        for _ in range(200):  # the page waits until the window rests
            if page.evaluate(width) < 420:
                break
            page.wait_for_timeout(50)
        assert page.evaluate(width) < 420
        assert labels_apart(page) > 0
        inks = "[...document.querySelectorAll('.sketch .label')].map(e => e.getAttribute('fill'))"
        before = page.evaluate(inks)
        page.click(".theme")
        assert before
        assert page.evaluate(inks) != before


def test_without_scripts_a_picture_is_told_in_words_and_numbers(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert page.locator(".zoom:visible, .theme:visible").count() == 0
    assert page.locator("noscript p:visible").count() == page.locator(".chart").count() > 0
    page.locator(".chart summary").first.click()
    assert page.locator(".chart details table").first.is_visible()
    context.close()


# All at once: a change of the window draws pictures anew.
PLOTS = """[...document.querySelectorAll(".plot")].map(plot => {
    const drawing = plot.querySelector(".sketch"), box = drawing.getBoundingClientRect()
    return {
        marks: drawing.querySelectorAll(".mark").length, height: plot.getBoundingClientRect().height,
        drawn: box.width, tall: box.height, width: Number(drawing.getAttribute("width")),
    }
})"""


def test_paper_shows_every_picture_without_plotly(browser, site):
    chip = next(path for path in (site / "chips").glob("*.html") if "h100" in path.name)
    with opened(browser, chip, scheme="dark") as page:
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print", color_scheme="light")
        page.set_viewport_size({"width": 720, "height": 1018})
        plots = page.evaluate(PLOTS)
        assert plots
        for plot in plots:
            assert plot["marks"] > 0
            assert plot["height"] > 0
            assert plot["drawn"] <= plot["width"]  # never blown up
            assert plot["height"] < plot["tall"] + 2  # no empty space
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not page.is_visible(".zoom")
        assert page.evaluate("typeof Plotly") == "undefined"


def test_no_table_is_cut_off_on_paper(browser, site, board):
    for path in (*every(site), board / "index.html", board / "records/good.html"):
        with opened(browser, path, 720) as page:
            page.emulate_media(media="print")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_paper_has_no_navigation_and_all_tables(browser, site):
    with opened(browser, site / "index.html") as page:
        page.emulate_media(media="print")
        assert not page.is_visible("nav")
        assert page.is_visible("main table")


def test_a_phone_has_a_menu(browser, site):
    with opened(browser, site / "index.html", 390) as page:
        assert not page.is_visible("nav")
        page.click(".menu summary")
        page.wait_for_selector("nav", state="visible")


@pytest.mark.timing
def test_a_page_answers_within_a_second(browser, site):
    times = []
    for _ in range(3):
        with opened(browser, site / "index.html") as page:
            page.wait_for_load_state("load")
            times.append(
                page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
            )
    assert min(times) < 1000.0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(browser, site, board, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    chip = next(path for path in (site / "chips").glob("*.html") if "h100" in path.name)
    pages = [site / "index.html", chip]
    if scheme == "light":
        pages += [
            site / "compare.html",
            site / "downloads.html",
            board / "index.html",
            board / "records/good.html",
        ]
    for path in pages:
        with opened(browser, path, scheme=scheme) as page:
            page.evaluate("sketchAll()")
            found = axe.run(page, options={"preload": False}).response["violations"]
            serious = [
                (one["id"], one["nodes"][0]["html"][:120])
                for one in found
                if one["impact"] in ("serious", "critical")
            ]
            assert serious == [], path.name
