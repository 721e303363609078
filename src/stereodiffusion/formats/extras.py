"""Libraries that only some formats need, and that are installed with an extra of this package."""

from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType, ModuleType
from typing import Literal

from stereodiffusion.errors import FormatError

Extra = Literal["spatial", "video", "exr"]

_MODULES = MappingProxyType({"spatial": "pillow_heif", "video": "av", "exr": "OpenEXR"})


def check_extra(extra: Extra) -> None:
    """Refuse, before any work, what could not be done after it.

    Raises:
        FormatError: If the extra's library is not installed; says how to.
    """
    if find_spec(_MODULES[extra]) is None:
        raise FormatError(
            f"this format needs {_MODULES[extra]}, which is not installed: pip install 'stereodiffusion[{extra}]'"
        )


def require(extra: Extra) -> ModuleType:
    """The extra's library.

    Raises:
        FormatError: If it is not installed; says how to.
    """
    check_extra(extra)
    return import_module(_MODULES[extra])
