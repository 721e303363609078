"""Methods by name or by group."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from stereodiffusion.bench.methods import METHODS, Method
from stereodiffusion.bench.sweeps import BLANKING_SWEEP, SHIFT_SWEEP, STEPS_SWEEP
from stereodiffusion.errors import ConfigError

CATALOGUE: Mapping[str, Method] = MappingProxyType({**METHODS, **SHIFT_SWEEP, **BLANKING_SWEEP, **STEPS_SWEEP})
"""Every method that can be run: those of the tables, then those of single figures and sweeps."""

GROUPS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "all": lambda name: name in METHODS,
        "classical": lambda name: not CATALOGUE[name].needs_model,
        "table1": lambda name: 1 in CATALOGUE[name].tables,
        "table2": lambda name: 2 in CATALOGUE[name].tables,
        "figure3": lambda name: name in SHIFT_SWEEP,
        "figure8": lambda name: name in BLANKING_SWEEP,
        "steps": lambda name: name in STEPS_SWEEP,
    }
)
"""What several methods can be asked for by at once."""


def select_methods(names: Iterable[str]) -> tuple[str, ...]:
    """The methods of some names and groups, each once, in the order of the catalogue.

    Raises:
        ConfigError: If there is no such method.
    """
    wanted: set[str] = set()
    for name in names:
        if name not in GROUPS and name not in CATALOGUE:
            raise ConfigError(
                f"expected methods out of {', '.join(CATALOGUE)} or groups out of {', '.join(GROUPS)}, got {name!r}"
            )
        wanted |= {method for method in CATALOGUE if GROUPS.get(name, name.__eq__)(method)}
    return tuple(name for name in CATALOGUE if name in wanted)
