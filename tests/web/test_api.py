"""The page over HTTP: the same pictures as Python makes, and nothing that was not asked for."""

import io
import json
import threading
import zipfile
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from PIL import Image
from tests.web.conftest import Served

from stereodiffusion.comfort import Made, broken_rules, measure_pair, report_on
from stereodiffusion.formats import OUTPUT_FORMATS, anaglyph, to_pil
from stereodiffusion.pair import StereoPair
from stereodiffusion.request import TextRequest, request_from
from stereodiffusion.settings import DISPLAYS, DisplayName
from stereodiffusion.synthesis import Run
from stereodiffusion.synthesis.rerender import Relief, Rerender
from stereodiffusion.web.guard import Guard
from stereodiffusion.web.limits import Limits
from stereodiffusion.web.results import Look, Result, Results

pytestmark = pytest.mark.long

FEW: dict[str, Any] = {"preset": "fast", "steps": 2}


@pytest.fixture(scope="module")
def client(served: Served) -> Client:
    return Client(served.url, verbose=False)


@pytest.fixture(scope="module")
def made(client: Client) -> dict[str, Any]:
    return client.predict(prompt="a ball", seed=5, api_name="/text", **FEW)


def fetched(served: Served, url: str) -> bytes:
    return httpx.get(f"{served.url}/{url}").raise_for_status().content


def pixels(content: bytes) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).copy())


def test_text_is_what_python_makes_of_the_same_request(served: Served, made: dict[str, Any]) -> None:
    expected = TextRequest(
        model=served.model.name, prompt="a ball", seed=5, preset="fast", changes={"sampling.steps": 2}
    )
    assert request_from(json.loads(made["request"])) == expected
    pair = cast(Run, served.model.run(expected)).result
    for name, view in (("left.png", pair.left), ("right.png", pair.right)):
        assert torch.equal(
            pixels(fetched(served, made["files"][name])), torch.from_numpy(np.asarray(to_pil(view)).copy())
        )


def test_photo_and_depth_take_files_that_are_sent(client: Client, served: Served, photo: Path, tmp_path: Path) -> None:
    beside = client.predict(photo=handle_file(str(photo)), api_name="/photo", **FEW)
    shown = pixels(fetched(served, beside["files"]["left.png"]))
    assert json.loads(beside["request"])["photo"]["path"] == "somewhere.png"
    with Image.open(photo) as sent:
        assert beside["size"] == [sent.height, sent.width]
        assert shown.shape == (sent.height, sent.width, 3)
    with pytest.raises(
        Exception, match=r"^somewhere\.png: expected a grey map, got a coloured one"
    ):  # without its place
        client.predict(depth_map=handle_file(str(photo)), kind="near-is-bright", prompt="a", api_name="/depth", **FEW)
    Image.open(photo).convert("L").save(tmp_path / "grey.png")
    grey = {"depth_map": handle_file(str(tmp_path / "grey.png")), "kind": "near-is-bright", "prompt": "a ball"}
    drawn = client.predict(**grey, api_name="/depth", **FEW)
    assert json.loads(drawn["request"])["map"]["kind"] == "near-is-bright"


def test_rerender_gives_the_pair_with_other_parallax(client: Client, served: Served, made: dict[str, Any]) -> None:
    flat = client.predict(result=made["result"], strength=0.0, convergence=0.0, api_name="/rerender")
    left = pixels(fetched(served, flat["files"]["left.png"]))
    assert torch.equal(left, pixels(fetched(served, flat["files"]["right.png"])))
    assert not torch.equal(left, pixels(fetched(served, made["files"]["right.png"])))
    with pytest.raises(Exception, match="strength must be a fraction of the width"):
        client.predict(result=made["result"], strength=3.0, convergence=0.0, api_name="/rerender")


def test_a_curve_and_a_floating_window_are_drawn_at_once(client: Client, served: Served, made: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"result": made["result"], "strength": 0.08, "convergence": 0.04}
    plain, curved, barred = (
        client.predict(**asked, **more, api_name="/rerender")
        for more in cast(list[dict[str, Any]], [{}, {"curve": "0,0.9,1"}, {"floating_window": True}])
    )
    right, bent = (pixels(fetched(served, each["files"]["right.png"])) for each in (plain, curved))
    assert not torch.equal(right, bent)
    pair = live_pair(served, made)
    expected = pair.at(Relief(strength=0.08, convergence=0.04)).with_floating_window()
    for name, eye in (("left.png", expected.left), ("right.png", expected.right)):
        shown = pixels(fetched(served, barred["files"][name]))
        assert torch.equal(shown, torch.from_numpy(np.asarray(to_pil(eye)).copy())), name
    assert max(cast(list[int], expected.provenance["floating_window"])) > 0  # there was something to hide
    with pytest.raises(Exception, match="a curve must begin with 0, never fall and end with 1"):
        client.predict(**asked, curve="0,2,1", api_name="/rerender")


