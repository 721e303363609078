"""`stereodiffusion scenes`: procedural scenes with exact truth, any number, as a data set for training and research."""

from pathlib import Path
from typing import Annotated, cast

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.choices import BUNDLES
from stereodiffusion.cli.fields import parse_size
from stereodiffusion.cli.outputs import checked_bundle
from stereodiffusion.cli.saying import say, say_path
from stereodiffusion.errors import ConfigError

_SET = "Set"


def scenes(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            show_default=False,
            help="The folder of the set, made if need be. What is there is not made again; more may be asked for.",
        ),
    ],
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", help="How many scenes.")] = 20,
    bundle: Annotated[
        str, typer.Option("--bundle", metavar="|".join(BUNDLES), help="The layout; docs/datasets.md has them.")
    ] = "folder",
    seed: Annotated[int, typer.Option(metavar="N", rich_help_panel=_SET, help="Of the first; the others follow.")] = 0,
    size: Annotated[
        str, typer.Option(metavar="HxW", rich_help_panel=_SET, help="Height x width of each eye in pixels.")
    ] = "512x512",
    split: Annotated[
        tuple[float, float, float],
        typer.Option(
            metavar="TRAIN VAL TEST", rich_help_panel=_SET, help="Shares of the parts; a seed's part never changes."
        ),
    ] = (0.8, 0.1, 0.1),
    baselines: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            rich_help_panel=_SET,
            help="Right eyes at these distances from the left, each a pair of its own, in units of 65 mm: 0.5,1,2.",
        ),
    ] = "1",
    licence: Annotated[
        str, typer.Option(metavar="TEXT", rich_help_panel=_SET, help="What the data card says of it.")
    ] = "CC0-1.0",
    workers: Annotated[int, typer.Option(metavar="N", help="How many processes.")] = 1,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Draw scenes with exact disparity, occlusion and calibration, and write them as a data set with a data card."""
    del debug
    if workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {workers}")
    if not licence.strip() or not licence.isprintable():
        raise ConfigError(f"--licence must be a line of text, got {licence!a:.60}")
    layout = checked_bundle(bundle, window=False)
    try:
        distances = tuple(float(each) for each in baselines.split(","))
    except ValueError as wrong:
        raise ConfigError(f"--baselines must be numbers such as 0.5,1,2, got {baselines!r}") from wrong

    from stereodiffusion.bundles.card import write_card
    from stereodiffusion.bundles.layouts import BundleName
    from stereodiffusion.bundles.sets import SceneSet, units_of, write_set
    from stereodiffusion.cli.batch_progress import BatchDisplay

    height, width = parse_size(size)
    wanted = SceneSet(
        count=count,
        layout=cast(BundleName, layout),
        seed=seed,
        size=(height, width),
        baselines=distances,
        split=split,
    )
    with BatchDisplay(quiet=quiet) as display:
        total = len(units_of(wanted))
        display.begin(total)
        for unit in write_set(wanted, output, workers=workers):
            display.add_made(unit.shard or f"{unit.seeds[0]:06d}")
        card, _ = write_card(wanted, output, licence)
    what = "shards" if layout == "webdataset" else "scenes"
    say(f"{output}: {display.made} {what} made, {total - display.made} there already")
    say_path(card)
