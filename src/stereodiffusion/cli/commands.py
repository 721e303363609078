"""The three modes: `text`, `depth` and `photo`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from stereodiffusion.cards import CARDS, Kind, find_card
from stereodiffusion.cli import checking, map_options, options
from stereodiffusion.cli.devices import usable_device
from stereodiffusion.cli.paths import require_file
from stereodiffusion.config import PrecisionChoice
from stereodiffusion.errors import ConfigError, ModelError, PromptError

if TYPE_CHECKING:
    from stereodiffusion.cli.progress import Display
    from stereodiffusion.synthesis import Run, StereoDiffusion, ViewRun


def text(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the picture shows.", show_default=False)],
    output: options.Output = None,
    formats: options.Formats = [],  # noqa: B006 - typer's way to say the default of a list
    also: options.Also = [],  # noqa: B006
    views: options.Views = None,
    baselines: options.Baselines = None,
    model: options.Model = "toybox",
    preset: options.Preset = "best",
    source: options.SourceEye = "left",
    steps: options.Steps = None,
    solver: options.Solver = None,
    spacing: options.Spacing = None,
    seed: options.Seed = 0,
    guidance: options.Guidance = None,
    max_disparity: options.MaxDisparity = None,
    convergence: options.Convergence = None,
    negative: options.Negative = "",
    size: options.Size = None,
    depth_estimator: options.Estimator = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make a stereo pair from a prompt."""
    del debug
    common = checking.common(
        "text",
        model=model,
        preset_name=preset,
        steps=steps,
        solver=solver,
        spacing=spacing,
        guidance=guidance,
        max_disparity=max_disparity,
        convergence=convergence,
        source=source,
        views=views,
        baselines=baselines,
        formats=formats,
        also=also,
        dtype=dtype,
        seed=seed,
    )
    pixels = checking.parse_size(size)
    _check_prompt(prompt)
    _check_model(model, "text")
    _check_estimator(depth_estimator)

    from stereodiffusion.cli.progress import Display

    with Display(quiet=quiet) as display:
        from stereodiffusion.cli.outputs import settle_output, stem_of

        target = settle_output(output, stem_of(prompt), common)
        loaded = _prepare(model, device, dtype, depth_estimator)
        written = _deliver(
            display,
            target,
            common,
            [model, str(loaded.estimator_name)],
            lambda: loaded.text_run(
                prompt, negative=negative, settings=common.config, seed=seed, size=pixels, source=common.source
            ),
            lambda positions: loaded.text_views(
                prompt, positions, negative=negative, settings=common.config, seed=seed, size=pixels
            ),
        )
    _list(written)


