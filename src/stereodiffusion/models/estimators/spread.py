"""A depth estimator that says how sure it is, and leaves to the layout of most pictures what it cannot tell.

The file of weights is a GLPN's with one convolution more, so that `AutoModelForDepthEstimation` loads the depth alone.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import GLPNConfig, GLPNForDepthEstimation

from stereodiffusion.errors import ModelError, first_line
from stereodiffusion.geometry.accept import check_picture
from stereodiffusion.types import Image, Map

_LONG_SIDE = 128
"""Of the pictures that the network was trained with; at others it tells less."""
_STRIDE = 32
"""Its sides are multiples of this."""


class GLPNWithSpread(GLPNForDepthEstimation):
    """GLPN (Kim et al. 2022) with a second head.

    What it learns is the logarithm of the scale `b` of a Laplace distribution of the error (Kendall & Gal 2017), in
    units of the picture's own mean absolute deviation of inverse depth: at 0, the error is as large as all relief.
    A configuration with `halved` leaves out the last doubling of the size.
    """

    def __init__(self, config: GLPNConfig) -> None:
        super().__init__(config)
        self.spread = nn.Conv2d(config.decoder_hidden_size, 1, kernel_size=3, padding=1)
        if getattr(config, "halved", False):
            self.halve()
        self.post_init()

    def halve(self) -> None:
        """Predict at half the size, twice as fast."""
        self.config.halved = True
        self.decoder.add_module("final_upsample", nn.Identity())

    def predict(self, pictures: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b h2 w2"], Float[Tensor, "b h2 w2"]]:
        """Relative inverse depth in (0, `max_depth`), and the logarithm of `b`; sides are multiples of 32."""
        hidden = self.glpn(pictures, output_hidden_states=True, return_dict=True).hidden_states
        features = self.decoder(hidden)
        return cast(Tensor, self.head(features)), cast(Tensor, self.spread(features[-1])).squeeze(1)


class UnsureDepth:
    """Relief where the network is sure of it; where it is not, the lower the nearer, which most photographs are.

    Attributes:
        name: What the estimator is called in messages and metadata.
        least_side: Pictures of any size will do.
        has_borders: It has none: moved to the edges in the picture, so coarse a map would cut through textures.
    """

    least_side = 1
    has_borders = False

    def __init__(self, *, name: str, model: GLPNWithSpread) -> None:
        self.name = name
        self._model = model

    def __call__(self, image: Image) -> Map:
        """Relative inverse depth at the picture's own size: finite, not negative, near is large, arbitrary scale.

        Raises:
            GeometryError: If `image` is not a batch of RGB pictures.
            ModelError: If the network fails, or predicts something that is not a number.
        """
        check_picture(image, name="image")
        inverse, confidence = self.estimate(image)
        faded = confidence * inverse + (1 - confidence) * layout(inverse)
        whole = nn.functional.interpolate(faded[:, None], size=image.shape[-2:], mode="bicubic", align_corners=False)
        return whole.clamp(min=0).to(image.device)

    @torch.no_grad()
    def estimate(self, image: Image) -> tuple[Float[Tensor, "b h2 w2"], Float[Tensor, "b h2 w2"]]:
        """What the network sees in a picture and in its mirror image, averaged: inverse depth, and its confidence.

        Confidence is `1 / (1 + b)`: a half where the error is as large as all relief.
        """
        parameter = next(self._model.parameters())
        small = nn.functional.interpolate(image.float(), size=_size_for(image), mode="area")
        small = small.to(parameter.device, parameter.dtype)
        try:
            there, back = self._model.predict(small), self._model.predict(small.flip(-1))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:  # its settings do not fit one another
            raise ModelError(f"{self.name} fails on a picture: {first_line(error)}") from error
        inverse, spread = ((one + other.flip(-1)).float() / 2 for one, other in zip(there, back, strict=True))
        if inverse.shape != spread.shape:
            raise ModelError(f"{self.name}: expected depth and spread of one size, its settings make them of two")
        if not bool((inverse.isfinite() & spread.isfinite()).all()):
            raise ModelError(f"{self.name} predicted values that are not finite in {parameter.dtype}; try float32")
        return inverse, 1 / (1 + spread.exp())


def layout(inverse: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Inverse depth that grows evenly from the top row to the bottom one, with the mean and deviation of another."""
    rows = torch.linspace(-1, 1, inverse.shape[-2], dtype=inverse.dtype, device=inverse.device)[None, :, None]
    rows = rows / rows.square().mean().sqrt()
    mean, deviation = inverse.mean((1, 2), keepdim=True), inverse.std((1, 2), keepdim=True, correction=0)
    return mean + deviation * rows.expand_as(inverse)


def _size_for(image: Image) -> list[int]:
    scale = _LONG_SIDE / max(image.shape[-2:])
    return [max(_STRIDE, round(side * scale / _STRIDE) * _STRIDE) for side in image.shape[-2:]]