def live_pair(served: Served, made: dict[str, Any]) -> Rerender:
    """The pair as this process makes it."""
    pair = cast(Run, served.model.run(request_from(json.loads(made["request"])))).result
    return Rerender(pair=pair, made=Relief(strength=0.08, convergence=0.0))


@pytest.mark.parametrize("display", DISPLAYS)
def test_comfort_is_the_package_s_own_and_what_it_suggests_is_comfortable(
    client: Client, served: Served, made: dict[str, Any], display: DisplayName
) -> None:
    pair = live_pair(served, made)
    told = client.predict(result=made["result"], display=display, api_name="/comfort")
    expected = report_on(measure_pair(pair.pair), DISPLAYS[display], display, Made(max_disparity=0.08, convergence=0.0))
    assert told == expected.plain()
    result = Result(name="a", request=cast(Any, None), pair=pair.pair, made=pair.made, notes=())
    fitted = result.comfortable(Look(relief=pair.made), display)
    by_parallax = {"divergence", "too near", "too far", "window"}
    left = by_parallax & {each.rule for each in broken_rules(measure_pair(shown(pair, fitted)), DISPLAYS[display])}
    assert left == set()
    assert (told["change"] is None) == (fitted == Look(relief=pair.made))


def shown(pair: Rerender, look: Look) -> StereoPair:
    drawn = pair.at(look.relief)
    return drawn.with_floating_window() if look.window else drawn


def test_a_photo_may_bring_its_map_and_be_the_right_eye_s(client: Client, served: Served, photo: Path) -> None:
    depth = photo.with_name("depth.npy")
    np.save(depth, np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64))
    given: dict[str, Any] = {
        "photo": handle_file(str(photo)),
        "depth_map": handle_file(str(depth)),
        "kind": "near-is-dark",
    }
    result = client.predict(**given, unknown="0", source="right", steps=3, api_name="/photo")
    said = json.loads(result["request"])
    assert said["map"] == {"path": "depth.npy", "kind": "near-is-dark", "unknown": "zero"}
    assert said["wanted"]["source"] == "right"
    own = pixels(photo.read_bytes())
    deeper = client.predict(result=result["result"], strength=0.15, convergence=0.0, api_name="/rerender")
    for each in (result, deeper):
        assert torch.equal(pixels(fetched(served, each["files"]["right.png"])), own)
    made_left, deeper_left = (pixels(fetched(served, each["files"]["left.png"])) for each in (result, deeper))
    assert not torch.equal(made_left, deeper_left)


def test_the_oldest_results_go_when_memory_is_full(made: dict[str, Any], served: Served, tmp_path: Path) -> None:
    request = request_from(json.loads(made["request"]))
    pair = live_pair(served, made).pair
    results = Results(kept=9, pixels=3 * 64 * 64, folder=tmp_path)
    names = [results.add(request, pair, ()).name for _ in range(5)]
    assert [name in results for name in names] == [False, False, True, True, True]
    few = Results(kept=2, pixels=1, folder=tmp_path)
    names = [few.add(request, pair, ()).name for _ in range(3)]
    assert [name in few for name in names] == [False, False, True]


def test_every_format_can_be_had_and_the_bundle_is_whole(served: Served, made: dict[str, Any]) -> None:
    assert set(made["formats"]) == set(OUTPUT_FORMATS)
    sizes = {name: len(fetched(served, each["url"])) for name, each in made["formats"].items()}
    assert min(sizes.values()) > 100
    with zipfile.ZipFile(io.BytesIO(fetched(served, made["files"]["bundle.zip"]))) as bundle:
        maps = {f"{eye}/stereo.pfm" for eye in ("disparity", "right_disparity")}
        pictures = {f"{part}/stereo.png" for part in ("left", "right", "left_occlusion", "right_occlusion")}
        beside = {"calibration/stereo.txt", "about/stereo.json", "request.json"}
        assert set(bundle.namelist()) == maps | pictures | beside
        assert request_from(json.loads(bundle.read("request.json"))).seed == 5


def test_matrices_of_anaglyphs_are_the_package_s_own(served: Served) -> None:
    known = json.loads(fetched(served, "stereo/anaglyphs.json"))
    left, right = torch.rand(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0)).unbind()
    for name, each in known.items():
        matrices = torch.tensor([each["left"], each["right"]])
        a, b = (left**2.2, right**2.2) if each["linear"] else (left, right)
        mixed = torch.einsum("oc,bchw->bohw", matrices[0], a) + torch.einsum("oc,bchw->bohw", matrices[1], b)
        shown = mixed.clamp(0, 1) ** (1 / 2.2) if each["linear"] else mixed.clamp(0, 1)
        torch.testing.assert_close(shown, anaglyph(left, right, name), atol=0.04, rtol=0)  # 2.2 is near sRGB's curve


