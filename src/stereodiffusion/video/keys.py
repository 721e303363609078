"""Key frames: a diffusion model draws their occlusions as those of a photo, and other frames carry them on."""

from typing import cast

from stereodiffusion.geometry import Disparity
from stereodiffusion.pair import StereoPair
from stereodiffusion.request import PhotoRequest
from stereodiffusion.synthesis import Run, StereoDiffusion
from stereodiffusion.types import Image
from stereodiffusion.video.request import KeyFrames


def drawn_pair(model: StereoDiffusion, keys: KeyFrames, picture: Image, disparity: Disparity) -> StereoPair:
    """A frame as a photo, by the preset `best`: the model draws what the frame does not see, and nothing else.

    Args:
        model: Of that name.
        keys: What is said of it.
        picture: The frame, (1, 3, h, w).
        disparity: Of the frame, held steady and final.
    """
    request = PhotoRequest(
        model=model.name,
        photo=picture,  # pyright: ignore[reportArgumentType] - it becomes what it should be
        map=disparity,  # pyright: ignore[reportArgumentType]
        prompt=keys.prompt,
        changes=keys.changes,
        seed=keys.seed,
    )
    return cast(Run, model.run(request)).result
