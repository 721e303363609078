"""DDIM (Song et al. 2021), in both directions.

With σ = 0 a step is the same formula whether it leads to a cleaner level (Eq. 1) or to a noisier one (Eq. 9): predict
x_0, then mix it with the predicted noise in the proportions of the new level.
"""

from math import sqrt

from stereodiffusion.diffusion.backbone import Prediction
from stereodiffusion.types import Latent


def noise_of(output: Latent, x_t: Latent, alpha_t: float, prediction: Prediction) -> Latent:
    """The noise ε that a network output stands for.

    v = √ᾱ ε - √(1-ᾱ) x_0 and x_t = √ᾱ x_0 + √(1-ᾱ) ε together give ε = √ᾱ v + √(1-ᾱ) x_t.
    """
    if prediction == "epsilon":
        return output
    return sqrt(alpha_t) * output + sqrt(1 - alpha_t) * x_t


def clean_of(x_t: Latent, noise: Latent, alpha_t: float) -> Latent:
    """Predicted x_0: the first bracket of Eq. 1."""
    return (x_t - sqrt(1 - alpha_t) * noise) / sqrt(alpha_t)


def ddim_step(x_t: Latent, noise: Latent, alpha_t: float, alpha_s: float) -> Latent:
    """From level ᾱ_t to level ᾱ_s along the deterministic path: Eq. 1 with σ = 0, and Eq. 9.

    Args:
        x_t: Latents at level `alpha_t`.
        noise: Predicted ε.
        alpha_t: ᾱ where we are.
        alpha_s: ᾱ where we go: larger to denoise, smaller to invert.
    """
    return sqrt(alpha_s) * clean_of(x_t, noise, alpha_t) + sqrt(1 - alpha_s) * noise
