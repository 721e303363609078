"""The page in a real browser: made by keyboard, looked at in every way, deepened, downloaded, and worn."""

import base64
import io
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.web.conftest import Served

from stereodiffusion.formats import anaglyph, to_pil
from stereodiffusion.web.forms import MAP_KINDS

pytestmark = pytest.mark.long

Pixels = NDArray[np.int16]

PHONE = {"width": 390, "height": 844}
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
HEADSET = """
    window.headset = new IWER.XRDevice(IWER.metaQuest3);
    headset.installRuntime({forceInstall: true});
    headset.stereoEnabled = true;
"""
SHOWN = "document.querySelector('stereo-viewer').shadowRoot.querySelector('canvas').toDataURL()"


class Visit:
    """A visit to the page, on a narrow phone, with a pair that was made there."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.asked: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))

    def shown(self) -> Pixels:
        """What the viewer's canvas has."""
        return _pixels(base64.b64decode(self.page.evaluate(SHOWN).partition(",")[2]))

    def file(self, name: str, query: str = "") -> Pixels:
        """A file of the pair, as the server gives it."""
        result = self.page.locator("stereo-viewer").get_attribute("result")
        return _pixels(httpx.get(f"{self.url}/stereo/results/{result}/{name}{query}").raise_for_status().content)

    def show(self, mode: str) -> None:
        """Press the button of a mode."""
        self.page.locator(f"[data-mode={mode}]").click()
        self.page.wait_for_selector(f"stereo-viewer[data-shown={mode}]")

    def tab_to(self, label: str) -> None:
        """Go to a control by the keyboard alone."""
        for _ in range(40):
            self.page.keyboard.press("Tab")
            focused = "(e => (e.shadowRoot?.activeElement ?? e).innerText)(document.activeElement)"
            if self.page.evaluate(focused) == label:
                return
        raise AssertionError(f"the keyboard does not reach {label!r}")


def _image(levels: Pixels) -> torch.Tensor:
    return torch.from_numpy(levels).permute(2, 0, 1)[None] / 255


def _levels(image: torch.Tensor) -> Pixels:
    return np.asarray(to_pil(image)).astype(np.int16)


def _pixels(content: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(np.int16)


@pytest.fixture(scope="module")
def visit(served: Served) -> Generator[Visit, None, None]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport=PHONE, has_touch=True, color_scheme="dark")
        context.add_init_script(path=Path(__file__).parent / "iwer.min.js")
        context.add_init_script(HEADSET)
        page = context.new_page()
        page.set_default_timeout(60_000)
        visit = Visit(page, served.url)
        page.goto(served.url)
        page.wait_for_selector("stereo-viewer[result]", state="attached")
        page.get_by_role("button", name="Options").click()
        page.get_by_label("fast").check()
        yield visit
        browser.close()


def test_an_error_stands_beside_the_button_and_a_pair_is_made_by_the_keyboard(visit: Visit) -> None:
    page = visit.page
    steps = page.get_by_label("Steps")
    steps.fill("1")
    page.get_by_label("What the picture shows").first.focus()
    visit.tab_to("Make a stereo pair")
    page.keyboard.press("Enter")
    assert page.get_by_role("alert").inner_text() == "Steps must be at least 2, got 1"
    steps.fill("2")
    page.get_by_label("What the picture shows").first.focus()
    visit.tab_to("Make a stereo pair")
    page.keyboard.press("Enter")
    page.wait_for_selector("stereo-viewer[data-shown=sbs]")
    visit.tab_to("Cross-eyed")
    page.keyboard.press("Enter")
    page.wait_for_selector("stereo-viewer[data-shown=cross-eyed]")
    assert np.array_equal(visit.shown(), np.concatenate([visit.file("right.png"), visit.file("left.png")], 1))


BEYOND = """[...document.querySelectorAll('body *')]
    .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.tagName + '.' + e.className)"""
FOCUSED = """(() => {
    let focused = document.activeElement;
    while (focused.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
    window.stops ??= new Set();
    const again = stops.has(focused);
    stops.add(focused);
    const { outlineStyle, outlineWidth } = getComputedStyle(focused);
    const seen = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1;
    return [again || focused === document.body, seen ? '' : focused.outerHTML.slice(0, 200)];
})()"""
MISSED = """(() => {
    const hosts = [...document.querySelectorAll('*')].filter(e => e.shadowRoot).map(e => e.shadowRoot);
    const controls = [document, ...hosts].flatMap(root =>
        [...root.querySelectorAll('button, input, textarea, select, summary, [tabindex="0"]')]);
    return controls
        .filter(e => e.checkVisibility() && !e.disabled && e.tabIndex >= 0 && !stops.has(e))
        .map(e => e.outerHTML.slice(0, 200));
})()"""


