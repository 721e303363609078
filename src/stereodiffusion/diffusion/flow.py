"""The noise levels of flow matching (Lipman et al. 2023; Liu et al. 2023), as Stable Diffusion 3 and FLUX have them.

What is clean and what is noise are joined by a straight line, x_t = (1 - σ) x_0 + σ ε with σ from 1 to 0, and the
network predicts the velocity along it, ε - x_0. A step is Euler's, x_s = x_t + (σ_s - σ_t) (ε - x_0): what DDIM is in
these proportions. The paper's equations keep their form with 1 - σ in the place of √ᾱ and σ in that of √(1-ᾱ).

Where the line begins there is no signal at all, and its noise alone would not say what is clean: steps are taken by
the velocity, which says both at every level.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stereodiffusion.diffusion.schedule import Level, Prediction
from stereodiffusion.errors import ConfigError
from stereodiffusion.types import Latent


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowMatching:
    """The levels of a model of flow matching. Steps are taken by the velocity.

    Attributes:
        timesteps: What the network is told of each sampling step, σ times the number of training steps; n of them.
        sigmas: σ before each sampling step and, last, after the final one; n + 1 of them, falling.
    """

    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...]

    @property
    def steps(self) -> int:
        """Number of sampling steps n."""
        return len(self.timesteps)

    def through(self, levels: Sequence[int]) -> "FlowMatching":
        """The steps that visit some of the levels alone, from the first of them to the last."""
        return FlowMatching(
            timesteps=tuple(self.timesteps[level] for level in levels[:-1]),
            sigmas=tuple(self.sigmas[level] for level in levels),
        )

    def level(self, index: int) -> Level:
        """1 - σ and σ."""
        return Level(signal=1 - self.sigmas[index], noise=self.sigmas[index])

    def predicted(self, output: Latent, x_t: Latent, index: int, prediction: Prediction) -> Latent:
        """The velocity ε - x_0, which is what the network gives.

        Raises:
            ConfigError: If the network gives something else.
        """
        del x_t, index
        if prediction != "flow_prediction":
            raise ConfigError(f"expected a network that predicts the velocity of a flow, got {prediction}")
        return output

    def clean(self, x_t: Latent, predicted: Latent, index: int) -> Latent:
        """x_0 = x_t - σ (ε - x_0), where the line ends."""
        return x_t - self.sigmas[index] * predicted

    def moved(self, x_t: Latent, predicted: Latent, index: int, to: int) -> Latent:
        """Euler's step, to a cleaner level or to a noisier one."""
        return x_t + (self.sigmas[to] - self.sigmas[index]) * predicted
