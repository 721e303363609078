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
from stereodiffusion.hub import DEFAULT, Hub
from stereodiffusion.pair import StereoPair
from stereodiffusion.synthesis.asking import check_request, device_of
from stereodiffusion.synthesis.depth import depth_source, two_step_source
from stereodiffusion.synthesis.photo import check_photo, photo_source
from stereodiffusion.synthesis.run import Run, ViewRun
from stereodiffusion.synthesis.stereo import Recording, pair_beside, views_beside
from stereodiffusion.synthesis.text import text_source
from stereodiffusion.types import Image
from stereodiffusion.viewpoint import Source

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


class StereoDiffusion:
    """Makes stereo pairs from text, from a depth map and text, or from a photo.

    Each mode has three faces: `text` gives the pair, `text_run` gives a `Run` to iterate over for progress, and
    `text_views` gives views from as many places as wanted, one after another; so do `depth` and `photo`. Settings are a
    preset's name, which takes the guidance that the model's card recommends, or a `StereoConfig` of your own, which is
    taken as it is.

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
        device: str | None = None,
        dtype: PrecisionChoice = "auto",
        depth_estimator: str | Path | None = None,
        compiled: bool = False,
        hub: Hub = DEFAULT,
    ) -> None:
        self._model, self._hub, self._compiled = model, hub, compiled
        self._dtype: PrecisionChoice = dtype
        self.estimator_name = depth_estimator or ("toybox-depth" if model == "toybox" else "dpt-hybrid-midas")
        self._device = device or device_of(model)
        check_request(model, self.estimator_name, device=self._device, dtype=dtype, hub=hub)

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

        return load_backbone(
            self._model, device=self._device, dtype=self._dtype, depth=depth, compiled=self._compiled, hub=self._hub
        )

    def _resolve(self, settings: PresetName | StereoConfig, mode: Mode) -> StereoConfig:
        return preset_for(self._model, settings, mode) if isinstance(settings, str) else settings

    @cached_property
    def estimator(self) -> DepthEstimator:
        """The monocular depth estimator."""
        hub = self._hub.for_another
        return load_depth_estimator(self.estimator_name, device=self._device, dtype="float32", hub=hub)

    def text_run(
        self,
        prompt: str | Sequence[str],
        *,
        negative: str = "",
        settings: PresetName | StereoConfig = "best",
        seed: int = 0,
        size: tuple[int, int] | None = None,
        source: Source = "left",
    ) -> Run:
        """`text`, step by step."""
        config = self._resolve(settings, "text")
        return Run(pair_beside(self._text(prompt, negative, config, seed, size), config, source))

    def text(
        self,
        prompt: str | Sequence[str],
        *,
        negative: str = "",
        settings: PresetName | StereoConfig = "best",
        seed: int = 0,
        size: tuple[int, int] | None = None,
        source: Source = "left",
    ) -> StereoPair:
        """A stereo pair from a prompt, or a batch of pairs from several.

        Args:
            prompt: What the picture shows.
            negative: What to steer away from.
            settings: A preset or settings of your own.
            seed: Same seed, same picture; pair k of a batch is what `seed + k` gives alone.
            size: (height, width) in pixels, multiples of the model's cell; its own size if None.
            source: Which eye the picture is that is drawn first; beside `centre` both are made.

        Raises:
            ConfigError: If settings, size or source make no sense.
            ModelError: If the model cannot be loaded or is of the wrong kind.
            PromptError: If the prompt cannot be encoded.
        """
        return self.text_run(prompt, negative=negative, settings=settings, seed=seed, size=size, source=source).result

    def text_views(
        self,
        prompt: str | Sequence[str],
        positions: Sequence[float],
        *,
        negative: str = "",
        settings: PresetName | StereoConfig = "best",
        seed: int = 0,
        size: tuple[int, int] | None = None,
    ) -> ViewRun:
        """Views of one picture, drawn once, from several places.

        Args:
            prompt: What the picture shows.
            positions: In baselines to the right of the picture, from left to right (see `spread`); 0 is the picture.
            negative: As for `text`, as are the others.
            settings: Those that record the left alone: not the preset `paper`.
            seed: Same seed, same picture.
            size: (height, width) in pixels.

        Raises:
            ConfigError: If settings, size or positions make no sense.
            ModelError: If the model cannot be loaded or is of the wrong kind.
            PromptError: If the prompt cannot be encoded.
        """
        config = self._resolve(settings, "text")
        recording = self._text(prompt, negative, config, seed, size)
        return ViewRun(views_beside(recording, config, positions), positions)

    def _text(
        self,
        prompt: str | Sequence[str],
        negative: str,
        config: StereoConfig,
        seed: int,
        size: tuple[int, int] | None,
    ) -> Recording:
        return text_source(
            self.backbone, self.estimator, _listed(prompt), negative=negative, config=config, seed=seed, size=size
        )

    def depth_run(
        self,
        disparity: Disparity,
        prompt: str | Sequence[str],
        *,
        negative: str = "",
        settings: PresetName | StereoConfig = "best",
        seed: int = 0,
        two_step: bool = False,
        photo_settings: PresetName | StereoConfig | None = None,
        source: Source = "left",
    ) -> Run:
        """`depth`, step by step."""
        recording, config = self._depth(disparity, prompt, negative, settings, seed, two_step, photo_settings)
        return Run(pair_beside(recording, config, source))

    def depth(
        self,
        disparity: Disparity,
        prompt: str | Sequence[str],
        *,
        negative: str = "",
        settings: PresetName | StereoConfig = "best",
        seed: int = 0,
        two_step: bool = False,
        photo_settings: PresetName | StereoConfig | None = None,
        source: Source = "left",
    ) -> StereoPair:
        """A stereo pair from a picture that has the given disparity.

        Args:
            disparity: Of the source, on any grid; its aspect ratio becomes the picture's.
            prompt: What the picture shows.
            negative: What to steer away from.
            settings: A preset or settings of your own.
            seed: Same seed, same picture.
            two_step: Draw the source first, then treat it as a photo (Fig. 7).
            photo_settings: Of the second of the two steps; `settings` if None.
            source: Which eye the map belongs to; beside `centre` both are made.

        Raises:
            ConfigError: If settings or source make no sense.
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
            source=source,
        ).result

    def depth_views(
        self,
        disparity: Disparity,
        prompt: str | Sequence[str],
        positions: Sequence[float],
        *,
        negative: str = "",
        settings: PresetName | StereoConfig = "best",
        seed: int = 0,
        two_step: bool = False,
        photo_settings: PresetName | StereoConfig | None = None,
    ) -> ViewRun:
        """Views from several places of one picture that has the given disparity.

        Args:
            disparity: Of the picture, on any grid; a view one baseline away has all of it as parallax.
            prompt: What the picture shows.
            positions: As for `text_views`.
            negative: As for `depth`, as are the others.
            settings: Those that record the left alone: not the preset `paper`.
            seed: Same seed, same picture.
            two_step: Draw the picture first, then treat it as a photo (Fig. 7).
            photo_settings: Of the second of the two steps; `settings` if None.

        Raises:
            ConfigError: If settings or positions make no sense.
            GeometryError: If the disparity is no `Disparity`.
            ModelError: If the model cannot be loaded or takes no depth map.
            PromptError: If the prompt cannot be encoded.
        """
        recording, config = self._depth(disparity, prompt, negative, settings, seed, two_step, photo_settings)
        return ViewRun(views_beside(recording, config, positions), positions)

    def _depth(
        self,
        disparity: Disparity,
        prompt: str | Sequence[str],
        negative: str,
        settings: PresetName | StereoConfig,
        seed: int,
        two_step: bool,
        photo_settings: PresetName | StereoConfig | None,
    ) -> tuple[Recording, StereoConfig]:
        """The source, and the settings of what is made beside it."""
        check_disparity(disparity)
        config, prompts = self._resolve(settings, "depth"), _listed(prompt)
        if not two_step:
            drawn = depth_source(self.depth_backbone, disparity, prompts, negative=negative, config=config, seed=seed)
            return drawn, config
        photo_config = self._resolve(settings if photo_settings is None else photo_settings, "photo")
        drawn = two_step_source(
            self.depth_backbone,
            self.backbone,
            disparity,
            prompts,
            negative=negative,
            config=config,
            photo_config=photo_config,
            seed=seed,
        )
        return drawn, photo_config

    def photo_run(
        self,
        photo: Image,
        *,
        disparity: Disparity | None = None,
        prompt: str | Sequence[str] = "",
        settings: PresetName | StereoConfig = "best",
        seed: int = 0,
        source: Source = "left",
    ) -> Run:
        """`photo`, step by step."""
        config = self._resolve(settings, "photo")
        return Run(pair_beside(self._photo(photo, disparity, prompt, config, seed), config, source))

    def photo(
        self,
        photo: Image,
        *,
        disparity: Disparity | None = None,
        prompt: str | Sequence[str] = "",
        settings: PresetName | StereoConfig = "best",
        seed: int = 0,
        source: Source = "left",
    ) -> StereoPair:
        """A stereo pair from a photo, at the photo's size.

        Args:
            photo: sRGB in [0, 1], (b, 3, h, w).
            disparity: Of the photo, at its size; estimated if None.
            prompt: What the photo shows; empty is fine.
            settings: A preset or settings of your own.
            seed: For the noise of Eq. 8, the only noise of this mode.
            source: Which eye the photo is; beside `centre` both are made.

        Raises:
            ConfigError: If settings or source make no sense.
            GeometryError: If the photo is no (b, 3, h, w) float tensor in [0, 1], or the disparity is of another size.
            ModelError: If the model cannot be loaded or is of the wrong kind.
            PromptError: If the prompt cannot be encoded.
        """
        run = self.photo_run(photo, disparity=disparity, prompt=prompt, settings=settings, seed=seed, source=source)
        return run.result

    def photo_views(
        self,
        photo: Image,
        positions: Sequence[float],
        *,
        disparity: Disparity | None = None,
        prompt: str | Sequence[str] = "",
        settings: PresetName | StereoConfig = "best",
        seed: int = 0,
    ) -> ViewRun:
        """Views from several places of a photo, which is inverted once.

        Args:
            photo: sRGB in [0, 1], (b, 3, h, w).
            positions: As for `text_views`.
            disparity: Of the photo, at its size; a view one baseline away has all of it as parallax.
            prompt: As for `photo`, as are the others.
            settings: Those that record the left alone: not the preset `paper`.
            seed: For the noise of Eq. 8.

        Raises:
            ConfigError: If settings or positions make no sense.
            GeometryError: If the photo is no (b, 3, h, w) float tensor in [0, 1], or the disparity is of another size.
            ModelError: If the model cannot be loaded or is of the wrong kind.
            PromptError: If the prompt cannot be encoded.
        """
        config = self._resolve(settings, "photo")
        recording = self._photo(photo, disparity, prompt, config, seed)
        return ViewRun(views_beside(recording, config, positions), positions)

    def _photo(
        self, photo: Image, disparity: Disparity | None, prompt: str | Sequence[str], config: StereoConfig, seed: int
    ) -> Recording:
        check_photo(photo)
        prompts = [prompt] * len(photo) if isinstance(prompt, str) else list(prompt)
        backbone = self.backbone  # before an estimator is fetched for it
        given = self.estimator if disparity is None else disparity
        return photo_source(backbone, photo, given, prompts=prompts, config=config, seed=seed)


