"""The pipeline for diffusers: the pictures of diffusers' own, the pairs of the package, callbacks that matter."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers import DiffusionPipeline
from tests import tiny
from torch import Tensor
from transformers import DPTImageProcessorPil

from stereodiffusion import StereoDiffusion
from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity
from stereodiffusion.integrations.diffusers import StereoPipeline, StereoPipelineOutput

pytestmark = pytest.mark.long

REPOSITORY = Path(__file__).parents[2]
FEW = {"num_inference_steps": 3, "guidance_scale": 3.0}


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def theirs() -> Any:
    pipe: Any = tiny.pipeline("epsilon")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def estimator(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny-depth"
    tiny.depth_estimator().save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def pipe(theirs: Any, estimator: str) -> Any:
    pipe: Any = StereoPipeline.from_pipe(theirs, depth_estimator_name=estimator)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_the_left_is_diffusers_own_picture(pipe: Any, theirs: Any) -> None:
    asked = {**FEW, "negative_prompt": "a blue box", "height": 64, "width": 96, "output_type": "pt"}
    ours = pipe("a red ball", generator=seeded(), **asked)
    torch.testing.assert_close(ours.left, theirs("a red ball", generator=seeded(), **asked).images, rtol=0, atol=1e-4)
    assert not torch.equal(ours.left, ours.right)


def test_sdxl_too(estimator: str) -> None:
    theirs: Any = tiny.xl_pipeline()
    pipe: Any = StereoPipeline.from_pipe(theirs, depth_estimator_name=estimator)
    for each in (pipe, theirs):
        each.set_progress_bar_config(disable=True)
    ours = pipe("a red ball", generator=seeded(), output_type="pt", **FEW)
    expected = theirs("a red ball", generator=seeded(), output_type="pt", **FEW)
    torch.testing.assert_close(ours.left, expected.images, rtol=0, atol=1e-4)


def test_a_seed_is_the_same_pair_as_the_packages_own(pipe: Any, theirs: Any, estimator: str) -> None:
    changes = {"sampling.steps": 3, "guidance.scale": 3.0}
    expected = StereoDiffusion(theirs, depth_estimator=estimator).text("a red ball", changes=changes, seed=3)
    ours = pipe("a red ball", generator=seeded(), output_type="pt", **FEW)
    assert torch.equal(ours.left, expected.left)
    assert torch.equal(ours.right, expected.right)
    assert torch.equal(ours.disparity, expected.disparity.pixels)
    assert torch.equal(ours.occlusion == 1, expected.occlusion)


def test_a_batch_is_its_seeds_and_a_used_generator_gives_another_picture(pipe: Any) -> None:
    generators = [seeded(3), seeded(4)]
    batch = pipe(["a red ball", "a blue box"], generator=generators, output_type="pt", **FEW)
    again = pipe("a red ball", generator=seeded(3), num_images_per_prompt=2, output_type="pt", **FEW)
    assert len(batch.left) == len(again.left) == 2
    torch.testing.assert_close(batch.left[0], again.left[0], rtol=0, atol=1e-4)
    used, twin = generators[0], seeded(3)
    pipe("a red ball", generator=twin, **FEW)
    first = pipe("a red ball", generator=used, output_type="pt", **FEW)
    second = pipe("a red ball", generator=twin, output_type="pt", **FEW)
    assert torch.equal(first.left, second.left)
    assert (first.left - batch.left[:1]).abs().max() > 0.01
    with pytest.raises(ConfigError, match=r"2 of consecutive seeds, one per picture, got seeds \[3, 9\]"):
        pipe(["a red ball", "a blue box"], generator=[seeded(3), seeded(9)])


def test_without_a_generator_torchs_own_is_asked(pipe: Any) -> None:
    torch.manual_seed(11)
    first = pipe("a red ball", output_type="pt", **FEW)
    second = pipe("a red ball", output_type="pt", **FEW)
    torch.manual_seed(11)
    assert torch.equal(pipe("a red ball", output_type="pt", **FEW).right, first.right)
    assert not torch.equal(first.left, second.left)


def test_callbacks_change_what_goes_on(pipe: Any, theirs: Any) -> None:
    """The same callback has the same effect in diffusers' own pipeline, and the right view follows the left."""
    seen: list[tuple[str, int, int]] = []

    def halve(who: Any, step: int, timestep: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.append((type(who).__name__, step, int(timestep)))
        return {"latents": given["latents"] * 0.5} if step == 1 else {}

    asked = {**FEW, "callback_on_step_end": halve, "output_type": "pt"}
    ours = pipe("a red ball", generator=seeded(), **asked)
    expected = theirs("a red ball", generator=seeded(), **asked)
    torch.testing.assert_close(ours.left, expected.images, rtol=0, atol=1e-4)
    plain = pipe("a red ball", generator=seeded(), output_type="pt", **FEW)
    assert (ours.left - plain.left).abs().max() > 0.01
    assert (ours.right - plain.right).abs().max() > 0.01
    mine, others = ([entry[1:] for entry in seen if entry[0] == type(who).__name__] for who in (pipe, theirs))
    assert mine == others
    assert [step for step, _ in mine] == list(range(pipe.num_timesteps))


def test_an_interrupted_call_gives_the_left_as_diffusers_does(pipe: Any, theirs: Any) -> None:
    def stop(who: Any, step: int, timestep: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
        del timestep
        who._interrupt = step == 1
        return given

    asked = {**FEW, "callback_on_step_end": stop, "output_type": "pt"}

    ours: StereoPipelineOutput = pipe("a red ball", generator=seeded(), **asked)
    assert (ours.right, ours.disparity, ours.occlusion, ours.pairs) == (None,) * 4
    expected = theirs("a red ball", generator=seeded(), **{**asked, "callback_on_step_end": _stay_interrupted})
    torch.testing.assert_close(ours.images, expected.images, rtol=0, atol=1e-4)


def _stay_interrupted(who: Any, step: int, timestep: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
    del timestep
    who._interrupt = step >= 1
    return given


def test_output_types_say_the_same(pipe: Any) -> None:
    asked = {**FEW, "prompt": "a red ball"}
    tensors, arrays, images = (pipe(generator=seeded(), output_type=kind, **asked) for kind in ("pt", "np", "pil"))
    for name in ("images", "left", "right", "disparity", "occlusion"):
        tensor, array, image = (getattr(output, name) for output in (tensors, arrays, images))
        assert np.array_equal(array, tensor.permute(0, 2, 3, 1).numpy())
        assert isinstance(image[0], PIL.Image.Image)
        unit = 255 if tensor.shape[1] == 3 else 1
        levels = np.asarray(image[0], dtype=np.float32).reshape(array.shape[1:]) / unit
        assert np.abs(levels - array[0]).max() <= 0.5 / unit * (unit > 1) + 1e-6
    assert torch.equal(tensors.images, torch.cat([tensors.left, tensors.right], dim=-1))
    (alone,) = pipe(generator=seeded(), output_type="pt", return_dict=False, **asked)
    assert torch.equal(alone, tensors.images)


def test_photos_and_maps(pipe: Any) -> None:
    photo = torch.rand(1, 3, 64, 96, generator=seeded())
    pixels = torch.full((1, 1, 64, 96), 4.0)
    given = Disparity(pixels=pixels, known=torch.ones_like(pixels, dtype=torch.bool))
    output = pipe(image=photo, disparity=given, num_inference_steps=3, generator=seeded(), output_type="pt")
    assert torch.equal(output.left, photo)
    assert torch.equal(output.right[..., :-4], photo[..., 4:])  # x_R = x_L - 4
    with pytest.raises(ConfigError, match="height and width would have no effect: a photo has a size of its own"):
        pipe(image=photo, disparity=given, height=64)
    with pytest.raises(ConfigError, match="one that is drawn alone"):
        pipe(image=photo, disparity=given, callback_on_step_end=_stay_interrupted)


def test_as_a_custom_pipeline_from_disk_and_back(
    tmp_path: Path, theirs: Any, estimator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    tiny.save(tmp_path / "model")
    folder = str(REPOSITORY / "integrations" / "diffusers")
    loaded: Any = DiffusionPipeline.from_pretrained(tmp_path / "model", custom_pipeline=folder, trust_remote_code=True)
    loaded.set_progress_bar_config(disable=True)
    loaded.register_to_config(depth_estimator_name=estimator)
    ours = loaded("a red ball", generator=seeded(), output_type="pt", **FEW)
    expected = theirs("a red ball", generator=seeded(), output_type="pt", **FEW)
    torch.testing.assert_close(ours.left, expected.images, rtol=0, atol=1e-4)
    loaded.save_pretrained(tmp_path / "saved")
    again: Any = StereoPipeline.from_pretrained(tmp_path / "saved")
    again.set_progress_bar_config(disable=True)
    assert torch.equal(again("a red ball", generator=seeded(), output_type="pt", **FEW).right, ours.right)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"output_type": "latent"}, "output_type must be one of pil, np, pt, got 'latent'"),
        ({"callback_on_step_end_tensor_inputs": ["prompt_embeds"]}, r"callbacks are given \['latents'\]"),
        ({"num_inference_steps": 1}, "sampling.steps must be at least 2, got 1"),
        ({"num_images_per_prompt": 0}, "num_images_per_prompt must be at least 1, got 0"),
        ({"prompt": None}, "the prompt is empty"),
    ],
)
def test_what_makes_no_sense_is_refused(pipe: Any, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pipe(**{"prompt": "a red ball", **asked})
