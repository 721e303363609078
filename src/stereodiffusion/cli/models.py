"""`stereodiffusion models`: what can be loaded by name."""

import sys

import typer
from rich.console import Console
from rich.table import Table

from stereodiffusion.cards import CARDS, Kind, ModelCard, models_folder, on_disk

_PURPOSES: dict[Kind, str] = {
    "text": "text, photo",
    "depth": "depth",
    "depth-estimator": "--depth-estimator",
}
_WIDE = 200


def models() -> None:
    """List the models that are known by name, their licences, and which are on disk."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "for", "size", "licence", "commercial use", "on disk", "note"):
        table.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
    for card in CARDS:
        table.add_row(*_row(card))
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    console.print(table)
    typer.echo(
        "\nOthers of these families load by repository (organisation/name), folder or .safetensors file. Models put "
        f"there by hand are looked for in {models_folder()}/organisation/name."
    )


def _row(card: ModelCard) -> tuple[str, ...]:
    found = on_disk(card)
    purpose = "text, depth, photo" if card.name == "toybox" else _PURPOSES[card.kind]
    megabytes = card.download_mb or (found.size_mb if found else 0)
    return (
        card.name,
        purpose,
        f"{megabytes:.0f} MB" if megabytes else "",
        card.licence,
        "yes" if card.commercial_use else "no",
        "with the package" if found and card.repository is None else "yes" if found else "no",
        card.note,
    )
