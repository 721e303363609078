"""`stereodiffusion bench video`: how much the right eye of a video flickers, with each remedy."""

from typing import Annotated

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.fields import parse_size
from stereodiffusion.errors import ConfigError
from stereodiffusion.video.request import KeyFrames


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
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Measure a third way, too: held steady, and this model draws on key frames."),
    ] = None,
    key_frames: Annotated[
        int | None, typer.Option(metavar="N", help="Of --model: every N-th frame is one, as of `video`.")
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Of --model: denoising steps.")] = None,
    debug: options.Debug = False,
) -> None:
    """Measure flicker on moving scenes with exact truth: frame by frame, held steady, and with key frames."""
    del debug
    if scenes < 1 or frames < 2:
        raise ConfigError(f"expected at least one scene and two frames, got --scenes {scenes} and --frames {frames}")
    if model is None and (key_frames, steps) != (None, None):
        raise ConfigError("--key-frames and --steps are of a --model, got none")
    height, width = parse_size(size)
    keys = None if model is None else KeyFrames(model=model, every=key_frames, steps=steps)

    from stereodiffusion.bench.flicker import EXACT, measure, table
    from stereodiffusion.models.estimators import load_depth_estimator

    estimator = None if depth_estimator in (None, EXACT) else load_depth_estimator(depth_estimator)
    tremble = 0.0 if depth_estimator == EXACT else 1.0
    lines = measure(range(scenes), frames=frames, size=(height, width), estimator=estimator, tremble=tremble, keys=keys)
    typer.echo(table(list(lines)))
