"""The paper's figures from our own runs: Fig. 3, 4, 5 and 8, and box plots, as PNG.

Fig. 4 picks its scenes by SSIM: the worst, the one closest to the mean, and the best of our method. The same is drawn
for each method by itself, with where it errs. Close-ups show the square in which methods are farthest from the truth,
the strip that enters the frame at the right left out.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

from stereodiffusion.bench.boards import Board, make_boards, telling_window
from stereodiffusion.bench.drawing import Cell, Picture, boxes, difference, grid, painted_from, with_close_up
from stereodiffusion.bench.methods import METHODS
from stereodiffusion.bench.results import Row, read_rows
from stereodiffusion.bench.sweeps import BLANKED, BLANKING_SWEEP, SHIFT_SWEEP, erased_from
from stereodiffusion.bench.tables import in_table_1, is_ablation
from stereodiffusion.errors import BenchmarkError

_OURS = ("sd-paper", "sd-paper-ddim", "sd-fast")
"""By whose SSIM scenes are picked for Fig. 4 and 5: of these the first that was run."""


def write_figures(results: Path, output: Path) -> Iterator[Path]:
    """Draw every figure that the rows have something for.

    Args:
        results: A folder of results.
        output: Where the figures go; made if need be.

    Yields:
        The files, as they are written.

    Raises:
        BenchmarkError: If there are no results, their pictures are gone, or the folder cannot be written to.
    """
    for board in make_boards(results, read_rows(results)):
        for name, draw in _figures(board).items():
            path, picture = output / f"{name}.png", draw()
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path)
            except OSError as failed:
                raise BenchmarkError(f"{path}: cannot be written: {failed.strerror}") from failed
            yield path


def _figures(board: Board) -> dict[str, Callable[[], Picture]]:
    """What can be drawn of a board, by name of the file."""
    compared = [method for method in board.rows if method in METHODS and in_table_1(method)]
    ablated = [method for method in board.rows if is_ablation(method)]
    shifted = [method for method in board.rows if method in SHIFT_SWEEP]
    blanked = [method for method in board.rows if method in BLANKING_SWEEP]
    drawers: dict[str, tuple[Callable[[Board, list[str]], Picture], list[str]]] = {
        "figure3": (_shift_sweep, shifted),
        "figure4": (_comparison, compared),
        "figure5": (_ablation, ablated),
        "figure8": (_blanking, blanked),
        "boxes": (_boxes, list(dict.fromkeys([*compared, *ablated]))),
    }
    figures: dict[str, Callable[[], Picture]] = {
        f"{stem}-{board.name}": partial(draw, board, methods)
        for stem, (draw, methods) in drawers.items()
        if methods and board.scenes(methods)
    }
    single = {f"methods/{board.name}/{method}": partial(_extremes, board, method) for method in compared + ablated}
    return figures | single


def _comparison(board: Board, methods: list[str]) -> Picture:
    scenes = board.scenes(methods)
    ours = next((method for method in _OURS if method in methods), None)
    by = ours or max(methods, key=lambda method: fmean(board.rows[method][scene].metrics["ssim"] for scene in scenes))
    return _strips(board, methods, board.extremes(by, scenes), f"Fig. 4, scenes by the SSIM of {by}")


def _ablation(board: Board, methods: list[str]) -> Picture:
    by = next((method for method in _OURS if method in methods), methods[0])
    average = board.extremes(by, board.scenes(methods))
    scene = average.get("average") or next(iter(average.values()))
    return _strips(board, methods, {"": scene}, "Fig. 5, ablation")


def _shift_sweep(board: Board, methods: list[str]) -> Picture:
    picked = board.extremes(methods[0], board.scenes(methods))
    return _strips(board, methods, picked, "Fig. 3, when the latent is shifted")


def _strips(board: Board, methods: Sequence[str], picked: Mapping[str, str], title: str) -> Picture:
    """Scenes as rows; left, truth and methods as columns, each with the same close-up."""
    rows: list[list[Cell]] = []
    for scene in picked.values():
        truth = board.view("right", scene)
        made = [board.picture(method, scene) for method in methods]
        window = telling_window(truth, made, board.border(scene))
        captions = ["", "", *(_caption(board.rows[method][scene]) for method in methods)]
        pictures = [board.view("left", scene), truth, *made]
        rows.append([Cell(with_close_up(p, window), text) for p, text in zip(pictures, captions, strict=True)])
    return grid(
        rows,
        title=f"{title} ({board.title})",
        headings=["left", "true right", *(_heading(method) for method in methods)],
        sides=[f"{word}\n{scene}".strip() for word, scene in picked.items()],
    )


def _extremes(board: Board, method: str) -> Picture:
    """The worst, average and best scene of one method, with where it errs."""
    picked = board.extremes(method, tuple(board.rows[method]))
    rows: list[list[Cell]] = []
    for scene in picked.values():
        truth, made = board.view("right", scene), board.picture(method, scene)
        window = telling_window(truth, [made], board.border(scene))
        pictures = [board.view("left", scene), truth, made, difference(made, truth)]
        captions = ["", "", _caption(board.rows[method][scene]), ""]
        rows.append([Cell(with_close_up(p, window), text) for p, text in zip(pictures, captions, strict=True)])
    return grid(
        rows,
        title=f"{method} ({board.title})",
        headings=["left", "true right", "generated", "difference"],
        sides=[f"{word}\n{scene}" for word, scene in picked.items()],
    )


def _blanking(board: Board, methods: list[str]) -> Picture:
    """Each share twice: what was erased, in red, and how it was filled."""
    picked = board.extremes(methods[0], board.scenes(methods))
    shares = {f"blanked-{share:.2f}": share for share in BLANKED}
    rows: list[list[Cell]] = []
    for scene in picked.values():
        truth = board.view("right", scene)
        cells = [Cell(truth)]
        for method in methods:
            cells.append(Cell(painted_from(truth, erased_from(shares[method], truth.width))))
            cells.append(Cell(board.picture(method, scene), _caption(board.rows[method][scene])))
        rows.append(cells)
    headings = [text for method in methods for text in (f"{shares[method]:.0%} erased", "filled")]
    return grid(
        rows,
        title=f"Fig. 8, inpainting by latent blanking ({board.title})",
        headings=["true right", *headings],
        sides=list(picked.values()),
    )


def _boxes(board: Board, methods: list[str]) -> Picture:
    panels = {
        heading: {method: [row.metrics[name] for row in board.rows[method].values()] for method in methods}
        for heading, name in (("PSNR (dB)", "psnr"), ("SSIM", "ssim"))
    }
    return boxes(panels, title=f"All scenes ({board.title})")


def _caption(row: Row) -> str:
    words = [f"SSIM {row.metrics['ssim']:.3f}"]
    if "lpips_squeeze" in row.metrics:
        words.append(f"LPIPS {row.metrics['lpips_squeeze']:.3f}")
    return ", ".join(words)


def _heading(method: str) -> str:
    return textwrap.fill(method, width=28)
