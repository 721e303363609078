"""What is done for a model that is larger than the memory of the device."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from stereodiffusion.errors import ConfigError

Offload: TypeAlias = Literal["off", "model", "sequential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """How memory is saved; pictures are the same but for what `tiles` says.

    Attributes:
        offload: What rests in main memory while it does not compute: `model` each part (text encoders, U-Net,
            autoencoder), so that one is on the device at a time; `sequential` each layer, which is several times
            slower. For one run at a time.
        tiles: Let the autoencoder work on one picture at a time, and on large ones in tiles that overlap and are
            blended: where they meet, pictures differ a little.
    """

    offload: Offload = "off"
    tiles: bool = False

    def __post_init__(self) -> None:
        if self.offload not in get_args(Offload):
            raise ConfigError(f"offload must be one of {', '.join(get_args(Offload))}, got {self.offload!r}")


PLENTY = Memory()
"""Nothing is done."""
