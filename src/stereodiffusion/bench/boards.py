"""Which rows and pictures belong into one figure: those of one data set, protocol, disparity and size, on one model."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image, UnidentifiedImageError

from stereodiffusion.bench.drawing import Picture, Window
from stereodiffusion.bench.results import Row, scene_folder
from stereodiffusion.bench.selection import CATALOGUE
from stereodiffusion.errors import BenchmarkError

_WINDOW = 1 / 6  # of the picture's shorter edge
_DISPARITIES = {"truth": "true disparity", "estimated": "estimated disparity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Rows that may stand beside each other.

    Attributes:
        name: For file names.
        title: For people.
        folder: The results.
        rows: By method, in the order of the catalogue, then by scene.
    """

    name: str
    title: str
    folder: Path
    rows: Mapping[str, Mapping[str, Row]]

    def scenes(self, methods: Iterable[str]) -> tuple[str, ...]:
        """The scenes that all of these methods have."""
        first, *others = (self.rows[method] for method in methods)
        return tuple(scene for scene in first if all(scene in other for other in others))

    def picture(self, method: str, scene: str) -> Picture:
        """A method's right view."""
        return _read(self.folder / self.rows[method][scene].job.picture)

    def view(self, eye: str, scene: str) -> Picture:
        """What there was before any method: the left view, or the true right one."""
        row = next(rows[scene] for rows in self.rows.values() if scene in rows)
        return _read(self.folder / scene_folder(row.job.dataset, scene) / f"{eye}-{row.job.settings['size']}.png")

    def border(self, scene: str) -> int:
        """Columns at the right of a scene's right view that the left eye does not see, where things are nearest."""
        row = next(rows[scene] for rows in self.rows.values() if scene in rows)
        return min(math.ceil(row.facts["nearest_px"]), round(row.facts["width"] / 4))

    def extremes(self, method: str, scenes: Sequence[str]) -> dict[str, str]:
        """The scenes with the method's worst, most average and best SSIM, as Fig. 4 picks them; each scene once."""
        by_ssim = {scene: self.rows[method][scene].metrics["ssim"] for scene in scenes}
        mean = fmean(by_ssim.values())
        words = {
            min(by_ssim, key=lambda scene: abs(by_ssim[scene] - mean)): "average",
            max(by_ssim, key=by_ssim.__getitem__): "best" if len(by_ssim) > 1 else "average",
        }
        if len(by_ssim) > 1:
            words[min(by_ssim, key=by_ssim.__getitem__)] = "worst"
        order = ("worst", "average", "best")
        return {word: scene for scene, word in sorted(words.items(), key=lambda item: order.index(item[1]))}


def make_boards(folder: Path, rows: Iterable[Row]) -> tuple[Board, ...]:
    """Boards of all rows. Methods without a model stand on the boards of every model that was run beside them."""
    places: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row.job.method in CATALOGUE:
            job = row.job
            places[job.dataset, job.protocol, job.disparity, str(job.settings["size"])].append(row)
    boards: list[Board] = []
    for (dataset, protocol, disparity, size), inside in places.items():
        runs = tuple(dict.fromkeys(_run(row) for row in inside if CATALOGUE[row.job.method].needs_model))
        for run in runs or ((),):
            parts = (dataset, protocol, disparity, size, *(run if len(runs) > 1 else ()))
            titled = (dataset, f"{protocol} protocol", _DISPARITIES[disparity], size, *run)
            chosen = [row for row in inside if _run(row) == run or not CATALOGUE[row.job.method].needs_model]
            boards.append(
                Board(
                    name="-".join(parts).replace(" ", "-"), title=", ".join(titled), folder=folder, rows=_table(chosen)
                )
            )
    return tuple(boards)


def telling_window(truth: Picture, pictures: Sequence[Picture], border: int) -> Window:
    """The square in which the pictures are farthest from the truth, going by the median of them.

    Args:
        truth: What it should be.
        pictures: What it is, of the same size.
        border: Columns at the right that do not count: what enters the frame there is guessed by all.
    """
    levels = [np.asarray(picture.convert("RGB"), dtype=np.float32) for picture in (truth, *pictures)]
    error = np.median([np.abs(other - levels[0]).mean(axis=2) for other in levels[1:]], axis=0)
    edge = max(8, round(min(error.shape) * _WINDOW))
    error = error[:, : max(edge, error.shape[1] - border)]
    total = np.pad(error.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = total[edge:, edge:] - total[:-edge, edge:] - total[edge:, :-edge] + total[:-edge, :-edge]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(left), int(top), edge


def _run(row: Row) -> tuple[str, ...]:
    """The model and what it was run with; nothing for methods without one."""
    settings = row.job.settings
    if "model" not in settings:
        return ()
    words = (Path(str(settings["model"])).name, str(settings["dtype"]), f"seed {settings['seed']}")
    return words if settings["steps"] is None else (*words, f"{settings['steps']} steps")


def _table(rows: Iterable[Row]) -> dict[str, dict[str, Row]]:
    """By method and scene; of several rows, as with several estimators, the last one counts."""
    found: dict[str, dict[str, Row]] = {name: {} for name in CATALOGUE}
    for row in rows:
        found[row.job.method][row.job.scene] = row
    return {method: scenes for method, scenes in found.items() if scenes}


def _read(path: Path) -> Picture:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, UnidentifiedImageError) as missing:
        raise BenchmarkError(f"{path}: the picture of a row is gone or damaged") from missing
