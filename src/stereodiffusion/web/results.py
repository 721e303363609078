"""What was made: kept in memory under names that nobody guesses, and shown with the parallax that is asked for.

No path of this machine is read for it.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, floor
from pathlib import Path
from secrets import token_urlsafe
from threading import Lock
from typing import Any, cast

import numpy as np

from stereodiffusion.bundles import camera_of
from stereodiffusion.comfort import FARTHEST, NEAREST, Bounds, Change, Made, Measured, Report, measure_pair, report_on
from stereodiffusion.errors import ConfigError, FormatError, GeometryError, SynthesisError
from stereodiffusion.formats import OUTPUT_FORMATS, encode_image, read_map
from stereodiffusion.formats.files import write_files
from stereodiffusion.geometry import StereoRig
from stereodiffusion.geometry.curve import STRAIGHT
from stereodiffusion.pair import StereoPair
from stereodiffusion.request import Pair, Request, files_of, prompts_of
from stereodiffusion.settings import DISPLAYS, DisplayName
from stereodiffusion.synthesis.rerender import Relief, Rerender, mirrored
from stereodiffusion.web.files import BUNDLE, PARTS, bundle_of, check_name, encoded, name_in
from stereodiffusion.web.forms import parse_curve, public, says_parallax, without_places

_STEP = 0.001  # of the sliders
_AT_HAND = 4  # pairs that were looked at last, as they were looked at: several files are asked of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a pair is shown.

    Attributes:
        relief: Its parallax.
        window: Whether it gets a floating window.
    """

    relief: Relief
    window: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """A pair that was made.

    Attributes:
        name: Nobody guesses it.
        request: What was asked for; its files are where this machine keeps them.
        pair: As it was made.
        made: With what parallax.
        notes: What was assumed or looks wrong.
        camera: The cameras that the pair was made for, if anybody said.
    """

    name: str
    request: Request
    pair: StereoPair
    made: Relief
    notes: tuple[str, ...]
    camera: StereoRig | None = None

    @property
    def title(self) -> str:
        """What people call it."""
        text = prompts_of(self.request.prompt)[0].strip()
        file = next((Path(file.path).name for _, file in files_of(self.request)), "")
        return f"{text or file} · {self.request.mode}, {self.request.preset}, seed {self.request.seed}"

    def shown(self, look: Look | None = None) -> StereoPair:
        """The pair, perhaps with other parallax or a floating window.

        Raises:
            GeometryError: If it cannot be drawn so.
        """
        return self.pair if look is None else _shown(self, look)

    def comfort(self, look: Look, display: str) -> Report:
        """How comfortable it is on a display; what to change is said in the terms of its relief.

        Raises:
            ConfigError: If there is no such display.
        """
        if display not in DISPLAYS:
            raise ConfigError(f"display must be one of {', '.join(DISPLAYS)}, got {display!r}")
        screen = DISPLAYS[cast(DisplayName, display)]
        made = Made(max_disparity=look.relief.strength, convergence=look.relief.convergence)
        return report_on(_measured(self, look), screen, display, made)

    def comfortable(self, look: Look, display: str) -> Look:
        """How to show it so that its parallax is comfortable on a display; the same if it is, or is not the reason.

        Raises:
            ConfigError: If there is no such display.
        """
        report = self.comfort(look, display)
        if report.change is None:
            return look
        relief = _on_sliders(look.relief, report.change, _measured(self, look), report.bounds.inner)
        return Look(relief=relief, window=look.window or report.change.floating_window)

    def spread(self, relief: Relief) -> float:
        """Parallax between its farthest and its nearest point with another relief, as a fraction of the width."""
        known = self.pair.disparity.pixels[self.pair.disparity.known]
        factor = relief.strength / self.made.strength if self.made.strength else 1.0
        return factor * float(known.max() - known.min()) / self.pair.size[1]

    def plain(self) -> dict[str, Any]:
        """What the page and programs are told of it, as JSON values."""
        height, width = self.pair.size
        at = f"stereo/results/{self.name}/"
        return {
            "result": self.name,
            "title": self.title,
            "size": [height, width],
            "strength": self.made.strength,
            "convergence": self.made.convergence,
            "curve": list(self.made.curve),
            "middle": middle_of(self.made.curve),
            "notes": [without_places(note) for note in self.notes],
            "request": json.dumps(public(self.request.plain())),
            "files": {name: at + name for name in [*PARTS, BUNDLE, "request.json"]},
            "formats": {
                name: {"about": each.about, "url": at + name_in(name)} for name, each in OUTPUT_FORMATS.items()
            },
        }

    def file(self, name: str, look: Look | None = None) -> bytes:
        """The content of one of its files.

        Raises:
            FormatError: If there is no such file.
            GeometryError: If it cannot be drawn so.
        """
        if name == "request.json":
            return json.dumps(public(self.request.plain()), indent=2).encode()
        check_name(name)
        if name == BUNDLE:  # the whole pictures: a window would cover some of what is known
            pair = self.shown(look and replace(look, window=False))
            return bundle_of(pair, None if "rerendered" in pair.provenance else self.camera)
        return encoded(name, self.shown(look))


