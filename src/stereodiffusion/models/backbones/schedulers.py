"""The noise schedules that models come with; of a scheduler only those and what the network predicts are used."""

from collections.abc import Mapping
from logging import getLogger
from pathlib import Path
from typing import Any, Final, cast

from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from stereodiffusion.diffusion.schedule import NoisePrediction
from stereodiffusion.errors import ModelError
from stereodiffusion.models.checkpoint.files import check_texts, read_settings
from stereodiffusion.models.checkpoint.types import check_types
from stereodiffusion.models.origin import EXPECTED

_MOST_STEPS: Final = 10_000
_LOG = getLogger(__name__)


def load_scheduler(folder: Path, root: Path) -> DDIMScheduler:
    """The noise schedule; any of diffusers' schedulers with betas says the same to this one.

    Args:
        folder: The scheduler's.
        root: The model's, which it is in.

    Raises:
        ModelError: If the settings are no such schedule's.
    """
    check_texts(folder, root)
    path = folder / "scheduler_config.json"
    settings = read_settings(path)
    if "beta_schedule" not in settings:
        raise ModelError(f"{root.name}: expected {EXPECTED}, got a U-Net with a schedule without betas (flow matching)")
    if settings.get("prediction_type", "epsilon") == "sample":
        raise ModelError(f"{root.name}: expected {EXPECTED}, got a model that predicts 'sample'")
    # The spacing of the steps is the method's own, and other schedulers know others.
    settings = {name: value for name, value in settings.items() if name != "timestep_spacing"}
    check_types(path, settings, DDIMScheduler.__init__)
    _check_steps(path, settings)
    say_what_is_ignored(root.name, settings)
    return cast(DDIMScheduler, DDIMScheduler.from_config(settings))


def load_flow_scheduler(folder: Path, root: Path) -> FlowMatchEulerDiscreteScheduler:
    """The levels of a model of flow matching.

    Args:
        folder: The scheduler's.
        root: The model's, which it is in.

    Raises:
        ModelError: If the settings are no such scheduler's.
    """
    check_texts(folder, root)
    path = folder / "scheduler_config.json"
    settings = {name: value for name, value in read_settings(path).items() if value is not None}  # as it is written
    kind = settings.get("_class_name")
    if kind != FlowMatchEulerDiscreteScheduler.__name__:
        raise ModelError(f"{path}: expected the levels of a {FlowMatchEulerDiscreteScheduler.__name__}, got {kind}")
    check_types(path, settings, FlowMatchEulerDiscreteScheduler.__init__)
    _check_steps(path, settings)
    return cast(FlowMatchEulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler.from_config(settings))


def _check_steps(path: Path, settings: Mapping[str, Any]) -> None:
    steps = settings.get("num_train_timesteps", 1000)
    if not 1 <= steps <= _MOST_STEPS:
        raise ModelError(f"{path}: expected num_train_timesteps between 1 and {_MOST_STEPS}, got {steps}")


def say_what_is_ignored(name: str, settings: Mapping[str, Any]) -> None:
    """Note settings with which diffusers would change predictions, and this method does not."""
    for setting in ("clip_sample", "thresholding"):
        if settings.get(setting) is True:
            _LOG.warning("%s: its scheduler asks for %s, which the method leaves out", name, setting)


def stable_diffusion_scheduler(prediction: NoisePrediction, *, zero_snr: bool = False) -> DDIMScheduler:
    """The noise schedule that all Stable Diffusion models of these families share.

    With `zero_snr` it is rescaled to end in pure noise (Lin et al. 2023), for models that were tuned so.
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
        rescale_betas_zero_snr=zero_snr,
    )
