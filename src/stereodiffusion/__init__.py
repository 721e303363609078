"""StereoDiffusion: training-free stereo image pairs with latent diffusion models.

>>> import stereodiffusion
>>> model = stereodiffusion.load("toybox")
>>> pair = model.text("a red ball in front of a striped blue box", seed=1)
>>> pair.save("ball.png", format="anaglyph")

The names below are the public ones; they are imported when they are first used, so that `import stereodiffusion` loads
neither torch nor diffusers.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stereodiffusion.errors import StereoDiffusionError
    from stereodiffusion.geometry import Disparity, StereoRig
    from stereodiffusion.models.hub import Hub
    from stereodiffusion.models.memory import Memory
    from stereodiffusion.pair import StereoPair
    from stereodiffusion.request import DepthRequest, Pair, PhotoRequest, TextRequest, Views
    from stereodiffusion.request.inputs import MapFile, PictureFile
    from stereodiffusion.settings import Settings
    from stereodiffusion.settings.presets import preset
    from stereodiffusion.synthesis import StereoDiffusion, load
    from stereodiffusion.viewpoint import spread
    from stereodiffusion.views import View

_HOMES = {
    "DepthRequest": "stereodiffusion.request",
    "Disparity": "stereodiffusion.geometry",
    "Hub": "stereodiffusion.models.hub",
    "MapFile": "stereodiffusion.request.inputs",
    "Memory": "stereodiffusion.models.memory",
    "Pair": "stereodiffusion.request",
    "PhotoRequest": "stereodiffusion.request",
    "PictureFile": "stereodiffusion.request.inputs",
    "Settings": "stereodiffusion.settings",
    "StereoDiffusion": "stereodiffusion.synthesis",
    "StereoDiffusionError": "stereodiffusion.errors",
    "StereoPair": "stereodiffusion.pair",
    "StereoRig": "stereodiffusion.geometry",
    "TextRequest": "stereodiffusion.request",
    "View": "stereodiffusion.views",
    "Views": "stereodiffusion.request",
    "load": "stereodiffusion.synthesis",
    "preset": "stereodiffusion.settings.presets",
    "spread": "stereodiffusion.viewpoint",
}

__all__ = [
    "DepthRequest",
    "Disparity",
    "Hub",
    "MapFile",
    "Memory",
    "Pair",
    "PhotoRequest",
    "PictureFile",
    "Settings",
    "StereoDiffusion",
    "StereoDiffusionError",
    "StereoPair",
    "StereoRig",
    "TextRequest",
    "View",
    "Views",
    "__version__",
    "load",
    "preset",
    "spread",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