def middle_of(curve: tuple[float, ...]) -> float:
    """Where a curve has the middle of the relief: what the page's slider shows of it."""
    return round(float(np.interp(0.5, np.linspace(0, 1, len(curve)), curve)), 3)


def curve_through(middle: float) -> tuple[float, ...]:
    """The curve that the page's slider stands for."""
    return STRAIGHT if middle == 0.5 else (0.0, round(middle, 3), 1.0)


def look_of(
    result: Result,
    strength: float | None = None,
    convergence: float | None = None,
    curve: str = "",
    window: bool = False,
) -> Look:
    """How a client asks for a result to be shown; what it says nothing of is as it was made.

    Raises:
        ConfigError: If the curve is no list of numbers.
        GeometryError: If something is out of range.
    """
    made, wanted = result.made, parse_curve(curve)
    relief = Relief(
        strength=made.strength if strength is None else strength,
        convergence=made.convergence if convergence is None else convergence,
        curve=made.curve if wanted is None else tuple(wanted),
    )
    return Look(relief=relief, window=window)


@lru_cache(_AT_HAND)
def _live(result: Result) -> Rerender:
    """What redraws a result. If its source is the right eye, it is drawn in a mirror, so that its own pixels stay."""
    return Rerender(pair=mirrored(result.pair) if _from_right(result) else result.pair, made=result.made)


@lru_cache(_AT_HAND)
def _shown(result: Result, look: Look) -> StereoPair:
    pair = result.pair
    if look.relief != result.made:
        pair = _live(result).at(look.relief)
        pair = mirrored(pair) if _from_right(result) else pair
    return pair.with_floating_window() if look.window else pair


@lru_cache(_AT_HAND)
def _measured(result: Result, look: Look) -> Measured:
    """Its parallax is known exactly, so that nothing is matched."""
    return measure_pair(_shown(result, look))


def _on_sliders(relief: Relief, change: Change, measured: Measured, bounds: Bounds) -> Relief:
    """A change in whole steps of the sliders, with what is farthest and nearest still within bounds.

    Parallax grows with the strength and is the less the nearer the screen: p = strength · r - convergence.
    """
    farthest, nearest = (measured.percentile(at) + relief.convergence for at in (FARTHEST, NEAREST))

    def screens(strength: int) -> range:
        """Where the screen may lie with a strength; both in steps."""
        scale = strength * _STEP / relief.strength if relief.strength else 0.0
        least, most = scale * nearest - bounds.nearest, scale * farthest - bounds.farthest
        return range(ceil(least / _STEP), floor(most / _STEP) + 1)

    strength = next(steps for steps in range(floor(change.strength / _STEP), -1, -1) if screens(steps))
    allowed = screens(strength)
    screen = min(max(round(change.convergence / _STEP), allowed[0]), allowed[-1])
    return replace(relief, strength=round(strength * _STEP, 3), convergence=round(screen * _STEP, 3))


