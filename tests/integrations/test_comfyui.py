"""The nodes, imported and run as ComfyUI does: by their path, in inference mode, link by link along a workflow."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests import tiny
from torch import Tensor
from transformers import DPTImageProcessorPil

from stereodiffusion import StereoDiffusion
from stereodiffusion.errors import StereoDiffusionError
from stereodiffusion.formats import OUTPUT_FORMATS, read_image, read_metadata, side_by_side
from stereodiffusion.geometry import Disparity
from stereodiffusion.request import TextRequest, request_from
from stereodiffusion.settings import Settings
from stereodiffusion.settings.presets import preset_names

pytestmark = pytest.mark.long

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"
WORKFLOWS = sorted((FOLDER / "example_workflows").glob("*.json"))
WIDGETS = ("STRING", "INT", "FLOAT", "BOOLEAN")
OWN: dict[str, Any] = {
    "LoadImage": {"inputs": {"image": ([],)}, "outputs": ("IMAGE", "MASK")},
    "PreviewImage": {"inputs": {"images": ("IMAGE",)}, "outputs": ()},
}
"""ComfyUI's own nodes in the workflows."""

_IMPORT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("custom_nodes_x_stereodiffusion", sys.argv[1] + "/__init__.py")
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
assert set(module.NODE_CLASS_MAPPINGS) == set(module.NODE_DISPLAY_NAME_MAPPINGS)
print(*sorted(module.NODE_CLASS_MAPPINGS))
"""


@pytest.fixture(scope="module")
def nodes() -> Generator[Mapping[str, Any], None, None]:
    spec = importlib.util.spec_from_file_location("custom_nodes_x_stereodiffusion", FOLDER / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module.NODE_CLASS_MAPPINGS
    for name in [name for name in sys.modules if name.startswith(spec.name)]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text-conditioned model with its depth-conditioned sibling."""
    return tiny.save_with_depth(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def estimator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny-depth"
    tiny.depth_estimator().save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def loaded(nodes: Mapping[str, Any], model: Path, estimator: Path) -> StereoDiffusion:
    (stereo,) = nodes["StereoDiffusionLoader"]().load("toybox", str(model), str(estimator), "cpu", "float32")
    return stereo


def call(nodes: Mapping[str, Any], node: str, /, **given: Any) -> Any:
    """A node as ComfyUI runs it: widgets that are not set have their defaults."""
    kind = nodes[node]
    inputs = kind.INPUT_TYPES()["required"]
    defaults = {key: _default(each) for key, each in inputs.items() if isinstance(each[0], list) or each[0] in WIDGETS}
    with torch.inference_mode():
        return getattr(kind(), kind.FUNCTION)(**{**defaults, **given})


def _default(declared: Any) -> Any:
    told = declared[1] if len(declared) > 1 else {}
    if "default" in told:
        return told["default"]
    return declared[0][0] if isinstance(declared[0], list) else {"INT": 0, "BOOLEAN": False}[declared[0]]


def few(nodes: Mapping[str, Any], **more: str) -> Any:
    return call(nodes, "StereoDiffusionSettings", sampling_steps="3", **more)[0]


def test_comfyui_finds_the_nodes_by_path() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _IMPORT, str(FOLDER)], check=True, capture_output=True, text=True
    ).stdout.split()
    assert len(found) == 9
    assert all(name.startswith("StereoDiffusion") for name in found)


def test_inputs_are_the_fields_of_the_requests(nodes: Mapping[str, Any]) -> None:
    asked = nodes["StereoDiffusionFromText"].INPUT_TYPES()["required"]
    assert asked["preset"][0] == list(preset_names())
    assert asked["preset"][1]["default"] == "best"
    assert asked["seed"][0] == "INT"
    assert asked["seed"][1]["max"] == 2**63 - 1
    settings = nodes["StereoDiffusionSettings"].INPUT_TYPES()["required"]
    plain = TextRequest(prompt="a").settings().plain()
    for name in set(settings) - {"more"}:
        assert any(name.startswith(f"{group}_") and name.removeprefix(f"{group}_") in plain[group] for group in plain)
    assert settings["sampling_solver"][0][1:] == ["ddim", "dpm++", "lcm"]
    assert nodes["StereoDiffusionSave"].INPUT_TYPES()["required"]["format"][0] == list(OUTPUT_FORMATS)


def test_settings_that_are_not_set_stay_the_presets(nodes: Mapping[str, Any]) -> None:
    assert call(nodes, "StereoDiffusionSettings") == ({},)
    more = '{"views.attention.mode": "off"}'
    (changes,) = call(nodes, "StereoDiffusionSettings", guidance_scale="3", sampling_solver="dpm++", more=more)
    assert changes == {"guidance.scale": 3, "sampling.solver": "dpm++", "views.attention.mode": "off"}
    assert isinstance(TextRequest(prompt="a", changes=changes).settings(), Settings)
    with pytest.raises(StereoDiffusionError, match="more takes settings by name as JSON"):
        call(nodes, "StereoDiffusionSettings", more="shift.at=0.3")
    (wrong,) = call(nodes, "StereoDiffusionSettings", sampling_steps="many")
    with pytest.raises(StereoDiffusionError, match=r"sampling\.steps: input should be a valid integer, got 'many'"):
        TextRequest(prompt="a", changes=wrong)


