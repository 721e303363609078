"""The three modes behind one loaded model: what most people use."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from stereodiffusion.cards import preset_for
from stereodiffusion.config import Mode, PrecisionChoice, PresetName, StereoConfig
from stereodiffusion.depth import DepthEstimator, load_depth_estimator
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.disparity import check_disparity
from stereodiffusion.pair import StereoPair
from stereodiffusion.synthesis.depth import depth_to_stereo, two_step_to_stereo
from stereodiffusion.synthesis.photo import check_photo, photo_to_stereo
from stereodiffusion.synthesis.run import Run
from stereodiffusion.synthesis.text import text_to_stereo
from stereodiffusion.types import Image

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


class StereoDiffusion:
    """Makes stereo pairs from text, from a depth map and text, or from a photo.

    Each mode has two faces: `text` gives the pair, `text_run` gives a `Run` to iterate over for progress; so do
    `depth` and `photo`. Settings are a preset's name, which takes the guidance that the model's card recommends, or a
    `StereoConfig` of your own, which is taken as it is.

    Attributes:
        backbone: The text-conditioned model, loaded on first use.
        depth_backbone: The depth-conditioned model, loaded on first use.
        estimator: The monocular depth estimator, loaded on first use.
        estimator_name: Which one that is.
    """

    def __init__(
        self,
        model: "str | Path | DiffusionPipeline" = "toybox",
        *,
        device: str = "cpu",
        dtype: PrecisionChoice = "auto",
        depth_estimator: str | Path | None = None,
    ) -> None:
        self._model, self._device = model, device
        self._dtype: PrecisionChoice = dtype
        self.estimator_name = depth_estimator or ("toybox-depth" if model == "toybox" else "dpt-hybrid-midas")

    @cached_property
    def backbone(self) -> Backbone:
        """The text-conditioned model."""
        return self._load(depth=False)

    @cached_property
    def depth_backbone(self) -> Backbone:
        """The depth-conditioned model: a sibling of its own for `toybox`, the model itself for SD2-depth."""
        return self._load(depth=True)

    def _load(self, *, depth: bool) -> Backbone:
        from stereodiffusion.backbones import load_backbone  # diffusers takes seconds to import

        return load_backbone(self._model, device=self._device, dtype=self._dtype, depth=depth)

    def _resolve(self, settings: PresetName | StereoConfig, mode: Mode) -> StereoConfig:
        return preset_for(self._model, settings, mode) if isinstance(settings, str) else settings

    @cached_property
    def estimator(self) -> DepthEstimator:
        """The monocular depth estimator."""
        return load_depth_estimator(self.estimator_name, device=self._device, dtype="float32")

    def text_run(
        self,
        prompt: str | Sequence[str],
        *,
        negative: str = "",
        settings: PresetName | StereoConfig = "fast",
        seed: int = 0,
        size: tuple[int, int] | None = None,
    ) -> Run:
        """`text`, step by step."""
        config = self._resolve(settings, "text")
        return Run(
            text_to_stereo(
                self.backbone,
                self.estimator,
                _listed(prompt),
                negative=negative,
                config=config,
                seed=seed,
                size=size,
            )
        )

    def text(
        self,
        prompt: str | Sequence[str],
        *,
        negative: str = "",
        settings: PresetName | StereoConfig = "fast",
        seed: int = 0,
        size: tuple[int, int] | None = None,
    ) -> StereoPair:
        """A stereo pair from a prompt, or a batch of pairs from several.

        Args:
            prompt: What the picture shows.
            negative: What to steer away from.
            settings: A preset or settings of your own.
            seed: Same seed, same picture; pair k of a batch is what `seed + k` gives alone.
            size: (height, width) in pixels, multiples of the model's cell; its own size if None.

        Raises:
            ConfigError: If settings or size make no sense.
            ModelError: If the model cannot be loaded or is of the wrong kind.
            PromptError: If the prompt cannot be encoded.
        """
        return self.text_run(prompt, negative=negative, settings=settings, seed=seed, size=size).result

    def depth_run(
        self,
        disparity: Disparity,
        prompt: str | Sequence[str],
        *,
        negative: str = "",
        settings: PresetName | StereoConfig = "fast",
        seed: int = 0,
        two_step: bool = False,
        photo_settings: PresetName | StereoConfig | None = None,
    ) -> Run:
        """`depth`, step by step."""
        check_disparity(disparity)
        config, prompts = self._resolve(settings, "depth"), _listed(prompt)
        if two_step:
            photo_config = self._resolve(settings if photo_settings is None else photo_settings, "photo")
            return Run(
                two_step_to_stereo(
                    self.depth_backbone,
                    self.backbone,
                    disparity,
                    prompts,
                    negative=negative,
                    config=config,
                    photo_config=photo_config,
                    seed=seed,
                )
            )
        return Run(
            depth_to_stereo(self.depth_backbone, disparity, prompts, negative=negative, config=config, seed=seed)
        )

    def depth(
        self,
        disparity: Disparity,
        prompt: str | Sequence[str],
        *,
        negative: str = "",
        settings: PresetName | StereoConfig = "fast",
        seed: int = 0,
        two_step: bool = False,
        photo_settings: PresetName | StereoConfig | None = None,
    ) -> StereoPair:
        """A stereo pair whose left view has the given disparity.

        Args:
            disparity: Of the left view, on any grid; its aspect ratio becomes the picture's.
            prompt: What the picture shows.
            negative: What to steer away from.
            settings: A preset or settings of your own.
            seed: Same seed, same picture.
            two_step: Make the left picture first, then treat it as a photo (Fig. 7).
            photo_settings: Of the second of the two steps; `settings` if None.

        Raises:
            ConfigError: If the settings make no sense.
            GeometryError: If the disparity is no `Disparity`.
            ModelError: If the model cannot be loaded or takes no depth map.
            PromptError: If the prompt cannot be encoded.
        """
        return self.depth_run(
            disparity,
            prompt,
            negative=negative,
            settings=settings,
            seed=seed,
            two_step=two_step,
            photo_settings=photo_settings,
        ).result

    def photo_run(
        self,
        photo: Image,
        *,
        disparity: Disparity | None = None,
        prompt: str | Sequence[str] = "",
        settings: PresetName | StereoConfig = "fast",
        seed: int = 0,
    ) -> Run:
        """`photo`, step by step."""
        check_photo(photo)
        config = self._resolve(settings, "photo")
        prompts = [prompt] * len(photo) if isinstance(prompt, str) else list(prompt)
        source = self.estimator if disparity is None else disparity
        return Run(photo_to_stereo(self.backbone, photo, source, prompts=prompts, config=config, seed=seed))

    def photo(
        self,
        photo: Image,
        *,
        disparity: Disparity | None = None,
        prompt: str | Sequence[str] = "",
        settings: PresetName | StereoConfig = "fast",
        seed: int = 0,
    ) -> StereoPair:
        """A stereo pair from a photo, at the photo's size.

        Args:
            photo: sRGB in [0, 1], (b, 3, h, w).
            disparity: Of the photo, at its size; estimated if None.
            prompt: What the photo shows; empty is fine.
            settings: A preset or settings of your own.
            seed: For the noise of Eq. 8, the only noise of this mode.

        Raises:
            ConfigError: If the settings make no sense.
            GeometryError: If the photo is no (b, 3, h, w) float tensor in [0, 1], or the disparity is of another size.
            ModelError: If the model cannot be loaded or is of the wrong kind.
            PromptError: If the prompt cannot be encoded.
        """
        return self.photo_run(photo, disparity=disparity, prompt=prompt, settings=settings, seed=seed).result


def load(
    model: "str | Path | DiffusionPipeline" = "toybox",
    *,
    device: str = "cpu",
    dtype: PrecisionChoice = "auto",
    depth_estimator: str | Path | None = None,
) -> StereoDiffusion:
    """A model ready to make stereo pairs.

    Args:
        model: `toybox`, the name of a card, a hub id, a folder in diffusers' layout, a `.safetensors` file, or a
            pipeline of diffusers that you already have (its LoRAs, dtype, device and offloading are kept).
        device: Where to compute: `cpu`, `cuda`, `mps`.
        dtype: `float32`, `float16`, `bfloat16`, or `auto`: the fastest that the device is good at, bfloat16 on
            processors that multiply in it, float16 on CUDA, otherwise float32.
        depth_estimator: `toybox-depth`, the name of a card, a hub id or a folder; by default the one that suits
            the model.

    Raises:
        ModelError: If the model cannot be loaded; parts that a mode does not need are not looked for.
    """
    return StereoDiffusion(model, device=device, dtype=dtype, depth_estimator=depth_estimator)


def _listed(prompt: str | Sequence[str]) -> list[str]:
    return [prompt] if isinstance(prompt, str) else list(prompt)