def depth(
    map_file: Annotated[
        Path,
        typer.Argument(
            metavar="MAP",
            show_default=False,
            help="PNG, TIFF, PFM or NPY. A PFM holds disparity in pixels unless --map-kind says otherwise; of other "
            "files --map-kind has to say what they hold.",
        ),
    ],
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the picture shows.", show_default=False)],
    output: options.Output = None,
    formats: options.Formats = [],  # noqa: B006
    also: options.Also = [],  # noqa: B006
    views: options.Views = None,
    baselines: options.Baselines = None,
    map_kind: map_options.MapKind = None,
    map_scale: map_options.MapScale = None,
    map_unknown: map_options.MapUnknown = "nonfinite",
    focal_px: map_options.FocalPx = None,
    baseline_m: map_options.BaselineM = None,
    model: options.Model = "toybox",
    preset: options.Preset = "best",
    source: options.SourceEye = "left",
    steps: options.Steps = None,
    solver: options.Solver = None,
    spacing: options.Spacing = None,
    seed: options.Seed = 0,
    guidance: options.Guidance = None,
    max_disparity: options.MaxDisparity = None,
    convergence: options.Convergence = None,
    negative: options.Negative = "",
    two_step: Annotated[
        bool,
        typer.Option(
            "--two-step",
            rich_help_panel="Method",
            help="Make the left picture first, then treat it as a photo (the paper's Fig. 7): slower.",
        ),
    ] = False,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make a stereo pair from a depth map and a prompt."""
    del debug
    common = checking.common(
        "depth",
        model=model,
        preset_name=preset,
        steps=steps,
        solver=solver,
        spacing=spacing,
        guidance=guidance,
        max_disparity=max_disparity,
        convergence=convergence,
        source=source,
        views=views,
        baselines=baselines,
        formats=formats,
        also=also,
        dtype=dtype,
        seed=seed,
    )
    said = map_options.MapOptions(
        kind=map_kind, scale=map_scale, unknown=map_unknown, focal_px=focal_px, baseline_m=baseline_m
    )
    require_file(map_file)
    _check_prompt(prompt)
    _check_model(model, "depth")
    if two_step:
        _check_two_step(model)

    from stereodiffusion.cli.progress import Display

    with Display(quiet=quiet) as display:
        from stereodiffusion.cli.inputs import read_disparity
        from stereodiffusion.cli.outputs import settle_output, stem_of

        target = settle_output(output, stem_of(prompt), common, inputs=[map_file])
        implied = "disparity-px" if map_file.suffix.lower() == ".pfm" else None
        disparity = read_disparity(map_file, said, common, implied=implied)
        if said.kind is None:
            display.note(f"{map_file}: read as disparity in pixels; --map-kind says otherwise")
        loaded = _prepare(model, device, dtype, None)
        written = _deliver(
            display,
            target,
            common,
            [model],
            lambda: loaded.depth_run(
                disparity,
                prompt,
                negative=negative,
                settings=common.config,
                seed=seed,
                two_step=two_step,
                photo_settings=common.photo,
                source=common.source,
            ),
            lambda positions: loaded.depth_views(
                disparity,
                prompt,
                positions,
                negative=negative,
                settings=common.config,
                seed=seed,
                two_step=two_step,
                photo_settings=common.photo,
            ),
        )
    _list(written)


def photo(
    photo_file: Annotated[
        Path,
        typer.Argument(metavar="PHOTO", help="The picture: the left eye's, or what --source says.", show_default=False),
    ],
    output: options.Output = None,
    formats: options.Formats = [],  # noqa: B006
    also: options.Also = [],  # noqa: B006
    views: options.Views = None,
    baselines: options.Baselines = None,
    disparity_file: Annotated[
        Path | None,
        typer.Option(
            "--disparity",
            metavar="MAP",
            rich_help_panel="Map",
            show_default="estimated",
            help="The photo's disparity in pixels of the map, or what --map-kind says: PNG, TIFF, PFM or NPY.",
        ),
    ] = None,
    map_kind: map_options.MapKind = None,
    map_scale: map_options.MapScale = None,
    map_unknown: map_options.MapUnknown = "nonfinite",
    focal_px: map_options.FocalPx = None,
    baseline_m: map_options.BaselineM = None,
    prompt: Annotated[
        str, typer.Option(metavar="TEXT", rich_help_panel="Method", help="What the photo shows; may be left out.")
    ] = "",
    model: options.Model = "toybox",
    preset: options.Preset = "best",
    source: options.SourceEye = "left",
    steps: options.Steps = None,
    solver: options.Solver = None,
    spacing: options.Spacing = None,
    seed: options.Seed = 0,
    guidance: options.Guidance = None,
    max_disparity: options.MaxDisparity = None,
    convergence: options.Convergence = None,
    crops: options.Crops = None,
    refine: options.Refine = None,
    depth_estimator: options.Estimator = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make a stereo pair from a photo."""
    del debug
    common = checking.common(
        "photo",
        model=model,
        preset_name=preset,
        steps=steps,
        solver=solver,
        spacing=spacing,
        guidance=guidance,
        max_disparity=max_disparity,
        convergence=convergence,
        source=source,
        views=views,
        baselines=baselines,
        formats=formats,
        also=also,
        dtype=dtype,
        seed=seed,
        crops=crops,
        refine=refine,
    )
    said = map_options.MapOptions(
        kind=map_kind, scale=map_scale, unknown=map_unknown, focal_px=focal_px, baseline_m=baseline_m
    )
    require_file(photo_file)
    if disparity_file is not None:
        require_file(disparity_file)
        if depth_estimator is not None:
            raise ConfigError("--disparity and --depth-estimator exclude each other")
    elif said != map_options.MapOptions():
        raise ConfigError("the options of a map need one: --disparity MAP")
    _check_model(model, "text")
    _check_estimator(depth_estimator)

    from stereodiffusion.cli.progress import Display

    with Display(quiet=quiet) as display:
        from stereodiffusion.cli.inputs import fitted, read_disparity
        from stereodiffusion.cli.outputs import settle_output
        from stereodiffusion.formats import read_image

        inputs = [photo_file] if disparity_file is None else [photo_file, disparity_file]
        target = settle_output(output, f"{photo_file.stem}-stereo", common, inputs=inputs)
        image = read_image(photo_file)
        disparity = None
        if disparity_file is not None:
            given = read_disparity(disparity_file, said, common, implied="disparity-px")
            height, width = image.shape[2:]
            disparity = fitted(given, (height, width), map_path=disparity_file, photo_path=photo_file)
            if given.size != disparity.size:
                display.note(f"{disparity_file}: scaled from {given.width} x {given.height} to {width} x {height}")
        loaded = _prepare(model, device, dtype, depth_estimator)
        written = _deliver(
            display,
            target,
            common,
            [model, None if disparity is not None else str(loaded.estimator_name)],
            lambda: loaded.photo_run(
                image, disparity=disparity, prompt=prompt, settings=common.config, seed=seed, source=common.source
            ),
            lambda positions: loaded.photo_views(
                image, positions, disparity=disparity, prompt=prompt, settings=common.config, seed=seed
            ),
        )
    _list(written)


def _check_prompt(prompt: str) -> None:
    if not prompt.strip():
        raise PromptError("the prompt is empty: say what the picture shows")


def _check_model(name: str, wanted: Kind) -> None:
    """Refuse what is known not to work; what is not known is left to the loading."""
    card = find_card(name)
    if card is None:
        if "/" not in name and not Path(name).suffix and not _is_there(name):
            raise ModelError(f"there is no model {name!r}; there are {_names('text')} and {_names('depth')}")
    elif card.kind == "depth-estimator":
        raise ModelError(f"{card.name} estimates depth and draws nothing; it is for --depth-estimator")
    elif card.kind != wanted and card.name != "toybox":
        needs = "takes no depth map" if wanted == "depth" else "works from a depth map only"
        raise ModelError(f"{card.name} {needs}; there are toybox, {_names(wanted)}")


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # no file can have such a name
        return False


def _check_two_step(model: str) -> None:
    card = find_card(model)
    if card is not None and card.kind == "depth":
        raise ModelError(f"{card.name} cannot treat its picture as a photo; --two-step is for toybox")


def _check_estimator(name: str | None) -> None:
    card = None if name is None else find_card(name)
    if card is not None and card.kind != "depth-estimator":
        raise ModelError(f"{card.name} does not estimate depth; there are {_names('depth-estimator')}")


def _names(kind: Kind) -> str:
    return ", ".join(card.name for card in CARDS if card.kind == kind)


def _prepare(model: str, device: str, dtype: str, depth_estimator: str | None) -> "StereoDiffusion":
    from stereodiffusion.synthesis import load

    precision = cast(PrecisionChoice, dtype)
    return load(model, device=usable_device(device), dtype=precision, depth_estimator=depth_estimator)


def _deliver(
    display: "Display",
    target: Path,
    common: checking.Common,
    models: Sequence[str | None],
    pair: "Callable[[], Run]",
    views: "Callable[[Sequence[float]], ViewRun]",
) -> list[Path]:
    """Load the models, make the pair or the views, whichever is wanted, and write them."""
    from stereodiffusion.views import ViewFormat, save_views

    if common.positions is None:
        made = display.follow(display.loading(models, pair))
        return made.save(target, format=common.formats, also=common.also)
    positions = common.positions
    run = display.loading(models, lambda: views(positions))
    formats = cast(tuple[ViewFormat, ...], common.formats)
    return list(save_views(display.views(run), positions, target, formats))


def _list(written: Sequence[Path]) -> None:
    for path in written:
        typer.echo(path)