def test_text_is_the_packages_own_pair(nodes: Mapping[str, Any], loaded: StereoDiffusion) -> None:
    changes = few(nodes)
    (source,) = call(
        nodes,
        "StereoDiffusionFromText",
        model=loaded,
        prompt="a red ball",
        seed=3,
        width=96,
        height=64,
        settings=changes,
    )
    pair, left, right, depth, occlusion = call(nodes, "StereoDiffusionPair", source=source)
    expected = loaded.text("a red ball", changes=changes, seed=3, size=(64, 96))
    assert torch.equal(left, expected.left.movedim(1, -1))
    assert torch.equal(right, expected.right.movedim(1, -1))
    assert torch.equal(occlusion, expected.occlusion[:, 0].float())
    assert left.shape == (1, 64, 96, 3)
    assert (depth.min(), depth.max()) == (0, 1)
    near = pair.disparity.pixels[0, 0].flatten().argsort()
    assert torch.equal(depth[0, ..., 0].flatten()[near], depth[0, ..., 0].flatten().sort().values)
    (packed,) = call(nodes, "StereoDiffusionPack", pair=pair)
    assert (packed - side_by_side(pair.left, pair.right).movedim(1, -1)).abs().max() <= 0.5 / 255 + 1e-6


def test_a_depth_picture_is_the_map_it_shows(nodes: Mapping[str, Any], loaded: StereoDiffusion) -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 64, 64)[..., None].expand(-1, -1, -1, 3)
    changes = few(nodes, parallax_max_disparity="0.125", map_refine="off")
    given = {"model": loaded, "depth": ramp, "prompt": "a red ball", "settings": changes}
    (source,) = call(nodes, "StereoDiffusionFromDepth", **given)
    pair, *_ = call(nodes, "StereoDiffusionPair", source=source)
    expected = Disparity.from_relative(ramp[..., 0], 8.0)  # an eighth of 64 columns
    torch.testing.assert_close(pair.disparity.pixels, expected.pixels)
    (dark,) = call(nodes, "StereoDiffusionFromDepth", **{**given, "map_kind": "near-is-dark"})
    torch.testing.assert_close(dark.request.map.value.pixels, expected.pixels.flip(-1))


@pytest.mark.parametrize("preset", ["best", "paper"])
def test_a_photo_keeps_its_pixels_and_inversion_has_its_gradients(
    nodes: Mapping[str, Any], loaded: StereoDiffusion, preset: str
) -> None:
    with torch.inference_mode():
        photo = torch.rand(1, 64, 96, 4, generator=torch.Generator().manual_seed(1))
        depth = torch.linspace(0, 1, 32)[None, :, None, None].expand(1, 32, 48, 3)
    settings = few(nodes)
    (source,) = call(
        nodes, "StereoDiffusionFromPhoto", model=loaded, photo=photo, depth=depth, preset=preset, settings=settings
    )
    _, left, right, *_ = call(nodes, "StereoDiffusionPair", source=source)
    assert right.shape == (1, 64, 96, 3)
    assert torch.equal(left, photo[..., :3]) == (preset == "best")
    with pytest.raises(StereoDiffusionError, match="expected depth of the photo's shape, got 32x20 and 64x96"):
        call(nodes, "StereoDiffusionFromPhoto", model=loaded, photo=photo, depth=depth[:, :, :20])


def test_views_run_from_left_to_right(nodes: Mapping[str, Any], loaded: StereoDiffusion) -> None:
    (source,) = call(nodes, "StereoDiffusionFromText", model=loaded, prompt="a red ball", settings=few(nodes))
    views, occlusion = call(nodes, "StereoDiffusionViews", source=source, count=3, first=0.0, last=1.0)
    _, left, right, *_ = call(nodes, "StereoDiffusionPair", source=source)
    assert views.shape == (3, 64, 64, 3)
    assert torch.equal(views[:1], left)
    assert torch.equal(views[2:], right)
    assert occlusion[0].sum() == 0


