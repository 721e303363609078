"""Which solver the settings ask for."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from stereodiffusion.diffusion.consistency import consistency_solver
from stereodiffusion.diffusion.multistep import dpm_solver
from stereodiffusion.diffusion.solver import Solver, ddim
from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import Sampling


def solver_of(sampling: Sampling, noise: Callable[[], Float[Tensor, "n b c lh lw"]] | None) -> Solver:
    """The solver that the settings ask for.

    Args:
        sampling: Names it.
        noise: Gives what a stochastic solver adds after each step; the others do not ask.

    Raises:
        ConfigError: If there is no such solver, or it adds noise and there is none.
    """
    if sampling.solver == "ddim":
        return ddim
    if sampling.solver == "dpm++":
        return dpm_solver
    if sampling.solver != "lcm":
        raise ConfigError(f"expected a known solver, got {sampling.solver!r}")
    if noise is None:
        raise ConfigError("solver 'lcm' adds noise after every step, expected some, got none")
    return consistency_solver(noise())