def load(
    model: "str | Path | DiffusionPipeline" = "toybox",
    *,
    device: str | None = None,
    dtype: PrecisionChoice = "auto",
    depth_estimator: str | Path | None = None,
    compiled: bool = False,
    hub: Hub = DEFAULT,
) -> StereoDiffusion:
    """A model ready to make stereo pairs.

    Args:
        model: `toybox`, the name of a card, a hub id, also with `@revision`, a folder in diffusers' layout, a
            `.safetensors` file, or a pipeline of diffusers that you already have (its LoRAs, dtype, device and
            offloading are kept).
        device: Where to compute: `cpu`, `cuda`, `mps`; a pipeline's own, otherwise `cpu`, if None.
        dtype: `float32`, `float16`, `bfloat16`, or `auto`: the fastest that the device is good at, bfloat16 on
            processors that multiply in it, float16 on CUDA, otherwise float32.
        depth_estimator: `toybox-depth`, the name of a card, a hub id or a folder; by default the one that suits
            the model.
        compiled: Whether to compile the network's layers where that does not get in the way of the method
            (`torch.compile`). That is meant for graphics cards, where it was not measured; a processor gains nothing.
        hub: Which revision and variant of a model of the hub, and how it is fetched, as in diffusers.

    Raises:
        ModelError: If it can be seen at once that the model cannot be loaded; what has to be fetched or read for that
            is found on first use, and parts that a mode does not need are not looked for.
        ConfigError: If there is no such device or precision here; on first use, if nothing can be compiled.
    """
    return StereoDiffusion(
        model, device=device, dtype=dtype, depth_estimator=depth_estimator, compiled=compiled, hub=hub
    )


def _listed(prompt: str | Sequence[str]) -> list[str]:
    return [prompt] if isinstance(prompt, str) else list(prompt)