def test_saving_numbers_files_and_keeps_the_request(
    nodes: Mapping[str, Any], loaded: StereoDiffusion, estimator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = SimpleNamespace(get_output_directory=lambda: str(tmp_path))
    monkeypatch.setitem(sys.modules, "folder_paths", folders)  # pyright: ignore[reportArgumentType]
    (source,) = call(nodes, "StereoDiffusionFromText", model=loaded, prompt="a red ball", settings=few(nodes))
    pair, left, right, *_ = call(nodes, "StereoDiffusionPair", source=source)
    shown = [call(nodes, "StereoDiffusionSave", pair=pair, name="ball") for _ in range(2)]
    assert shown[1] == {"ui": {"images": [{"filename": "ball_00001.png", "subfolder": "", "type": "output"}]}}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ball_00000.png", "ball_00001.png"]
    both = torch.cat([left, right], dim=2).movedim(-1, 1)
    assert (read_image(tmp_path / "ball_00000.png") - both).abs().max() <= 0.5 / 255 + 1e-6
    told = request_from(read_metadata(tmp_path / "ball_00000.png")["request"])
    assert told == replace(source.request, estimator=str(estimator))
    with pytest.raises(StereoDiffusionError, match=r"expected a name without folders, got '\.\./ball'"):
        call(nodes, "StereoDiffusionSave", pair=pair, name="../ball")


def test_the_stop_button_stops_and_the_bar_moves(
    nodes: Mapping[str, Any], loaded: StereoDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ComfyUI puts into sys.modules, as these nodes use it."""
    moved: list[tuple[int, int]] = []

    def stop() -> None:
        if len(moved) >= 2:
            raise InterruptedError

    bar = SimpleNamespace(update_absolute=lambda value, total: moved.append((value, total)))
    utils = SimpleNamespace(ProgressBar=lambda _: bar)
    management = SimpleNamespace(throw_exception_if_processing_interrupted=stop)
    monkeypatch.setitem(sys.modules, "comfy.utils", utils)  # pyright: ignore[reportArgumentType]
    monkeypatch.setitem(sys.modules, "comfy.model_management", management)  # pyright: ignore[reportArgumentType]
    (source,) = call(nodes, "StereoDiffusionFromText", model=loaded, prompt="a red ball", settings=few(nodes))
    with pytest.raises(InterruptedError):
        call(nodes, "StereoDiffusionPair", source=source)
    assert moved == [(1, 3), (2, 3)]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflows_fit_the_nodes_and_run(
    nodes: Mapping[str, Any], model: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    workflow = json.loads(file.read_text())
    links = {
        number: (source, slot, target, place, kind) for number, source, slot, target, place, kind in workflow["links"]
    }
    by_id = {node["id"]: node for node in workflow["nodes"]}
    results: dict[int, Any] = {}
    for node in sorted(workflow["nodes"], key=lambda node: node["order"]):
        inputs, outputs = _declared(nodes, node["type"])
        given = _widgets(inputs, node)
        for place, each in enumerate(node["inputs"]):
            assert each["type"] == inputs[each["name"]][0]
            if each["link"] is None:
                assert each["name"] in nodes[node["type"]].INPUT_TYPES()["optional"]
                continue
            source, slot, target, at, kind = links[each["link"]]
            assert (target, at, kind) == (node["id"], place, each["type"])
            assert _declared(nodes, by_id[source]["type"])[1][slot] == kind
            assert each["link"] in by_id[source]["outputs"][slot]["links"]
            given[each["name"]] = results[source][slot]
        results[node["id"]] = _run(nodes, node["type"], given, model)
        assert [each["type"] for each in node["outputs"]] == list(outputs)
    assert len(results) == len(by_id)


def _declared(nodes: Mapping[str, Any], kind: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    if kind in OWN:
        return OWN[kind]["inputs"], OWN[kind]["outputs"]
    declared = nodes[kind].INPUT_TYPES()
    return {**declared["required"], **declared.get("optional", {})}, nodes[kind].RETURN_TYPES


def _widgets(inputs: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the widgets by name; a seed has a second one, and so has a picture that is uploaded."""
    values, given = list(node["widgets_values"]), dict[str, Any]()
    for name, declared in inputs.items():
        if isinstance(declared[0], list) or declared[0] in WIDGETS:
            given[name] = values.pop(0)
            assert not isinstance(declared[0], list) or given[name] in declared[0] or node["type"] in OWN
            if name in ("seed", "image"):
                assert values.pop(0) in ("fixed", "image")
    assert values == []
    return given


def _run(nodes: Mapping[str, Any], kind: str, given: dict[str, Any], model: Path) -> Any:
    if kind == "LoadImage":
        ramp = torch.linspace(0, 1, 64)[None, :, None, None].expand(1, 64, 64, 3)
        return ramp, torch.zeros(1, 64, 64)
    if kind == "PreviewImage":
        images: Tensor = given["images"]
        assert images.ndim == 4
        assert images.shape[-1] == 3
        return ()
    if kind == "StereoDiffusionLoader":
        given |= {"other": str(model), "estimator": "toybox-depth", "device": "cpu"}
    if "StereoDiffusionFrom" in kind:
        given["settings"] = {"sampling.steps": 3}
    return call(nodes, kind, **given)
