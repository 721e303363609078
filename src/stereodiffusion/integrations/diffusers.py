"""A pipeline of diffusers that makes stereo pairs: `StereoPipeline`.

It takes what a Stable Diffusion pipeline takes and gives pairs. Every call is a request that `StereoDiffusion` runs, so
a seed is the same pair here and there. The left picture of a prompt is what diffusers' own pipeline with a
`DDIMScheduler` draws from the same generator on the processor.

    from diffusers import StableDiffusionPipeline
    from stereodiffusion.integrations.diffusers import StereoPipeline

    pipe = StereoPipeline.from_pretrained("stable-diffusion-v1-5/stable-diffusion-v1-5")
    pipe = StereoPipeline.from_pipe(another, torch_dtype=another.dtype)  # LoRAs and embeddings that it has included
    output = pipe("a cat on a sofa", generator=torch.Generator().manual_seed(5))
    output.images[0].save("cat.png")  # side by side
    output.pairs.save("cat.jpg", "anaglyph")

What differs from other pipelines of diffusers: the scheduler gives the noise levels alone, and `changes` says how they
are sampled; a safety checker is carried along and not asked; prompts come as words, not as embeddings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, cast, get_args

import numpy as np
import PIL.Image
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import TextualInversionLoaderMixin
from diffusers.pipelines.pipeline_utils import StableDiffusionMixin
from diffusers.utils import BaseOutput
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from stereodiffusion.diffusion.denoise import Transition
from stereodiffusion.diffusion.solver import State
from stereodiffusion.errors import ConfigError
from stereodiffusion.formats import from_pil, side_by_side, to_pil
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.cards import AUTO
from stereodiffusion.pair import StereoPair
from stereodiffusion.request import DepthRequest, PhotoRequest, Request, TextRequest, prompts_of
from stereodiffusion.request.inputs import MapFile, PictureFile
from stereodiffusion.settings.presets import PresetName
from stereodiffusion.synthesis import Run, StereoDiffusion
from stereodiffusion.types import Image, Latent

OutputType: TypeAlias = Literal["pil", "np", "pt"]
Pictures: TypeAlias = list[PIL.Image.Image] | np.ndarray[Any, Any] | Tensor
"""Pillow images; an array (b, h, w, c); or a tensor (b, c, h, w). Colours are sRGB in [0, 1]."""

OnStepEnd: TypeAlias = Callable[[Any, int, int, dict[str, Any]], Mapping[str, Any] | None]
"""(pipeline, step, timestep, tensors by name) -> those that go on, as in diffusers."""

_LARGEST_SEED = 2**63 - 1


@dataclass
class StereoPipelineOutput(BaseOutput):
    """Pairs, one per prompt.

    Attributes:
        images: Side by side, the left eye's left; if the call was interrupted, left pictures alone.
        left: The left eye's pictures; as far as they came if the call was interrupted, None if they had not begun.
        right: The right eye's pictures; this and what follows is None if the call was interrupted.
        disparity: Of the left picture in pixels, of one channel; NaN where it is unknown. As Pillow images of mode F.
        occlusion: 1 where the right picture shows what the left eye does not see, of one channel.
        pairs: The same as a `StereoPair`, which knows all output formats and what it was made from.
    """

    images: Pictures
    left: Pictures | None = None
    right: Pictures | None = None
    disparity: Pictures | None = None
    occlusion: Pictures | None = None
    pairs: StereoPair | None = None


class StereoPipeline(DiffusionPipeline, StableDiffusionMixin, TextualInversionLoaderMixin):
    """Stereo pairs from a prompt, a photo or a disparity map, with the parts of a Stable Diffusion or SDXL pipeline.

    Args:
        vae: Autoencoder.
        text_encoder: Of the prompt.
        tokenizer: Of the prompt.
        unet: Predicts the noise.
        scheduler: Gives the noise levels.
        text_encoder_2: SDXL's second one.
        tokenizer_2: SDXL's second one.
        safety_checker: Carried along, so that other pipelines can be made of this one.
        feature_extractor: Carried along.
        force_zeros_for_empty_prompt: Of SDXL: an empty negative prompt is zeros.
        depth_estimator_name: What estimates depth: a name of `stereodiffusion models`, a repository or a folder.
    """

    model_cpu_offload_seq = "text_encoder->text_encoder_2->unet->vae"
    _optional_components: ClassVar[list[str]] = [
        "text_encoder_2",
        "tokenizer_2",
        "safety_checker",
        "feature_extractor",
    ]
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents"]

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel,
        scheduler: Any,
        text_encoder_2: CLIPTextModelWithProjection | None = None,
        tokenizer_2: CLIPTokenizer | None = None,
        safety_checker: Any = None,
        feature_extractor: Any = None,
        force_zeros_for_empty_prompt: bool = True,
        depth_estimator_name: str = AUTO,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            text_encoder_2=text_encoder_2,
            tokenizer_2=tokenizer_2,
            safety_checker=safety_checker,
            feature_extractor=feature_extractor,
        )
        self.register_to_config(
            force_zeros_for_empty_prompt=force_zeros_for_empty_prompt, depth_estimator_name=depth_estimator_name
        )
        self._made_of: tuple[object, ...] = ()
        self._stereo: StereoDiffusion | None = None
        self._interrupt = False
        self._num_timesteps = 0

    @property
    def interrupt(self) -> bool:
        """Whether the call is to end; a callback or another thread sets `_interrupt`, as in diffusers."""
        return self._interrupt

    @property
    def num_timesteps(self) -> int:
        """Steps in which the left picture is drawn, of the last call."""
        return self._num_timesteps

    @property
    def stereo(self) -> StereoDiffusion:
        """What runs the requests, around the parts that the pipeline has now."""
        made_of = (*self.components.values(), str(self._execution_device))
        same = len(made_of) == len(self._made_of) and all(
            one is other or (isinstance(one, str) and one == other)
            for one, other in zip(made_of, self._made_of, strict=True)
        )
        if self._stereo is None or not same:
            self._stereo = StereoDiffusion(self, depth_estimator=self.config["depth_estimator_name"])
            self._made_of = made_of
        return self._stereo

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str | None = None,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        output_type: OutputType = "pil",
        return_dict: bool = True,
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        *,
        image: "PIL.Image.Image | Image | str | Path | None" = None,
        disparity: "Disparity | MapFile | str | Path | None" = None,
        preset: PresetName = "best",
        changes: Mapping[str, object] | None = None,
    ) -> StereoPipelineOutput | tuple[Pictures]:
        """Make stereo pairs.

        Args:
            prompt: What the pictures show; one or several. May be left out with `image`.
            height: Of each eye in pixels; the model's own if None.
            width: Of each eye in pixels; the model's own if None.
            num_inference_steps: Steps in which the left picture is drawn; the preset's if None.
            guidance_scale: Of classifier-free guidance, from 1; the preset's if None.
            negative_prompt: What to steer away from, for all prompts.
            num_images_per_prompt: Pairs per prompt.
            generator: Its seed is the request's: picture k is drawn from `seed + k`, on the processor, whatever the
                device. A generator that something was drawn from already gives the next seed, and so does torch's
                global one if None. Several are for pictures of consecutive seeds, one each.
            output_type: `pil`, `np` or `pt`.
            return_dict: Whether to give a `StereoPipelineOutput`, otherwise its `images` in a tuple.
            callback_on_step_end: Called after each step in which the left picture is drawn. What it returns as
                `latents` goes on, and the views follow; `pipe._interrupt = True` ends the call after the step, in a
                later stage as well.
            callback_on_step_end_tensor_inputs: `latents` is all there is.
            image: A photo instead of a picture from the prompt: a Pillow image, a (b, 3, h, w) tensor in [0, 1] or a
                path. The left eye's.
            disparity: Of the photo; or without one of the picture that a depth-conditioned model draws. A map by its
                path, or a `Disparity`.
            preset: Settings of the method.
            changes: Single settings that differ from it, such as `{"shift.at": 0.3}`.

        Raises:
            ConfigError: If arguments contradict each other or are out of range, or the left picture is not drawn step
                by step, so that there is nothing to call back.
            ModelError: If the parts make no model that the method knows.
            PromptError: If a prompt is empty or cannot be encoded.
        """
        if output_type not in get_args(OutputType):
            raise ConfigError(f"output_type must be one of {', '.join(get_args(OutputType))}, got {output_type!r}")
        names = list(getattr(callback_on_step_end, "tensor_inputs", callback_on_step_end_tensor_inputs))
        if not set(names) <= set(self._callback_tensor_inputs):
            raise ConfigError(f"callbacks are given {self._callback_tensor_inputs}, expected no others, got {names}")
        asked: dict[str, Any] = {
            "model": self.stereo.name,
            "prompt": _repeated(prompt, num_images_per_prompt),
            "preset": preset,
            "changes": {**_said(num_inference_steps, guidance_scale), **(changes or {})},
        }
        if negative_prompt:
            asked["negative"] = negative_prompt
        if (size := self._size(height, width)) is not None:
            asked["size"] = size
        request = _request(asked, image, disparity)
        request = replace(request, seed=_seed_of(generator, len(prompts_of(request.prompt))))
        output = self._run(request, output_type, callback_on_step_end, names)
        self.maybe_free_model_hooks()
        return output if return_dict else (output.images,)

    def _run(
        self, request: Request, output_type: OutputType, on_step_end: OnStepEnd | None, names: Sequence[str]
    ) -> StereoPipelineOutput:
        """Run a request to its end, or to where it is interrupted."""
        self._interrupt = False
        seen = _Watch(self, request, on_step_end, names)
        self._num_timesteps = seen.steps
        drawn = not isinstance(request, PhotoRequest) and not request.settings().together
        run = cast(Run, self.stereo.run(request, edit=seen if drawn or on_step_end is not None else None))
        with cast(Any, self).progress_bar(total=self._num_timesteps) as bar:
            for progress in run:
                if progress.step == 1:
                    bar.reset(progress.steps)
                    bar.set_description(progress.stage)
                bar.update()
                if self._interrupt:
                    return _what_there_is(seen, output_type)
        return _output(run.result, output_type)

    def _size(self, height: int | None, width: int | None) -> tuple[int, int] | None:
        if height is None and width is None:
            return None
        own = self.stereo.backbone.native_size
        return (own[0] if height is None else height, own[1] if width is None else width)


class _Watch:
    """Hands the latents of each step to a callback and takes what it gives; keeps the last ones.

    Attributes:
        steps: Of the source.
        latents: After the last step so far, None before the first.
    """

    def __init__(
        self, pipe: StereoPipeline, request: Request, on_step_end: OnStepEnd | None, names: Sequence[str]
    ) -> None:
        self.backbone = pipe.stereo.depth_backbone if isinstance(request, DepthRequest) else pipe.stereo.backbone
        self.steps = request.settings().sampling.steps
        self.latents: Latent | None = None
        self._pipe, self._on_step_end, self._names = pipe, on_step_end, names

    def __call__(self, taken: Transition) -> State:
        latents = taken.x_s
        if self._on_step_end is not None:
            given = dict.fromkeys(self._names, latents)
            timestep = int(taken.schedule.timesteps[taken.index])
            returned = self._on_step_end(self._pipe, taken.index, timestep, given)
            latents = (returned or {}).get("latents", latents)
        self.latents = latents
        return replace(taken.state, latents=latents)


def _request(
    asked: Mapping[str, Any],
    image: "PIL.Image.Image | Image | str | Path | None",
    disparity: "Disparity | MapFile | str | Path | None",
) -> Request:
    """The request of the mode that the arguments mean."""
    given = cast(MapFile | None, disparity)
    if image is None:
        if disparity is None:
            return TextRequest(**asked)
        _refuse(asked, ("size",), "the map has the picture's shape")
        return DepthRequest(**asked, map=cast(MapFile, given))
    _refuse(asked, ("size", "negative"), "a photo has a size of its own, and nothing is steered away from")
    photo = from_pil(image) if isinstance(image, PIL.Image.Image) else image
    return PhotoRequest(**asked, photo=cast(PictureFile, photo), map=given)


def _refuse(asked: Mapping[str, Any], names: Sequence[str], why: str) -> None:
    if said := [name for name in names if name in asked]:
        arguments = {"size": "height and width", "negative": "negative_prompt"}
        raise ConfigError(f"{' and '.join(arguments[name] for name in said)} would have no effect: {why}")


def _said(steps: int | None, guidance: float | None) -> dict[str, object]:
    """The settings that pipelines have arguments of their own for."""
    said = {"sampling.steps": steps, "guidance.scale": guidance}
    return {name: value for name, value in said.items() if value is not None}


def _repeated(prompt: str | Sequence[str] | None, times: int) -> str | tuple[str, ...]:
    if times < 1:
        raise ConfigError(f"num_images_per_prompt must be at least 1, got {times}")
    prompts = tuple(each for each in prompts_of(prompt or "") for _ in range(times))
    return prompts[0] if len(prompts) == 1 else prompts


def _seed_of(generator: torch.Generator | Sequence[torch.Generator] | None, count: int) -> int:
    """The seed of the first picture; generators move on, so that they give another one next time."""
    if generator is None or isinstance(generator, torch.Generator):
        return _taken_from(generator)
    seeds = [_taken_from(each) for each in generator]
    if len(seeds) != count or seeds != list(range(seeds[0], seeds[0] + count)):
        raise ConfigError(f"expected a generator, or {count} of consecutive seeds, one per picture, got seeds {seeds}")
    return seeds[0]


def _taken_from(generator: torch.Generator | None) -> int:
    """The seed that a generator was given if nothing was drawn from it yet, otherwise a drawn one."""
    state = None if generator is None else generator.get_state()
    where = "cpu" if generator is None else generator.device
    drawn = int(torch.randint(_LARGEST_SEED, (), generator=generator, device=where))
    if generator is None or state is None:
        return drawn
    seed = generator.initial_seed()
    unused = torch.equal(state, torch.Generator(where).manual_seed(seed).get_state())
    return seed if unused and seed <= _LARGEST_SEED else drawn


def _output(pair: StereoPair, kind: OutputType) -> StereoPipelineOutput:
    unknown = torch.where(pair.disparity.known, pair.disparity.pixels, torch.nan)
    return StereoPipelineOutput(
        images=_as(side_by_side(pair.left, pair.right), kind),
        left=_as(pair.left, kind),
        right=_as(pair.right, kind),
        disparity=_as(unknown, kind),
        occlusion=_as(pair.occlusion.float(), kind),
        pairs=pair,
    )


def _what_there_is(seen: _Watch, kind: OutputType) -> StereoPipelineOutput:
    """Of an interrupted call: the left picture as far as it came, as diffusers' pipelines give it."""
    if seen.latents is None:
        return StereoPipelineOutput(images=[])
    left = _as(seen.backbone.decode(seen.latents), kind)
    return StereoPipelineOutput(images=left, left=left)


def _as(values: Tensor, kind: OutputType) -> Pictures:
    """Pictures (b, 3, h, w) or maps (b, 1, h, w) as they were asked for."""
    if kind == "pt":
        return values
    array = values.permute(0, 2, 3, 1).float().cpu().numpy()
    if kind == "np":
        return array
    if values.shape[1] == 3:
        return [to_pil(picture[None]) for picture in values]
    return [PIL.Image.fromarray(each[..., 0]) for each in array]
