"""All methods of the benchmark behind one shape: a left view and its disparity in, the right view out.

The disparity is in pixels of the left view and is used as it is; normalising it, scaling it or estimating it is the
protocol's business. The warping methods do not draw unknown cells, so that these become holes; the others take them to
lie behind what is known.

The two-step route of Fig. 7 is not among them: it is a remedy for pictures made *from a depth map and a prompt*, whose
left view it draws first. Where a photo is given there is nothing to remedy, its second step is photo mode itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

import torch

from stereodiffusion.baselines.blank import leave_blank, warp
from stereodiffusion.baselines.classical import navier_stokes, telea
from stereodiffusion.baselines.identity import identity
from stereodiffusion.baselines.latent_blanking import BLANKING, latent_blanking
from stereodiffusion.baselines.latent_inpainting import LatentFill, inpaint
from stereodiffusion.baselines.ldi import photography_3d
from stereodiffusion.baselines.repaint import SHORT_WALK, RePaintSettings, repaint
from stereodiffusion.baselines.stretch import stretch
from stereodiffusion.bench.tools import Tools
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.settings import AttentionMode, Settings
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.compose import known_view
from stereodiffusion.synthesis.conditioning import Prompted, condition
from stereodiffusion.synthesis.noise import seeded_noise
from stereodiffusion.synthesis.photo import photo_source
from stereodiffusion.synthesis.run import Run
from stereodiffusion.synthesis.sizes import working_size
from stereodiffusion.synthesis.stereo import pair_beside
from stereodiffusion.types import Image, Map, Region


@runtime_checkable
class ViewSynthesizer(Protocol):
    """Anything that makes a right view; ours and every baseline look alike."""

    def __call__(self, left: Image, disparity: Disparity) -> Image:
        """The right view, (1, 3, h, w), of a left one, (1, 3, h, w), and its disparity in pixels on the same grid."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One row of a table; call it with `Tools` for the method itself.

    Attributes:
        description: What it does, in a line.
        tables: The paper's tables that have it.
        needs_model: Whether it needs a diffusion model.
        make: Builds it; a model is loaded when a picture is first asked for.
    """

    description: str
    tables: tuple[Literal[1, 2], ...]
    needs_model: bool
    make: Callable[[Tools], ViewSynthesizer]

    def __call__(self, tools: Tools) -> ViewSynthesizer:
        """The method, ready for pictures."""
        return self.make(tools)


def _classical(description: str, method: ViewSynthesizer, tables: tuple[Literal[1], ...] = ()) -> Method:
    return Method(description=description, tables=tables, needs_model=False, make=lambda _: method)


def _photography_3d(left: Image, disparity: Disparity) -> Image:
    return photography_3d(left, disparity)


def _leave_blank_subpixel(left: Image, disparity: Disparity) -> Image:
    return leave_blank(left, disparity, registration="subpixel")


def _stretch_subpixel(left: Image, disparity: Disparity) -> Image:
    return stretch(left, disparity, registration="subpixel")


def _background(left: Image, disparity: Disparity, *, fill: Literal["smooth", "exemplars"] = "exemplars") -> Image:
    return known_view(left, disparity, replace(preset("best", "photo").warp, fill=fill)).view


def _background_smooth(left: Image, disparity: Disparity) -> Image:
    return _background(left, disparity, fill="smooth")


# --- StereoDiffusion -------------------------------------------------------------------------------------------------


def paper_settings(
    *,
    attention: AttentionMode = "off",
    spsmd: bool = False,
    deblur: bool = False,
    inversion: Literal["null-text", "ddim"] = "null-text",
) -> Settings:
    """The `paper` preset with each technique switched, on a disparity that is final."""
    return preset("paper", "photo").changed(
        {
            "parallax.scale": "metric",
            "views.attention.mode": attention,
            "views.resync.how": "copy" if spsmd else "off",
            "shift.deblur": deblur,
            "views.inversion": inversion,
        }
    )


def stereo_diffusion(settings: Settings) -> Callable[[Tools], ViewSynthesizer]:
    """Photo mode with these settings."""

    def make(tools: Tools) -> ViewSynthesizer:
        """With the tools' model and seed, and their number of steps if they have one."""
        chosen = settings if tools.steps is None else settings.changed({"sampling.steps": tools.steps})
        asked = Prompted(prompts=[""], seed=tools.seed)

        def synthesize(left: Image, disparity: Disparity) -> Image:
            source = photo_source(tools.backbone, left, disparity, asked, chosen, retrace=tools.inversion)
            return Run(pair_beside(source)).result.right.to(left)

        return synthesize

    return make


