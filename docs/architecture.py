"""Draws the architecture, images/architecture.svg, from what is enforced: the layers of pyproject.toml.

python docs/architecture.py
"""

import ast
import tomllib
from collections.abc import Sequence
from html import escape
from pathlib import Path
from textwrap import shorten

ROOT = Path(__file__).parents[1]
PICTURE = Path(__file__).parent / "images" / "architecture.svg"
WIDTH, ROW, GAP, MARGIN = 900, 46, 14, 12  # pixels
CHARACTER = 6.5  # width of one in a summary


def layers() -> list[list[str]]:
    """Names of modules by layer, from the top; siblings stand side by side."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def summary(module: str) -> str:
    """What a module says of itself in its first line."""
    path = ROOT / "src" / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    described = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return described.partition("\n")[0]


def drawing(rows: Sequence[Sequence[str]]) -> str:
    """The picture: a box for every module, an arrow from each layer to what it may import."""
    height = len(rows) * (ROW + GAP) - GAP + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" text-anchor="middle">',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#f6f7f9"/>',
    ]
    for number, modules in enumerate(rows):
        top = MARGIN + number * (ROW + GAP)
        if number:
            middle = WIDTH / 2
            parts.append(
                f'<path d="M{middle:g} {top - GAP + 2} v{GAP - 7} m-4 -1 l4 5 l4 -5" fill="none" stroke="#78909c" '
                'stroke-width="1.5"/>'
            )
        width = (WIDTH - 2 * MARGIN - GAP * (len(modules) - 1)) / len(modules)
        for place, module in enumerate(modules):
            parts += _box(module, MARGIN + place * (width + GAP), top, width)
    return "\n".join([*parts, "</svg>", ""])


def _box(module: str, left: float, top: float, width: float) -> list[str]:
    middle = left + width / 2
    said = shorten(summary(module), int(width / CHARACTER), placeholder=" …")
    name = module.partition(".")[2]
    return [
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{ROW}" rx="5" fill="#fff" stroke="#90a4ae"/>',
        f'<text x="{middle:g}" y="{top + 19:g}" font-size="14" font-weight="600" fill="#263238">{escape(name)}</text>',
        f'<text x="{middle:g}" y="{top + 36:g}" font-size="11" fill="#546e7a">{escape(said)}</text>',
    ]


if __name__ == "__main__":
    PICTURE.write_text(drawing(layers()), encoding="utf-8")
