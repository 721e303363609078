"""What can be seen to be wrong with a request for models at once, before anything is fetched or loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

from stereodiffusion.devices import check_device
from stereodiffusion.errors import ConfigError, ModelError
from stereodiffusion.models.cards import AUTO
from stereodiffusion.models.estimators.locating import check_name
from stereodiffusion.models.hub import Hub
from stereodiffusion.models.origin import check_layout, origin_of
from stereodiffusion.settings import PrecisionChoice


def check_request(model: object, estimator: object, *, device: str, dtype: object, hub: Hub) -> None:
    """Refuse models, devices and precisions that there are not.

    Raises:
        ModelError: If the model or the estimator is nothing that can be loaded, or is not there.
        ConfigError: If there is no such device or precision here.
    """
    if dtype not in get_args(PrecisionChoice):
        raise ConfigError(f"dtype must be one of {', '.join(get_args(PrecisionChoice))}, got {dtype!r}")
    check_device(device)
    if not is_pipeline(model):
        origin = origin_of(model, hub)
        if origin.path is not None:
            check_layout(origin.name, origin.path)
    if estimator != AUTO:
        check_name(estimator)
    _check_opencv()


def is_pipeline(model: object) -> bool:
    """Whether it has parts by name, as pipelines of diffusers have; diffusers itself takes seconds to ask."""
    return not isinstance(model, str | Path) and isinstance(getattr(model, "components", None), Mapping)


def device_of(model: object) -> str:
    """Where a pipeline computes, with offloading not where its weights rest; otherwise the processor."""
    if not is_pipeline(model):
        return "cpu"
    pipe = cast(Any, model)
    return str(getattr(pipe, "_execution_device", None) or getattr(pipe, "device", "cpu"))


def _check_opencv() -> None:
    """Borders of depth are snapped by OpenCV's extra modules, which a second OpenCV beside ours takes away."""
    import cv2

    if not hasattr(cv2, "ximgproc"):
        raise ModelError(
            "expected OpenCV with its extra modules, got one without cv2.ximgproc: another package of OpenCV lies over "
            "opencv-contrib-python-headless; `pip uninstall opencv-python opencv-python-headless`, then "
            "`pip install --force-reinstall opencv-contrib-python-headless`"
        )