_TABLE_2 = ("-none", "-spsmd", "-attention", "", "-attention-spsmd-deblur")
"""The combinations of techniques that the paper prints; the one without a suffix is its method."""


def _ablation() -> dict[str, Method]:
    """Every combination of techniques, inverted as published, or by plain DDIM at a tenth of the cost."""
    rows: dict[str, Method] = {}
    for attention, spsmd, deblur in product(get_args(AttentionMode), (False, True), (False, True)):
        switches = {"attention": attention == "unidirectional", "bidirectional": attention == "bidirectional",
                    "spsmd": spsmd, "deblur": deblur}  # fmt: skip
        names = [name for name, on in switches.items() if on] or ["none"]
        suffix = "" if names == ["attention", "spsmd"] else "-" + "-".join(names)
        techniques = " + ".join(names).replace("none", "the shift alone")
        configured = partial(paper_settings, attention=attention, spsmd=spsmd, deblur=deblur)
        rows[f"sd-paper{suffix}"] = Method(
            description=f"StereoDiffusion as published: {techniques}",
            tables=((1, 2) if suffix == "" else (2,)) if suffix in _TABLE_2 else (),
            needs_model=True,
            make=stereo_diffusion(configured(inversion="null-text")),
        )
        rows[f"sd-paper{suffix}-ddim"] = Method(
            description=f"StereoDiffusion with DDIM instead of null-text inversion: {techniques}",
            tables=(),
            needs_model=True,
            make=stereo_diffusion(configured(inversion="ddim")),
        )
    return rows


# --- Inpainting with the same model ----------------------------------------------------------------------------------

_FillMaker: TypeAlias = Callable[[Tools, Conditioning, tuple[int, int]], LatentFill]


def _repaint_fill(walk: RePaintSettings) -> _FillMaker:
    def make(tools: Tools, given: Conditioning, size: tuple[int, int]) -> LatentFill:
        generator = torch.Generator().manual_seed(tools.seed)
        return lambda z_0, visible: repaint(tools.backbone, z_0, visible, given, generator, walk)

    return make


def blanking_fill(tools: Tools, given: Conditioning, size: tuple[int, int]) -> LatentFill:
    """Inpainting by latent blanking, ready for `fill_holes`."""
    settings = BLANKING if tools.steps is None else BLANKING.changed({"sampling.steps": tools.steps})
    _, fresh = seeded_noise(tools.backbone, tools.seed, 1, size)
    return lambda z_0, visible: latent_blanking(tools.backbone, z_0, visible, given, fresh, settings)


def fill_holes(tools: Tools, maker: _FillMaker, picture: Image, visible: Region) -> Image:
    """The picture with what is not visible drawn by the model."""
    size = working_size(picture.shape[2], picture.shape[3], tools.backbone)
    given = condition(tools.backbone, Prompted(prompts=[""]), 1.0)
    return inpaint(tools.backbone, picture, visible, size, maker(tools, given, size))


def _inpainting(maker: _FillMaker) -> Callable[[Tools], ViewSynthesizer]:
    """The warped left view, its holes filled by the model.

    The warp is the sub-pixel one: cracks of a column would leave a model of 8 x 8 pixels per cell little to hold to
    (on Middlebury's Teddy at 512, 52 % of the cells are whole with cracks, 79 % without).
    """

    def make(tools: Tools) -> ViewSynthesizer:
        def synthesize(left: Image, disparity: Disparity) -> Image:
            warped = warp(left, disparity, registration="subpixel")
            return fill_holes(tools, maker, warped.view, warped.visible)

        return synthesize

    return make


