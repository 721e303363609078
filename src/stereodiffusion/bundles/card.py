"""The data card of a set of scenes: what it is, how it was made, what was measured; for people and for programs.

`README.md` begins with the fields that dataset hubs read; `card.json` has all of it as JSON values.
"""

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stereodiffusion.bundles.measuring import summarise
from stereodiffusion.bundles.scenes import BASELINE_M
from stereodiffusion.bundles.sets import PARTS, SceneSet, read_abouts
from stereodiffusion.datasets.scenes import BACKGROUNDS, COLOURS, FLOORS, PATTERNS, SHAPES, Rig
from stereodiffusion.errors import FormatError, first_line
from stereodiffusion.formats.files import write_files

LICENCE = "CC0-1.0"
"""What the card says if nobody says otherwise: no photograph, model or picture of others goes in."""

_BARS = 40


def write_card(wanted: SceneSet, folder: Path, licence: str = LICENCE) -> list[Path]:
    """Measure a set that is there, and write its card.

    Raises:
        FormatError: If a pair is missing, or the card cannot be written.
    """
    card = card_of(wanted, folder, licence)
    content = json.dumps(card, indent=1, sort_keys=True).encode() + b"\n"
    return write_files({folder / "README.md": _markdown(card).encode(), folder / "card.json": content})


def card_of(wanted: SceneSet, folder: Path, licence: str = LICENCE) -> dict[str, Any]:
    """What is to be said of a set, as JSON values.

    Raises:
        FormatError: If a pair is missing or what is told of it is damaged.
    """
    measured: dict[str, list[Mapping[str, Any]]] = {part: [] for part in PARTS}
    for part, about in read_abouts(wanted, folder):
        measured[part].append(about["measured"])
    try:
        summaries = {part: summarise(measured[part]) for part in PARTS}
        everything = summarise(each for part in PARTS for each in measured[part])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as wrong:
        raise FormatError(f"{folder}: what was measured of a pair is damaged: {first_line(wrong)}") from wrong
    seeds = {part: [seed for seed in wanted.seeds if wanted.part_of(seed) == part] for part in PARTS}
    return {
        "version": 1,
        "licence": licence,
        "made_with": f"stereodiffusion {_version()}",
        "command": _command(wanted),
        "asked": wanted.plain(),
        "baselines_m": [round(each * BASELINE_M, 6) for each in wanted.baselines],
        "focal_px": Rig().focal_px(wanted.size[1]),
        "parts": {part: {"seeds": len(seeds[part]), **summaries[part]} for part in PARTS},
        "all": everything,
    }


def _command(wanted: SceneSet) -> str:
    height, width = wanted.size
    split = " ".join(f"{share:g}" for share in wanted.split)
    baselines = ",".join(f"{each:g}" for each in wanted.baselines)
    return (
        f"stereodiffusion scenes -n {wanted.count} --seed {wanted.seed} --size {height}x{width} --baselines {baselines}"
        f" --split {split} --bundle {wanted.layout} -o FOLDER"
    )


def _version() -> str:
    try:
        return version("stereodiffusion")
    except PackageNotFoundError:
        return "unknown"


def _markdown(card: Mapping[str, Any]) -> str:
    asked, everything = card["asked"], card["all"]
    height, width = asked["size"]
    mean = everything["mean"]
    baselines = ", ".join(f"{1000 * each:g} mm" for each in card["baselines_m"])
    return f"""---
pretty_name: Procedural stereo scenes
license: {json.dumps(card["licence"])}
task_categories: [depth-estimation]
tags: [stereo, disparity, occlusion, synthetic]
---

# Procedural stereo scenes

{everything["pairs"]} rectified stereo pairs of {asked["count"]} toy scenes, {width} x {height}, with exact
disparity and occlusion of both eyes, calibration, a caption and the whole description of each scene.

## How it was made

With {card["made_with"]}:

    {card["command"]}

A scene is drawn from its seed alone: 1 to 3 toys on a floor before a wall or the sky.

| | |
|---|---|
| toys | {_words(SHAPES)} |
| colours | {_words(COLOURS)} |
| patterns | {_words(PATTERNS)} |
| floors | {_words(FLOORS)} |
| behind | {_words(BACKGROUNDS)} |

Pictures are ray cast, with 2 x 2 samples a pixel; depth, disparity and occlusion are computed in closed form at the
middle of each pixel. Nothing is estimated.

The layout is `{asked["layout"]}`; what its files mean, signs and unknown values are told in `docs/datasets.md` of
stereodiffusion. A left point at column x is at column x - disparity on the right. Parallel cameras, focal length
{card["focal_px"]:g} px, baseline {baselines}: depth = baseline * focal / disparity. Disparity 0 is the sky.

## Parts

{_parts(card["parts"])}

The part of a seed follows from the seed and the shares {_words(f"{share:g}" for share in asked["split"])} alone:
a set of more scenes has the same ones in each part and others besides, and no seed is in two. The shares are met on
average.

## Measured

| | |
|---|---|
| disparity | {everything["disparity"]["least_px"]:g} to {everything["disparity"]["largest_px"]:g} px |
| left pixels that the right eye does not see | {mean["occluded.left"]:.2%} |
| right pixels that the left eye does not see | {mean["occluded.right"]:.2%} |
| right pixels, seen by the left eye, that are the left's moved by disparity, to 1 level of 255 | \
{mean["correspondence.within_a_level"]:.2%} |
| ... mean absolute difference | {mean["correspondence.mean_levels"]:.2f} levels |

What differs there are borders, whose pixels mix two surfaces, and textures that fall between pixels.

Disparity of the left eye, all pixels:

```
{_histogram(everything["histogram"])}
```

## Limits

Toys of eight colours on four floors are no photographs: no glass, no mirrors, no fog, no hair, no people, light from
one side, cameras that are alike, level and without noise or distortion. Pixels at a border have one disparity, that of
their middle, and the colour of both surfaces. The embedded model `toybox` was trained on seeds from 5,000,000 on.

## Licence

{card["licence"]}. No photograph, texture or model of others goes in; captions are made of a few dozen words.
"""


def _parts(parts: Mapping[str, Any]) -> str:
    rows = [
        f"| {name} | {part['seeds']} | {part['pairs']} | {_share(part, 'occluded.left')} |"
        for name, part in parts.items()
    ]
    return "\n".join(["| part | seeds | pairs | left pixels occluded |", "|---|---|---|---|", *rows])


def _share(part: Mapping[str, Any], name: str) -> str:
    return f"{part['mean'][name]:.2%}" if part["pairs"] else "-"


def _histogram(counts: Mapping[str, int]) -> str:
    """A bar for each whole pixel, or for several where there are many."""
    columns = sorted(int(column) for column in counts)
    step = 1 + (columns[-1] - columns[0]) // _BARS
    bars: dict[int, int] = {}
    for column in columns:
        bars[column // step * step] = bars.get(column // step * step, 0) + counts[str(column)]
    most, total = max(bars.values()), sum(bars.values())
    return "\n".join(
        f"{start:>5} px {100 * cells / total:6.2f} % {'#' * round(40 * cells / most)}" for start, cells in bars.items()
    )


def _words(names: Any) -> str:
    return ", ".join(names)
