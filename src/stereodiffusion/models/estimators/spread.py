"""A GLPN that also says how sure it is of the inverse depth that it predicts.

The file of weights is a GLPN's with one convolution more, so that `AutoModelForDepthEstimation` loads the depth alone.
"""

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn
from transformers import GLPNConfig, GLPNForDepthEstimation


class GLPNWithSpread(GLPNForDepthEstimation):
    """GLPN (Kim et al. 2022) with a second head.

    What it learns is the logarithm of the scale `b` of a Laplace distribution of the error (Kendall & Gal 2017), in
    units of the picture's own mean absolute deviation of inverse depth: at 0, the error is as large as all relief.
    """

    def __init__(self, config: GLPNConfig) -> None:
        super().__init__(config)
        self.spread = nn.Conv2d(config.decoder_hidden_size, 1, kernel_size=3, padding=1)
        self.post_init()

    def predict(self, pictures: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b h w"]]:
        """Relative inverse depth in (0, `max_depth`), and the logarithm of `b`; sides are multiples of 32."""
        hidden = self.glpn(pictures, output_hidden_states=True, return_dict=True).hidden_states
        features = self.decoder(hidden)
        return cast(Tensor, self.head(features)), cast(Tensor, self.spread(features[-1])).squeeze(1)
