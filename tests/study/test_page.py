"""The page in a real browser, opened from disk as a phone does."""

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stereodiffusion.formats import write_image
from stereodiffusion.study import gather, read_answers, write_study

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PHONE = {"width": 740, "height": 360}

pytestmark = [pytest.mark.long, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods, three scenes. The left eye's half is red, the right eye's blue, green is the picture's number."""
    folder = tmp_path_factory.mktemp("study")
    for number in range(6):
        method, scene = ("ours", "stretch")[number // 3], number % 3
        (folder / "results" / method).mkdir(parents=True, exist_ok=True)
        picture = torch.zeros(1, 3, 48, 96)
        picture[:, 0, :, :48], picture[:, 2, :, 48:], picture[:, 1] = 1.0, 1.0, number * 40 / 255
        write_image(folder / "results" / method / f"scene {scene}.png", picture)
    write_study(gather(folder / "results"), folder / "study")
    return folder / "study" / "index.html"


@pytest.fixture(scope="module")
def browser() -> Generator[Any, None, None]:
    sync_api: Any = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, study: Path) -> Generator[Any, None, None]:
    """A phone on its side, at the start of the study; any error on the page, and any other host, is a failure."""
    context = browser.new_context(viewport=PHONE, accept_downloads=True)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda asked: asked.url.startswith(("file:", "blob:", "data:")) or wrong.append(asked.url))
    opened.goto(study.as_uri())
    yield opened
    context.close()
    assert wrong == []


def begin(page: Any, person: str) -> None:
    page.fill("#person", person)
    page.click("text=Begin")


def shown(page: Any) -> str:
    return str(page.eval_on_selector("#look .eye.left", "eye => eye.style.backgroundImage"))


def answer(page: Any, quality: int, depth: int) -> None:
    page.click("#look")
    page.click(f"[data-name=quality] >> text='{quality}'")
    assert page.is_disabled("#next")
    page.click(f"[data-name=depth] >> text='{depth}'")
    page.click("#next")


def order_of(page: Any, person: str) -> list[str]:
    begin(page, person)
    page.click("#adjusted")
    seen: list[str] = []
    for number in range(6):
        seen.append(shown(page))
        answer(page, number % 6, 5 - number % 6)
    return seen


def shuffled(text: str, count: int) -> list[int]:
    """The order of a code, written again: FNV-1a, mulberry32, Fisher and Yates."""
    state = 0x811C9DC5
    for letter in text.encode():
        state = (state ^ letter) * 0x01000193 & 0xFFFFFFFF
    places = list(range(count))
    for last in range(count - 1, 0, -1):
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        mixed = (state ^ state >> 15) * (state | 1) & 0xFFFFFFFF
        mixed ^= mixed + (mixed ^ mixed >> 7) * (mixed | 61) & 0xFFFFFFFF
        other = int((mixed ^ mixed >> 14) / 2**32 * (last + 1))
        places[last], places[other] = places[other], places[last]
    return places


def test_a_person_goes_through_and_hands_over_what_was_scored(page: Any, tmp_path: Path) -> None:
    seen = order_of(page, "anna-1")
    trials, identity = page.evaluate("[window.STUDY.trials.map(trial => trial.picture), window.STUDY.id]")
    assert len(set(seen)) == 6
    assert seen == [f'url("{trials[place]}")' for place in shuffled(f"{identity}/anna-1", 6)]
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "answers.csv")
    assert download.value.suggested_filename == f"answers-{identity}-anna-1.csv"
    answers = read_answers([tmp_path / "answers.csv"])
    assert [(each.quality, each.depth) for each in answers] == [(n, 5 - n) for n in range(6)]
    assert {(each.method, each.scene) for each in answers} == {
        (method, f"scene {scene}") for method in ("ours", "stretch") for scene in range(3)
    }
    assert page.input_value("#csv").splitlines() == (tmp_path / "answers.csv").read_text().splitlines()


def test_the_code_alone_gives_the_order_and_nothing_on_screen_the_method(browser: Any, page: Any, study: Path) -> None:
    first = order_of(page, "bob")
    another = browser.new_context(viewport=PHONE)
    phone = another.new_page()
    phone.goto(study.as_uri())
    assert order_of(phone, "bob") == first
    phone.reload()
    begin(phone, "carl")
    phone.click("#adjusted")
    for screen in ("#start", "#look", "#rate"):
        words = phone.inner_html(screen)
        assert "ours" not in words
        assert "stretch" not in words
    another.close()


def test_a_page_that_was_closed_goes_on_where_it_was(page: Any) -> None:
    begin(page, "dora")
    page.click("#adjusted")
    for _ in range(2):
        answer(page, 3, 4)
    third = shown(page)
    page.reload()
    begin(page, "dora")
    page.click("#adjusted")
    assert shown(page) == third
    page.click("#look")
    assert page.inner_text("#at") == "Picture 3 of 6"
    page.click("#again")
    assert shown(page) == third


def test_each_eye_sees_its_half_whole_and_as_far_apart_as_was_set(page: Any, tmp_path: Path) -> None:
    begin(page, "emil")
    page.eval_on_selector("#spread", "bar => { bar.value = 70; bar.dispatchEvent(new Event('input')); }")
    page.click("#adjusted")
    page.screenshot(path=tmp_path / "look.png")
    levels = np.asarray(Image.open(tmp_path / "look.png").convert("RGB")).astype(int)
    centres: list[float] = []
    for channel in (0, 2):
        rows, columns = np.nonzero(levels[..., channel] > 250)
        height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
        assert abs(height - width) <= 1  # the picture of an eye is square
        assert len(rows) == height * width
        centres.append(columns.mean())
    assert centres[1] - centres[0] == pytest.approx(0.7 * PHONE["width"] / 2, abs=1)
    assert sum(centres) / 2 == pytest.approx((PHONE["width"] - 1) / 2, abs=1)


def test_codes_that_no_file_name_takes_are_refused(page: Any) -> None:
    begin(page, "a b/c")
    assert page.is_visible("#start")
