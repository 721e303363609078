"""The autoencoder, which takes more memory than any other part while it works, one picture and one tile at a time."""

from typing import Any, Final, cast

from diffusers import AutoencoderKL

TILE_PX: Final = 512
"""Edge of a tile. diffusers takes the size for which the autoencoder was configured, 1024 for SDXL: no tiles at all."""


def save_memory(vae: AutoencoderKL) -> None:
    """Let an autoencoder encode and decode one picture of a batch at a time, in tiles that overlap and are blended."""
    vae.tile_sample_min_size = min(vae.tile_sample_min_size, TILE_PX)
    halvings = len(cast(Any, vae.config).block_out_channels) - 1
    vae.tile_latent_min_size = vae.tile_sample_min_size // 2**halvings
    vae.enable_tiling()
    vae.enable_slicing()