def test_sixteen_clients_at_once_get_their_own(served: Served) -> None:
    got: dict[int, Any] = {}

    def ask(seed: int) -> None:
        with httpx.Client(base_url=served.url, timeout=120) as web:
            data = [f"ball {seed}", "", "fast", 2, seed, None, None, "", "", "left"]
            event = web.post("/gradio_api/call/text", json={"data": data}).raise_for_status().json()["event_id"]
            lines = web.get(f"/gradio_api/call/text/{event}").text.splitlines()
            got[seed] = json.loads(lines[max(i for i, line in enumerate(lines) if line == "event: complete") + 1][6:])[
                0
            ]

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert {seed: request_from(json.loads(each["request"])).seed for seed, each in got.items()} == {
        n: n for n in range(16)
    }


REFUSED = {
    "Steps of the preset": ({"data": ["a ball", "", "fast", 1, 0, None, None, "", "", "left"]}, "must be at least 2"),
    "no prompt": ({"data": [" ", "", "fast", 2, 0, None, None, "", "", "left"]}, "prompt is empty"),
    "too many steps": ({"data": ["a ball", "", "fast", 999, 0, None, None, "", "", "left"]}, "at most 200 steps"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refusals_are_one_line(served: Served, why: str) -> None:
    body, line = REFUSED[why]
    event = httpx.post(f"{served.url}/gradio_api/call/text", json=body).json()["event_id"]
    answer = httpx.get(f"{served.url}/gradio_api/call/text/{event}", timeout=60).text
    assert "event: error" in answer
    assert line in answer
    assert "Traceback" not in answer


FORBIDDEN = [
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=http://127.0.0.1:1/",
    "/gradio_api/file=../../etc/passwd",
    "/gradio_api/proxy=http://127.0.0.1:1/",
    "/gradio_api/vibe-code",
    "/gradio_api/runs",
    "/gradio_api/custom_component/1/client/component/index.js",
    "/monitoring",
    "/docs",
    "/stereo/static/../page.py",
    "/stereo/static/%2e%2e/page.py",
    "/static/..%2f..%2froutes.py",
    "/stereo/results/nobody/left.png",
    "/stereo/results/..%2f..%2fetc/passwd",
]


@pytest.mark.parametrize("path", FORBIDDEN)
def test_nothing_else_of_this_machine_is_given_out(served: Served, path: str) -> None:
    raw = httpx.URL(served.url).copy_with(raw_path=path.encode())
    assert httpx.get(raw).status_code in (400, 403, 404)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/p.png", "ftp://h/p", "//h/p", "/etc/passwd"])
def test_a_client_names_no_address_and_no_file_it_has_not_sent(served: Served, address: str) -> None:
    given = {"path": address, "meta": {"_type": "gradio.FileData"}}
    answer = httpx.post(
        f"{served.url}/gradio_api/call/photo",
        json={"data": [given, "", None, "", "nonfinite", None, "fast", 2, 0, None, None, "", "", "left"]},
    )
    if answer.status_code == 200:
        event = answer.json()["event_id"]
        answer = httpx.get(f"{served.url}/gradio_api/call/photo/{event}", timeout=60)
        assert "event: error" in answer.text
    else:
        assert answer.status_code == 400
        assert "got an address" in answer.text


def test_a_map_of_another_size_is_refused_and_leaves_nothing(served: Served, made: dict[str, Any]) -> None:
    url = f"{served.url}/stereo/results/{made['result']}/map"
    answer = httpx.post(url, content=b"Pf\n2 2\n-1.0\n" + bytes(16))
    assert answer.status_code == 400
    assert "expected a map of (64, 64), got (2, 2)" in answer.json()["detail"]
    assert httpx.post(url, content=b"nonsense").status_code == 400


async def _page(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"page"})


def guarded(**given: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Guard(_page, given.pop("limits", Limits()), **given))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def test_a_password_is_asked_for_everywhere() -> None:
    import anyio

    async def check() -> None:
        async with guarded(auth="ann:secret") as web:
            for path in ("/", "/stereo/results/x/left.png", "/gradio_api/info"):
                assert (await web.get(path)).status_code == 401
                assert (await web.get(path, auth=("ann", "wrong"))).status_code == 401
                assert (await web.get(path, auth=("ann", "secret"))).status_code == 200

    anyio.run(check)


def test_too_much_and_too_often_is_refused_and_so_are_other_names() -> None:
    import anyio

    async def check() -> None:
        limits = Limits(upload_bytes=100, messages_per_minute=4)
        async with guarded(limits=limits, hosts=frozenset({"localhost"})) as web:
            assert (await web.post("/gradio_api/upload", content=b"x" * 20_000)).status_code == 413
            assert (await web.post("/gradio_api/queue/join", content=b"x" * 2_000_000)).status_code == 413
            assert (await web.get("/", headers={"host": "evil.example"})).status_code == 403
            statuses = [(await web.post("/gradio_api/queue/join", content=b"{}")).status_code for _ in range(3)]
            assert statuses == [200, 200, 429]

    anyio.run(check)
