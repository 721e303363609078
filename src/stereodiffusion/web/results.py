"""What was made: kept in memory under names that nobody guesses, and given out as files.

A file of a result is encoded when somebody asks for it, with the parallax that they ask for. No path of this machine is
read for it.
"""

import io
import json
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_urlsafe
from threading import Lock
from types import MappingProxyType
from typing import Any, cast

from stereodiffusion.bundles import annotate, bundle_files, camera_of
from stereodiffusion.errors import FormatError, GeometryError, SynthesisError
from stereodiffusion.formats import OUTPUT_FORMATS, encode_image, read_map, visualise
from stereodiffusion.formats.files import write_files
from stereodiffusion.formats.maps import encode_map
from stereodiffusion.formats.naming import encode_files
from stereodiffusion.geometry import StereoRig
from stereodiffusion.pair import StereoPair
from stereodiffusion.request import Request, files_of, prompts_of
from stereodiffusion.request.inputs import MapFile
from stereodiffusion.synthesis.rerender import Rerender
from stereodiffusion.web.forms import public

_PARTS: Mapping[str, Callable[[StereoPair], bytes]] = MappingProxyType(
    {
        "left.png": lambda pair: encode_image(pair.left, ".png", pair.provenance),
        "right.png": lambda pair: encode_image(pair.right, ".png", pair.provenance),
        "right.jpg": lambda pair: encode_image(pair.right, ".jpg"),  # while a slider moves
        "depth.png": lambda pair: encode_image(visualise(pair.disparity), ".png"),
        "disparity.pfm": lambda pair: encode_map(pair.disparity, ".pfm"),
        "occlusion.png": lambda pair: encode_image(pair.occlusion.float().expand(-1, 3, -1, -1), ".png"),
    }
)


_BUNDLE = "bundle.zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A pair that was made.

    Attributes:
        name: Nobody guesses it.
        request: What was asked for; its files are where this machine keeps them.
        live: The pair, which can be drawn with other parallax.
        notes: What was assumed or looks wrong.
        camera: The cameras that the pair was made for, if anybody said.
    """

    name: str
    request: Request
    live: Rerender
    notes: tuple[str, ...]
    camera: StereoRig | None = None

    @property
    def title(self) -> str:
        """What people call it."""
        text = prompts_of(self.request.prompt)[0].strip()
        file = next((Path(file.path).name for _, file in files_of(self.request)), "")
        return f"{text or file} · {self.request.mode}, {self.request.preset}, seed {self.request.seed}"

    def pair(self, strength: float | None = None, convergence: float | None = None) -> StereoPair:
        """The pair, perhaps with other parallax.

        Raises:
            GeometryError: If that is out of range.
        """
        live = self.live
        return live.at(
            live.strength if strength is None else strength, live.convergence if convergence is None else convergence
        )

    def plain(self) -> dict[str, Any]:
        """What the page and programs are told of it, as JSON values."""
        height, width = self.live.pair.size
        at = f"stereo/results/{self.name}/"
        return {
            "result": self.name,
            "title": self.title,
            "size": [height, width],
            "strength": self.live.strength,
            "convergence": self.live.convergence,
            "notes": list(self.notes),
            "request": json.dumps(public(self.request.plain())),
            "files": {name: at + name for name in [*_PARTS, _BUNDLE, "request.json"]},
            "formats": {
                name: {"about": each.about, "url": f"{at}{name}{'.zip' if len(each.parts) > 1 else each.suffixes[0]}"}
                for name, each in OUTPUT_FORMATS.items()
            },
        }

    def file(self, name: str, strength: float | None = None, convergence: float | None = None) -> bytes:
        """The content of one of its files.

        Raises:
            FormatError: If there is no such file.
            GeometryError: If the parallax is out of range.
        """
        if name == "request.json":
            return json.dumps(public(self.request.plain()), indent=2).encode()
        stem, _, suffix = name.rpartition(".")
        if name not in (*_PARTS, _BUNDLE) and stem not in OUTPUT_FORMATS:
            raise FormatError(f"there is no file {name!r} of a result")
        pair = self.pair(strength, convergence)
        if name == _BUNDLE:
            return _bundle(pair, None if "rerendered" in pair.provenance else self.camera)
        return _PARTS[name](pair) if name in _PARTS else _in_format(pair, stem, f".{suffix}")


def _strength(request: Request, pair: StereoPair) -> float:
    """The strength that a pair was made with; of a map that says how far things move, as far as the nearest does."""
    parallax, given = request.settings().parallax, getattr(request, "map", None)
    absolute = isinstance(given, MapFile) and (given.kind in (None, "disparity-px") or given.focal_px is not None)
    if not absolute or parallax.scale == "normalized":
        return parallax.max_disparity
    nearest = float(pair.disparity.pixels.max()) / pair.left.shape[3] + _convergence(pair)
    return round(min(max(nearest, 0.0), 0.5), 3)


def _convergence(pair: StereoPair) -> float:
    """Where the screen of a pair lies in the end, which a request may leave to be found."""
    settings = cast(Mapping[str, Any], pair.provenance["resolved"])["settings"]
    return float(settings["parallax"]["convergence"])


def _in_format(pair: StereoPair, name: str, suffix: str) -> bytes:
    """A pair in one of the output formats; several files in a zip."""
    several = len(OUTPUT_FORMATS[name].parts) > 1
    path = Path(f"stereo{'.png' if several else suffix}")
    files = {target.name: content for target, content in encode_files(path, [name], pair.eyes()).items()}
    return _zipped(files) if several else next(iter(files.values()))


def _bundle(pair: StereoPair, camera: StereoRig | None) -> bytes:
    """All that is known of a pair, for research, as `--bundle folder` has it; and its request as a file of its own."""
    files = bundle_files(annotate(pair, "stereo", camera), "folder")
    asked = json.dumps(pair.provenance.get("request", {}), indent=2)
    return _zipped({**files, "request.json": asked.encode()})


def _zipped(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # without the time: the same pair, the same bytes
    return content.getvalue()


class Results:
    """The latest results.

    Args:
        kept: How many.
        folder: Where sources and edited maps lie that the next run reads.
    """

    def __init__(self, kept: int, folder: Path) -> None:
        self._kept, self._folder = kept, folder
        self._lock = Lock()
        self._known: OrderedDict[str, Result] = OrderedDict()

    def add(self, request: Request, pair: StereoPair, notes: tuple[str, ...]) -> Result:
        """Keep a pair."""
        signed = dict(pair.provenance)
        signed["request"] = public(cast(Mapping[str, Any], signed["request"]))
        pair = replace(pair, provenance=signed)
        live = Rerender(pair=pair, convergence=_convergence(pair), strength=_strength(request, pair))
        camera = camera_of(request, pair)
        result = Result(name=token_urlsafe(16), request=request, live=live, notes=notes, camera=camera)
        with self._lock:
            self._known[result.name] = result
            while len(self._known) > self._kept:
                old, _ = self._known.popitem(last=False)
                for path in (self._source(old), self._map(old)):
                    path.unlink(missing_ok=True)
        return result

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
        path = self._map(name)
        write_files({path: content})
        try:
            given = read_map(path)
            if (found := tuple(given.values.shape[-2:])) != result.live.pair.size:
                raise GeometryError(f"expected a map of {result.live.pair.size}, got {found}")
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
        write_files({self._source(result.name): encode_image(result.live.pair.left, ".png")})
        return self._source(result.name), self._map(result.name)

    def _map(self, name: str) -> Path:
        return self._folder / f"{name}-depth.pfm"

    def _source(self, name: str) -> Path:
        return self._folder / f"{name}-source.png"
