"""PSNR and SSIM as GenStereo measures them (Qiao et al., ICCV 2025, arXiv 2503.12720; `evaluation.py` of its authors).

Views of 768 x 768 are brought to 512 x 512 by plain bicubic interpolation, without a low pass, in 8 bits. SSIM is then
piq's: both are halved once more, by means of 2 x 2, before its windows of 11 x 11 look at them. What is compared is a
picture of 256 x 256, which is where SSIM of .9 on Middlebury comes from: fine grain and edges that are a pixel off
are gone.
"""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stereodiffusion.errors import GeometryError
from stereodiffusion.metrics.image import gaussian_profile, psnr, similarity_of_windows
from stereodiffusion.metrics.levels import colour_levels
from stereodiffusion.metrics.region import check_alike
from stereodiffusion.types import Image

GENSTEREO_SIZE = 768
"""Edge in pixels of the views that are made."""

_MEASURED = 512  # edge in pixels at which they are compared
_HALVED_AT = 256  # piq brings the shorter edge near it before SSIM


def evaluate_genstereo(generated: Image, truth: Image) -> dict[str, float]:
    """`psnr` and `ssim` over all pixels by the protocol of GenStereo.

    Args:
        generated: (1, 3, h, w), sRGB in [0, 1]; the protocol has 768 x 768.
        truth: the right view as it should be.

    Raises:
        GeometryError: If the sizes differ or there is more than one picture.
    """
    check_alike(generated, truth)
    if len(generated) != 1:
        raise GeometryError(f"one picture at a time is evaluated, got {len(generated)}")
    a, b = _small(generated), _small(truth)
    edge = _MEASURED // _HALVED_AT
    halves = functional.avg_pool2d(a, edge), functional.avg_pool2d(b, edge)
    luminance, structure = similarity_of_windows(*halves, gaussian_profile(a.device), sample=False)
    return {"psnr": float(psnr(a, b)), "ssim": float((luminance * structure).mean())}


def _small(image: Image) -> Tensor:
    """At the size at which views are compared, (1, 3, 512, 512), float64 in [0, 1]."""
    (levels,) = colour_levels(image)
    small = np.asarray(cv2.resize(levels, (_MEASURED, _MEASURED), interpolation=cv2.INTER_CUBIC))
    return torch.from_numpy(small).permute(2, 0, 1)[None].double() / 255
