"""Draws the tables of formats.md from the code: what each format is, and what comes out of converting each into each.

python docs/formats.py
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from stereodiffusion.datasets.procedural import open_scenes
from stereodiffusion.errors import FormatError
from stereodiffusion.formats import OUTPUT_FORMATS, READABLE, Eyes, read_pair, write_pair

PAGE = Path(__file__).parent / "formats.md"
WRITTEN, REFUSED = "w", "-"
_SHORT = {
    "interlaced": "interl.",
    "anaglyph": "anagl.",
    "top-bottom": "t-b",
    "columns": "col.",
    "checkerboard": "check.",
}


def formats_table() -> str:
    """All output formats."""
    lines = ["| `--format` | suffix | what for | loses | `--names players` |", "|---|---|---|---|---|"]
    for name, kind in OUTPUT_FORMATS.items():
        suffixes = " ".join(kind.suffixes)
        extra = f" (extra `{kind.extra}`)" if kind.extra else ""
        ending = f"`{kind.ending}`" if kind.ending else ""
        lines.append(f"| `{name}` | {suffixes} | {kind.about}{extra} | {kind.loses} | {ending} |")
    return "\n".join(lines)


def conversions(scene: Eyes, sources: Iterator[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """For each source what becomes of its pair in each output format.

    `=` the eyes come back exactly, a number: the PSNR in dB of the worse eye, `w` it is written but not read back, `-`
    it is refused.
    """
    with TemporaryDirectory() as folder:
        for source in sources:
            eyes = read_pair(write_pair(Path(folder) / "from", scene, source)[0])
            yield source, {target: _converted(eyes, target, Path(folder) / "to") for target in OUTPUT_FORMATS}


def matrix_table(rows: Iterator[tuple[str, Mapping[str, str]]]) -> str:
    """Sources down, targets across."""
    heads = [_shortened(name) for name in OUTPUT_FORMATS]
    lines = ["| from \\ to | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    lines += [f"| `{source}` | " + " | ".join(cells.values()) + " |" for source, cells in rows]
    return "\n".join(lines)


def scene(height: int = 120, width: int = 160) -> Eyes:
    """A pair of which everything is known."""
    drawn = open_scenes(1, seed=4, size=(height, width))
    sample = drawn.read(drawn.scenes[0])
    return Eyes(left=_levels(sample.left), right=_levels(sample.right), disparity=sample.disparity)


def sources() -> Iterator[str]:
    """What can be written and read back."""
    return (name for name in READABLE if name in OUTPUT_FORMATS)


def _converted(eyes: Eyes, target: str, path: Path) -> str:
    try:
        written = write_pair(path, eyes, target)
    except FormatError:
        return REFUSED
    try:
        back = read_pair(written[0])
    except FormatError:
        return WRITTEN
    before, after = ([eye for eye in (pair.left, pair.right) if eye is not None] for pair in (eyes, back))
    errors = [float((one - other).square().mean()) for one, other in zip(before, after, strict=False)]
    worst = max(errors)
    return "=" if worst == 0 else f"{-10 * torch.log10(torch.tensor(worst)):.0f}"


def _levels(picture: torch.Tensor) -> torch.Tensor:
    return (picture * 255).round() / 255


def _shortened(name: str) -> str:
    for long, short in _SHORT.items():
        name = name.replace(long, short)
    return name


def with_table(page: str, name: str, table: str) -> str:
    """The page with the table of that name replaced."""
    return re.sub(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", rf"\g<1>{table}\n\g<2>", page, flags=re.S)


if __name__ == "__main__":
    text = with_table(PAGE.read_text(encoding="utf-8"), "formats", formats_table())
    PAGE.write_text(with_table(text, "matrix", matrix_table(conversions(scene(), sources()))), encoding="utf-8")