def _from_right(result: Result) -> bool:
    wanted = result.request.wanted
    return isinstance(wanted, Pair) and wanted.source == "right"


def _made(request: Request, pair: StereoPair) -> Relief:
    """What a pair was made with; of a map that says how far things move, as far as the nearest does."""
    resolved = cast(Mapping[str, Any], pair.provenance["resolved"])["settings"]["parallax"]
    strength, convergence = float(resolved["max_disparity"]), float(resolved["convergence"])
    if says_parallax(request):
        known = pair.disparity.pixels[pair.disparity.known]
        nearest = float(known.max()) / pair.size[1] + convergence
        strength = round(min(max(nearest, 0.0), 0.5), 3)
    return Relief(strength=strength, convergence=convergence, curve=request.settings().parallax.curve)


class Results:
    """The latest results.

    Args:
        kept: How many.
        pixels: Of all of them together, of one eye each; the latest is kept however large it is.
        folder: Where sources and edited maps lie that the next run reads.
    """

    def __init__(self, kept: int, pixels: int, folder: Path) -> None:
        self._kept, self._pixels, self._folder = kept, pixels, folder
        self._lock = Lock()
        self._known: OrderedDict[str, Result] = OrderedDict()

    def add(self, request: Request, pair: StereoPair, notes: tuple[str, ...]) -> Result:
        """Keep a pair."""
        signed = dict(pair.provenance)
        signed["request"] = public(cast(Mapping[str, Any], signed["request"]))
        pair = replace(pair, provenance=signed)
        made = _made(request, pair)
        result = Result(
            name=token_urlsafe(16), request=request, pair=pair, made=made, notes=notes, camera=camera_of(request, pair)
        )
        with self._lock:
            self._known[result.name] = result
            while self._too_many():
                old, _ = self._known.popitem(last=False)
                for path in (self._source(old), self._map(old)):
                    path.unlink(missing_ok=True)
        return result

    def _too_many(self) -> bool:
        pixels = sum(result.pair.size[0] * result.pair.size[1] for result in self._known.values())
        return len(self._known) > 1 and (len(self._known) > self._kept or pixels > self._pixels)

    def __contains__(self, name: str) -> bool:
        with self._lock:
            return name in self._known

    def __getitem__(self, name: str) -> Result:
        with self._lock:
            if name not in self._known:
                raise SynthesisError("that result is no longer kept: make it again")
            return self._known[name]

    def edit(self, name: str, content: bytes) -> None:
        """Take an edited depth map of a result: PFM, near is bright, on the grid of its picture.

        Raises:
            FormatError: If it cannot be read.
            GeometryError: If it is of another size.
        """
        result = self[name]
        if isinstance(result.request.wanted, Pair) and result.request.wanted.source != "left":
            raise SynthesisError("depth can be touched up where the source is the left eye: this pair's is another")
        path = self._map(name)
        write_files({path: content})
        try:
            given = read_map(path)
            if (found := tuple(given.values.shape[-2:])) != result.pair.size:
                raise GeometryError(f"expected a map of {result.pair.size}, got {found}")
        except (FormatError, GeometryError) as refused:
            path.unlink(missing_ok=True)
            raise type(refused)(str(refused).replace(str(path), "the map")) from None

    def edited(self, result: Result) -> tuple[Path, Path]:
        """Files of a result's source and of its edited map.

        Raises:
            SynthesisError: If the map was not edited.
        """
        if not self._map(result.name).exists():
            raise SynthesisError("the depth map has not been changed yet: paint on it first")
        write_files({self._source(result.name): encode_image(result.pair.left, ".png")})
        return self._source(result.name), self._map(result.name)

    def _map(self, name: str) -> Path:
        return self._folder / f"{name}-depth.pfm"

    def _source(self, name: str) -> Path:
        return self._folder / f"{name}-source.png"
