"""`stereodiffusion models`: what can be loaded by name."""

import shutil
import textwrap

import typer

from stereodiffusion.models.cards import CARDS, Kind, ModelCard
from stereodiffusion.models.stored import models_folder, on_disk

_PURPOSES: dict[Kind, str] = {
    "text": "text, photo",
    "depth": "depth",
    "depth-estimator": "--depth-estimator",
}
_WIDEST = 120


def models() -> None:
    """List the models that are known by name, their licences, and which are on disk."""
    width = min(shutil.get_terminal_size((_WIDEST, 0)).columns, _WIDEST)
    for card in CARDS:
        typer.echo(_headline(card))
        for line in _details(card):
            typer.echo(textwrap.fill(line, width, initial_indent="    ", subsequent_indent="    "))
    typer.echo(
        "\nOthers of these families load by repository (organisation/name), folder or .safetensors file. Models put "
        f"there by hand are looked for in {models_folder()}/organisation/name."
    )


def _headline(card: ModelCard) -> str:
    found = on_disk(card)
    purpose = "text, depth, photo" if card.name == "toybox" else _PURPOSES[card.kind]
    where = "with the package" if found and card.repository is None else "on disk" if found else "not on disk"
    megabytes = card.download_mb or (found.size_mb if found else 0)
    size = f"{megabytes:.0f} MB" if megabytes else ""
    return f"{card.name:<24} {purpose:<18} {size:>8}  {where}"


def _details(card: ModelCard) -> list[str]:
    """Repository and revision, licence, what one should know, and the settings that suit it."""
    source = [] if card.repository is None else [f"{card.repository} at {card.revision}"]
    allowed = "commercial use allowed" if card.commercial_use else "no commercial use"
    suits, untried = (
        ", ".join(f"{name} {value}" for name, value in settings.items()) for settings in (card.suits, card.untried)
    )
    return [
        *source,
        f"{card.licence}, {allowed}",
        card.note,
        *([f"presets fast and best: {suits}"] if suits else []),
        *([f"to try with preset best, not measured: {untried}"] if untried else []),
    ]