@pytest.mark.parametrize("tab", ["Text", "Depth map", "Photo"])
def test_a_narrow_screen_and_the_keyboard_alone_are_enough(visit: Visit, tab: str) -> None:
    """Nothing sticks out, whatever is unfolded; Tab comes to every control, and shows where it is."""
    page = visit.page
    page.get_by_role("tab", name=tab).click()
    for fold in page.locator("button.label-wrap:not(.open)").all():
        if fold.is_visible():
            fold.focus()
            page.keyboard.press("Space")
    assert page.evaluate(BEYOND) == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    page.evaluate("document.activeElement.blur(); window.stops = undefined")
    page.locator("h1").click()
    hidden = list[str]()
    for _ in range(120):
        page.keyboard.press("Tab")
        again, unseen = page.evaluate(FOCUSED)
        if again:
            break
        hidden += [unseen] if unseen else []
    assert hidden == []
    assert page.evaluate(MISSED) == []
    page.get_by_role("tab", name="Text").click()


def test_every_way_to_look_is_right_and_asks_the_server_for_nothing(visit: Visit) -> None:
    left, right = visit.file("left.png"), visit.file("right.png")
    visit.show("depth")
    assert np.array_equal(visit.shown(), visit.file("depth.png"))
    visit.asked.clear()
    visit.show("sbs")
    assert np.array_equal(visit.shown(), np.concatenate([left, right], 1))
    visit.show("difference")
    assert np.array_equal(visit.shown(), abs(left - right))
    visit.show("wiggle")
    assert any(np.array_equal(visit.shown(), eye) for eye in (left, right))
    visit.show("anaglyph")
    glasses = visit.page.get_by_label("Glasses")
    for kind in glasses.evaluate("e => [...e.options].map(o => o.value)"):
        glasses.select_option(kind)
        assert abs(visit.shown() - _levels(anaglyph(_image(left), _image(right), kind))).max() <= 1, kind
    assert visit.asked == []


def test_a_slider_deepens_the_pair_and_a_download_is_what_is_shown(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    visit.show("sbs")
    before = visit.shown()
    slider = page.get_by_label("range slider for Strength")
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.querySelector('stereo-viewer').query?.startsWith('?strength=0.06&')")
    page.wait_for_function("!document.querySelector('stereo-viewer').asking")
    shown, right = visit.shown(), visit.file("right.png", "?strength=0.06&convergence=0")
    half = right.shape[1]
    assert np.array_equal(shown[:, :half], before[:, :half])
    assert not np.array_equal(shown[:, half:], before[:, half:])
    assert abs(shown[:, half:] - right).mean() < 4  # JPEG while the slider moves
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="cross-eyed").click()
    download.value.save_as(tmp_path / "pair.png")
    saved = _pixels((tmp_path / "pair.png").read_bytes())
    assert np.array_equal(saved, np.concatenate([right, before[:, :half]], 1))


def test_comfort_is_told_and_made_by_the_keyboard(visit: Visit) -> None:
    page, report = visit.page, visit.page.locator("comfort-report .comfort")
    result = page.locator("stereo-viewer").get_attribute("result")
    address = f"{visit.url}/stereo/results/{result}/comfort.json"
    scores: dict[str, int] = {}
    for display in ("cinema", "monitor"):
        page.get_by_label(display).check()
        shown = page.evaluate("document.querySelector('stereo-viewer').query") or "?"
        scores[display] = httpx.get(f"{address}{shown}&display={display}").raise_for_status().json()["score"]
        page.wait_for_function(
            f"(e => e.display === '{display}' && !e.asking)(document.querySelector('comfort-report'))"
        )
        assert page.locator("comfort-report").get_attribute("data-score") == str(scores[display])
        assert f"{scores[display]} of 100" in report.inner_text()
    assert scores["monitor"] < 100
    page.get_by_role("button", name="Make comfortable").focus()
    page.keyboard.press("Space")
    strained = "/nearest things|frame cuts/.test(document.querySelector('comfort-report').root.textContent)"
    page.wait_for_function(f"!{strained}")
    assert int(page.locator("comfort-report").get_attribute("data-score") or 0) > scores["monitor"]
    query = page.evaluate("document.querySelector('stereo-viewer').query")
    assert page.get_by_label("number input for Strength").input_value() in query