def _stretch_decoded(tools: Tools) -> ViewSynthesizer:
    """Stretch as a latent diffusion model would hand it over: at its size, encoded and decoded.

    A control. Where views are misregistered, what blurs them comes closer to the truth; this tells how much of a
    score comes from there.
    """

    def synthesize(left: Image, disparity: Disparity) -> Image:
        size = left.shape[2], left.shape[3]
        made = stretch(left, disparity).to(tools.backbone.device)
        latents = tools.backbone.encode(resize_image(made, *working_size(*size, tools.backbone)))
        return resize_image(tools.backbone.decode(latents), *size).to(left)

    return synthesize


def _photography_3d_diffusion(tools: Tools) -> ViewSynthesizer:
    """3D Photography, the synthesis region of each layer filled by a short RePaint walk from its context."""
    walk = _repaint_fill(SHORT_WALK)

    def fill(picture: Image, disparity: Map, context: Region, synthesis: Region) -> Image:
        return fill_holes(tools, walk, picture, context & ~synthesis)

    def synthesize(left: Image, disparity: Disparity) -> Image:
        return photography_3d(left, disparity, fill=fill)

    return synthesize


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "identity": _classical("the left view as it is", identity),
        "blank": _classical("whole pixels moved, holes black (leave blank)", leave_blank, (1,)),
        "blank-subpixel": _classical("moved with sub-pixel accuracy, holes black", _leave_blank_subpixel),
        "stretch": _classical("whole pixels moved, holes stretched over row by row", stretch, (1,)),
        "stretch-subpixel": _classical("as stretch, moved with sub-pixel accuracy", _stretch_subpixel),
        "stretch-decoded": Method(
            description="as stretch, through the model's autoencoder: what its blur alone does",
            tables=(),
            needs_model=True,
            make=_stretch_decoded,
        ),
        "telea": _classical("moved with sub-pixel accuracy, holes inpainted by Telea (2004)", telea),
        "navier-stokes": _classical(
            "moved with sub-pixel accuracy, holes inpainted by Navier-Stokes (Bertalmio et al. 2001)", navier_stokes
        ),
        "photography-3d": _classical("3D Photography (Shih et al. 2020), filled from exemplars", _photography_3d, (1,)),
        "photography-3d-diffusion": Method(
            description="3D Photography, filled by the diffusion model",
            tables=(),
            needs_model=True,
            make=_photography_3d_diffusion,
        ),
        "repaint": Method(
            description="RePaint (Lugmayr et al. 2022) as published: 250 steps, jump 10, 10 resamplings",
            tables=(1,),
            needs_model=True,
            make=_inpainting(_repaint_fill(RePaintSettings())),
        ),
        "repaint-short": Method(
            description="RePaint with 50 steps, jump 5, 3 resamplings",
            tables=(),
            needs_model=True,
            make=_inpainting(_repaint_fill(SHORT_WALK)),
        ),
        **_ablation(),
        "sd-fast": Method(
            description="StereoDiffusion, preset fast: inverted once, the right alone, sub-pixel registration",
            tables=(),
            needs_model=True,
            make=stereo_diffusion(preset("fast", "photo")),
        ),
        "sd-best": Method(
            description="StereoDiffusion, preset best: the left's own pixels, occlusions alone are generated",
            tables=(),
            needs_model=True,
            make=stereo_diffusion(preset("best", "photo")),
        ),
        "background": _classical("sd-best without the model: occlusions continue the background", _background),
        "background-smooth": _classical("background, without the picture's own texture", _background_smooth),
        "latent-blanking": Method(
            description="inpainting by latent blanking (Fig. 8)",
            tables=(),
            needs_model=True,
            make=_inpainting(blanking_fill),
        ),
    }
)
"""Every method by name, in the order of the tables."""
