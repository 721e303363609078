"""The protocol of a depth estimator, and the networks of transformers behind it.

A picture goes through the network's own image processor, the network, and back to the picture's size:

    pixels  ->  processor  ->  network  ->  inverse depth  ->  bicubic, to the picture's size

Networks differ in what they predict. The MiDaS family (DPT) and Depth Anything predict inverse depth up to scale
and offset (Ranftl et al. 2020, 2021); others predict depth in metres, which is inverted *before* the resizing: the
inverse depth of a plane is affine in pixel coordinates, so interpolating it keeps planes planar.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stereodiffusion.errors import GeometryError, ModelError, first_line
from stereodiffusion.geometry.accept import check_picture
from stereodiffusion.types import Image, Map

Prediction: TypeAlias = Literal["inverse-depth", "depth"]
"""What a network predicts: inverse depth up to scale and offset, or depth in metres."""

NEAREST_M = 0.01
"""Predicted depths below a centimetre are taken as a centimetre: a reciprocal has to stay finite."""


@runtime_checkable
class DepthEstimator(Protocol):
    """Estimates how near things are in a single picture."""

    @property
    def name(self) -> str:
        """What the estimator is called in messages and metadata."""
        ...

    @property
    def least_side(self) -> int:
        """The shortest side that a picture may have, in pixels."""
        ...

    @property
    def has_borders(self) -> bool:
        """Whether its maps have borders of things, which may be moved to where the picture's are."""
        ...

    def __call__(self, image: Image) -> Map:
        """Relative inverse depth at the picture's own size: finite, not negative, near is large, arbitrary scale."""
        ...


class MonocularDepth:
    """A depth network of transformers with its image processor.

    Attributes:
        name: What the estimator is called in messages and metadata.
        predicts: What the network predicts; `"depth"` is inverted.
        has_borders: Those that the network sees.
        most_pixels: Larger pictures are reduced to this many before the network sees them. For networks whose image
            processor has no size of its own (GLPN): they know things at the sizes they were trained with, and cost
            memory with the size of the picture.
    """

    has_borders = True

    def __init__(
        self,
        *,
        name: str,
        model: nn.Module,
        processor: Callable[..., Any],
        predicts: Prediction,
        most_pixels: int | None = None,
    ) -> None:
        self.name = name
        self.predicts: Prediction = predicts
        self.most_pixels = most_pixels
        self._model = model
        self._processor = processor

    @torch.no_grad()
    def __call__(self, image: Image) -> Map:
        """Relative inverse depth at the picture's own size: finite, not negative, near is large, arbitrary scale.

        The pixels are rounded to 8 bits, which is what the image processors are made for.

        Raises:
            GeometryError: If `image` is not a batch of RGB pictures, or too small for the network.
            ModelError: If the network fails, or predicts something that is not a number.
        """
        height, width = self._checked_size(image)
        parameter = next(self._model.parameters())
        pictures = (self._reduced(image) * 255).round().clamp(0, 255).to("cpu", torch.uint8).numpy()
        inputs = self._processor(images=list(pictures), input_data_format="channels_first", return_tensors="pt")
        pixels = cast(Tensor, inputs["pixel_values"]).to(parameter.device, parameter.dtype)
        try:
            predicted = cast(Tensor, self._model(pixel_values=pixels).predicted_depth).float()
        except (RuntimeError, ValueError, TypeError, IndexError) as error:  # its settings and the processor's disagree
            raise ModelError(f"{self.name} fails on a picture of {height}x{width}: {first_line(error)}") from error
        if not bool(predicted.isfinite().all()):
            raise ModelError(f"{self.name} predicted values that are not finite in {parameter.dtype}; try float32")
        inverse_depth = 1 / predicted.clamp(min=NEAREST_M) if self.predicts == "depth" else predicted
        resized = _to_picture(inverse_depth[:, None], height, width, padding=self._padding(height, width))
        # Bicubic interpolation overshoots at edges; less than infinitely far does not exist.
        return resized.clamp(min=0).to(image.device)

    def _checked_size(self, image: Image) -> tuple[int, int]:
        check_picture(image, name="image")
        height, width = image.shape[-2:]
        if min(height, width) < self.least_side:
            raise GeometryError(f"{self.name} needs sides of at least {self.least_side} pixels, got {height}x{width}")
        return height, width

    def _reduced(self, image: Image) -> Float[Tensor, "b 3 h_net w_net"]:
        height, width = image.shape[-2:]
        if self.most_pixels is None or height * width <= self.most_pixels:
            return image
        scale = math.sqrt(self.most_pixels / (height * width))
        size = [max(self.least_side, math.floor(side * scale)) for side in (height, width)]
        return nn.functional.interpolate(image.float(), size=size, mode="bicubic", antialias=True).clamp(0, 1)

    @property
    def least_side(self) -> int:
        """The shortest side that a picture may have, in pixels."""
        # GLPN rounds the picture's size down to a multiple of this instead of resizing to a size of its own.
        return int(getattr(self._processor, "size_divisor", None) or 1)

    def _padding(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns that the processor reflects around the picture: ZoeDepth's, `3 √(size / 2)`."""
        if not type(self._processor).__name__.startswith("ZoeDepth") or not getattr(self._processor, "do_pad", False):
            return 0, 0
        return int(math.sqrt(height / 2) * 3), int(math.sqrt(width / 2) * 3)


def _to_picture(values: Float[Tensor, "b 1 h_net w_net"], height: int, width: int, *, padding: tuple[int, int]) -> Map:
    """Bicubic, without antialias, as the processors' own `post_process_depth_estimation` does.

    That method is not called because ZoeDepth's needs torchvision even in the processor that is made to do without.
    """
    rows, columns = padding
    padded = nn.functional.interpolate(
        values, size=(height + 2 * rows, width + 2 * columns), mode="bicubic", align_corners=False
    )
    return padded[..., rows : rows + height, columns : columns + width]


def prediction_of(config: Mapping[str, Any]) -> Prediction | None:
    """What a network with this `config.json` predicts; None for a family that is not known here."""
    match config.get("model_type"):
        case "depth_anything":
            return "depth" if config.get("depth_estimation_type") == "metric" else "inverse-depth"
        case "dpt":
            # The DPTs with a DINOv2 backbone were trained for metres (NYU, KITTI), and are the only ones that
            # have this projection. The MiDaS family has none.
            return "depth" if config.get("add_projection") else "inverse-depth"
        case "glpn":  # the published ones predict metres; what Depth Anything calls the other kind serves here as well
            return "inverse-depth" if config.get("depth_estimation_type") == "relative" else "depth"
        case "zoedepth":
            return "depth"
        case _:
            return None