def test_curve_and_floating_window_are_live(visit: Visit) -> None:
    page = visit.page
    visit.show("depth")
    slider = page.get_by_label("range slider for Curve")
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('stereo-viewer').query?.includes('curve=0,0.7,1')")
    page.get_by_label("Floating window").set_checked(checked=True)
    screen = page.get_by_label("number input for Screen")
    screen.fill("-0.02")  # all of it before the screen, so that the frame cuts it
    screen.press("Enter")
    page.wait_for_function("/convergence=-0.02&.*window=true/.test(document.querySelector('stereo-viewer').query)")
    page.wait_for_function("!document.querySelector('stereo-viewer').asking")
    query = page.evaluate("document.querySelector('stereo-viewer').query")
    page.wait_for_timeout(200)
    assert np.array_equal(visit.shown(), visit.file("depth.png", query))
    visit.show("sbs")
    shown, left = visit.shown(), visit.file("left.png", query)
    bar = int((left.max((0, 2)) > 0).argmax())
    assert bar > 0
    assert shown[:, : max(1, bar - 1)].max() < 40  # JPEG has the side of the bar a little soft
    page.get_by_label("Floating window").set_checked(checked=False)
    page.wait_for_function("!/window/.test(document.querySelector('stereo-viewer').query)")
    assert np.array_equal(visit.shown()[:, : left.shape[1]], visit.file("left.png"))


def test_in_a_headset_each_eye_sees_its_own_picture(visit: Visit) -> None:
    page = visit.page
    visit.show("sbs")
    pair = visit.shown()
    page.locator("stereo-viewer .vr input").nth(1).fill("0.6")  # metres wide, so that all of it is in sight
    page.locator("stereo-viewer .enter-vr").click()
    page.wait_for_function("headset.activeSession && document.querySelector('stereo-viewer')")
    page.wait_for_timeout(500)
    seen = _pixels(page.screenshot())
    page.evaluate("headset.activeSession.end()")
    half = seen.shape[1] // 2
    eyes = [_in_front(seen[:, :half]), _in_front(seen[:, half:])]
    own = np.array_split(pair, 2, axis=1)
    errors = [[float(abs(_sized(eye, picture.shape) - picture).mean()) for picture in own] for eye in eyes]
    assert errors[0][0] < 0.7 * errors[0][1], errors
    assert errors[1][1] < 0.7 * errors[1][0], errors


def _in_front(seen: Pixels) -> Pixels:
    """What is not the darkness around the screen."""
    lit = seen.max(-1) > 16
    rows, columns = np.flatnonzero(lit.mean(1) > 0.3), np.flatnonzero(lit.mean(0) > 0.1)
    return seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _sized(picture: Pixels, shape: tuple[int, ...]) -> Pixels:
    small = Image.fromarray(picture.astype(np.uint8)).resize((shape[1], shape[0]), Image.Resampling.BOX)
    return np.asarray(small).astype(np.int16)


def test_painted_depth_goes_into_the_next_run(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Touch up the depth").click()
    brush = page.locator("depth-brush canvas")
    brush.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('depth-brush').depth")
    was = page.locator("stereo-viewer").get_attribute("result")
    brush.focus()
    for _ in range(5):
        page.keyboard.press("Space")
    page.get_by_role("button", name="Run again with this depth").click()
    page.wait_for_function(f"document.querySelector('stereo-viewer').getAttribute('result') != '{was}'")
    result = page.locator("stereo-viewer").get_attribute("result")
    plain = httpx.get(f"{visit.url}/stereo/results/{result}.json").json()
    assert f'"kind": "{MAP_KINDS["near is bright"]}"' in plain["request"]
    assert '"mode": "photo"' in plain["request"]


def test_no_other_host_was_asked_for_anything(visit: Visit) -> None:
    visit.page.reload()
    visit.page.wait_for_selector("stereo-viewer[result]", state="attached")
    assert visit.asked
    assert [url for url in visit.asked if not url.startswith((visit.url, "data:", "blob:"))] == []
