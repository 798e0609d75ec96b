"""The page in a headless Chromium, clicked as a person would."""

import shutil
import threading

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from twincortex.analysis.explorer.server import open_server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Drawn by the processor: WebGL without a graphics card, root without a sandbox of its own.
OPTIONS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE_MS = 60_000

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian: apt-get install chromium)"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def visit(page_data):
    """The page, opened once, with all that the browser asked for and complained about."""
    with open_server(page_data) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_MS)
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.address = f"http://127.0.0.1:{server.server_port}/"
        page.goto(page.address)
        page.wait_for_selector("body[data-ready=true]")
        yield page
        browser.close()
        server.shutdown()


def wait_until_drawn(page, plot):
    page.wait_for_selector(f"#{plot}[aria-busy=false]")


def test_the_page_draws_everything_without_a_complaint_or_a_request_elsewhere(visit):
    for plot in ("column", "tuning", "raster", "wiring", "pair"):
        assert visit.locator(f"#{plot} .main-svg").count() > 0
    assert visit.inner_text("#failure") == ""
    assert visit.complaints == []
    assert all(url.startswith((visit.address, "data:", "blob:")) for url in visit.asked)


def test_a_clicked_neuron_shows_its_own_tuning_curve(visit, page_data):
    neuron = visit.evaluate(
        """() => {
            const plot = document.getElementById("column");
            const trace = plot.data.find((one) => one.customdata && one.customdata.length > 3);
            const customdata = trace.customdata[3];
            plot.emit("plotly_click", {points: [{customdata}]});
            return [customdata].flat()[0];
        }"""
    )
    visit.wait_for_function("id => document.getElementById('neuron-id').value === String(id)", arg=neuron)
    wait_until_drawn(visit, "tuning")
    assert f"neuron {neuron}" in visit.inner_text("#neuron-facts")
    shown = visit.evaluate("() => Array.from(document.getElementById('tuning').data[0].y)")
    curve = next(iter(page_data.answer("/neuron", {"id": str(neuron)})["tuning"]["networks"].values()))["curve"]
    assert np.allclose(shown, [*curve, curve[0]])


def test_a_typed_number_shows_that_neuron(visit):
    visit.fill("#neuron-id", "7")
    visit.click("#neuron-form button[type=submit]")
    visit.wait_for_function("document.getElementById('neuron-facts').textContent.includes('neuron 7,')")


def test_a_mouse_click_on_a_cell_of_the_heat_map_shows_the_connections_of_that_pair(visit, page_data):
    visit.locator("#wiring").scroll_into_view_if_needed()
    matrix = visit.evaluate(
        "() => { const {x, y, z} = document.getElementById('wiring').data[0]; return {x, y, z: z.map((r) => [...r])}; }"
    )
    row, column = next((r, c) for r, line in enumerate(matrix["z"]) for c, z in enumerate(line) if z is not None and r)
    place = visit.evaluate(
        """([row, column]) => {
            const plot = document.getElementById("wiring"), {xaxis, yaxis} = plot._fullLayout;
            const box = plot.getBoundingClientRect();
            return [box.left + xaxis._offset + xaxis.c2p(column), box.top + yaxis._offset + yaxis.c2p(row)];
        }""",
        [row, column],
    )
    visit.mouse.move(*place)
    visit.mouse.click(*place)
    names = page_data.subject.types
    pre, post = names[row], names[column]
    visit.wait_for_function(
        "pair => pair.join() === ['pre', 'post'].map((id) => document.getElementById(id).value).join()",
        arg=[pre, post],
    )
    wait_until_drawn(visit, "pair")
    n = page_data.answer("/pair", {"pre": pre, "post": post, "against": "direction"})["n"]
    assert f"n = {n:,} connections" in visit.inner_text("#pair-facts")


def test_the_neurons_can_be_colored_by_what_was_measured(visit):
    before = visit.evaluate("() => JSON.stringify(document.getElementById('column').data.map((one) => one.marker))")
    visit.select_option("#color", "OSI")
    visit.wait_for_function(
        "before => JSON.stringify(document.getElementById('column').data.map((one) => one.marker)) !== before",
        arg=before,
    )
    assert visit.inner_text("#failure") == ""


def test_it_fits_a_telephone(visit):
    visit.set_viewport_size({"width": 390, "height": 844})
    visit.wait_for_timeout(500)
    assert visit.evaluate("document.documentElement.scrollWidth") <= 390
