"""`stereodiffusion bench video`: how much the right eye of a video flickers, with each remedy."""

from typing import Annotated

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.fields import parse_size
from stereodiffusion.errors import ConfigError


def video(
    scenes: Annotated[int, typer.Option(metavar="N", help="How many moving scenes.")] = 4,
    frames: Annotated[int, typer.Option(metavar="N", help="Frames of each, at least 2.")] = 16,
    size: Annotated[str, typer.Option(metavar="HxW", help="Height x width of an eye in pixels.")] = "180x320",
    depth_estimator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default="the true depth, trembling",
            help="What estimates depth; `exact` is the true depth, whose flicker is the floor.",
        ),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Measure flicker on moving scenes with exact truth: frame by frame, and held steady."""
    del debug
    if scenes < 1 or frames < 2:
        raise ConfigError(f"expected at least one scene and two frames, got --scenes {scenes} and --frames {frames}")
    height, width = parse_size(size)

    from stereodiffusion.bench.flicker import EXACT, measure, table
    from stereodiffusion.models.estimators import load_depth_estimator

    estimator = None if depth_estimator in (None, EXACT) else load_depth_estimator(depth_estimator)
    tremble = 0.0 if depth_estimator == EXACT else 1.0
    lines = list(measure(range(scenes), frames=frames, size=(height, width), estimator=estimator, tremble=tremble))
    typer.echo(table(lines))
