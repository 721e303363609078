"""Tables from rows: Tables 1 to 3 of the paper, and what they leave out, with the paper's numbers beside ours.

One table for each data set, protocol and size. A line is a method with one kind of disparity; methods that were run
with several settings (models, steps, seeds) have a line for each. What is given is the mean over the scenes and, as the
paper prints it, the distances of the best and the worst scene from it.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal, TypeAlias, TypeVar

from stereodiffusion.bench.methods import METHODS
from stereodiffusion.bench.plan import matched_by
from stereodiffusion.bench.published import TABLE_3, PublishedRow, Score, published_rows
from stereodiffusion.bench.results import DisparitySource, Protocol, Row
from stereodiffusion.metrics import MATCHED, MatcherName, PerceptualName

Better: TypeAlias = Literal["high", "low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A number that tables show.

    Attributes:
        name: In the rows.
        heading: In the tables.
        better: Which values are good; None shows the mean alone.
        digits: After the point.
    """

    name: str
    heading: str
    better: Better | None
    digits: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A method in a table.

    Attributes:
        method: Its name.
        variant: Settings that tell it from other lines, "" if there are none.
        disparity: Where the disparity came from; None if that is not said, or does not matter.
        scenes: Over how many scenes the means go; 0 for what only others ran.
        ours: Our numbers by the columns' names; a metric that no scene has is left out.
        paper: The paper's.
    """

    method: str
    variant: str
    disparity: DisparitySource | None
    scenes: int
    ours: Mapping[str, Score]
    paper: Mapping[str, Score]

    @property
    def label(self) -> str:
        """The method, with what tells it from others of its name."""
        return f"{self.method} ({self.variant})" if self.variant else self.method


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, ready to be written in any format.

    Attributes:
        name: Such as "Table 1".
        caption: What it shows.
        group: What all its rows share: data set, protocol, size and other settings, by name.
        columns: Its numbers.
        lines: Its methods, in the order of `METHODS`.
        spread: Whether the best and worst scene are printed beside the means, as the paper does.
    """

    name: str
    caption: str
    group: Mapping[str, str]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    spread: bool = True

    @property
    def uneven(self) -> bool:
        """Whether the lines are over different numbers of scenes, so that their means do not compare."""
        return len({line.scenes for line in self.lines} - {0}) > 1

    def best(self, column: Column) -> float:
        """The best mean that the table shows of a column, NaN if none is better than another."""
        means = [line.ours[column.name].mean for line in self.lines if column.name in line.ours]
        if column.better is None or len(means) < 2:
            return math.nan
        return max(means) if column.better == "high" else min(means)


QUALITY = (
    Column(name="psnr", heading="PSNR ↑", better="high", digits=2),
    Column(name="ssim", heading="SSIM ↑", better="high"),
    Column(name="lpips_squeeze", heading="LPIPS ↓", better="low"),
    Column(name="lpips_alex", heading="LPIPS (Alex) ↓", better="low"),
    Column(name="lpips_vgg", heading="LPIPS (VGG) ↓", better="low"),
)
"""The paper's metrics, and the other networks of LPIPS."""

REGIONS = (
    Column(name="psnr_visible", heading="PSNR visible ↑", better="high", digits=2),
    Column(name="psnr_occluded", heading="PSNR occluded ↑", better="high", digits=2),
    Column(name="psnr_holes", heading="PSNR holes ↑", better="high", digits=2),
    Column(name="psnr_soft", heading="PSNR soft borders ↑", better="high", digits=2),
    Column(name="ssim_visible", heading="SSIM visible ↑", better="high"),
    Column(name="ssim_occluded", heading="SSIM occluded ↑", better="high"),
    Column(name="ssim_holes", heading="SSIM holes ↑", better="high"),
    Column(name="ssim_soft", heading="SSIM soft borders ↑", better="high"),
    Column(name="ms_ssim", heading="MS-SSIM ↑", better="high"),
    Column(name="ms_ssim_visible", heading="MS-SSIM visible ↑", better="high"),
    Column(name="ms_ssim_occluded", heading="MS-SSIM occluded ↑", better="high"),
    Column(name="ms_ssim_holes", heading="MS-SSIM holes ↑", better="high"),
    Column(name="ms_ssim_soft", heading="MS-SSIM soft borders ↑", better="high"),
)
"""What the left eye sees as well, and what has to be made up."""

_DISTANCES: Mapping[PerceptualName, str] = {
    "lpips_squeeze": "LPIPS (squeeze)",
    "lpips_alex": "LPIPS (Alex)",
    "lpips_vgg": "LPIPS (VGG)",
    "stlpips_alex": "ST-LPIPS (Alex)",
    "stlpips_vgg": "ST-LPIPS (VGG)",
}
_PLACES = {"": "", "_visible": " visible", "_occluded": " occluded", "_holes": " holes", "_soft": " soft borders"}

LEARNED = tuple(
    Column(name=f"{name}{suffix}", heading=f"{network}{place} ↓", better="low")
    for name, network in _DISTANCES.items()
    for suffix, place in _PLACES.items()
    if name.startswith("st") or suffix  # those of LPIPS over all are in Table 1
)
"""Learned distances over all and by region; the network is said, since their numbers do not compare."""

PAIR = (
    Column(name="siou", heading="SIoU ↑", better="high"),
    Column(name="epe", heading="EPE, px ↓", better="low", digits=2),
    Column(name="d1", heading="D1 ↓", better="low"),
    Column(name="bad_2", heading="bad-2 ↓", better="low"),
    Column(name="lr_consistency", heading="consistent ↑", better="high"),
    Column(name="met3r", heading="MEt3R ↓", better="low"),
    Column(name="isqoe", heading="iSQoE", better=None),
    Column(name="vertical_disparity", heading="vertical, px ↓", better="low", digits=2),
    Column(name="colour_mismatch", heading="colour, ΔE ↓", better="low", digits=2),
    Column(name="sharpness_mismatch", heading="sharpness, octaves", better=None, digits=2),
    Column(name="parallax_p99", heading="parallax p99, %", better=None, digits=1),
)
"""What the right view is worth as one eye of a pair."""

FURTHER = (
    Column(name="bad_1", heading="bad-1 ↓", better="low"),
    Column(name="bad_4", heading="bad-4 ↓", better="low"),
    Column(name="parallax_p1", heading="parallax p1, %", better=None, digits=1),
    Column(name="parallax_p50", heading="parallax p50, %", better=None, digits=1),
    Column(name="window_violation", heading="cut by the frame ↓", better="low"),
)
"""What is measured besides; numbers that no table knows are added to them by the names that rows give them."""

_NETWORKS: tuple[MatcherName, ...] = ("raft_large", "raft_small")  # that may have measured disparity besides

COST = (
    Column(name="seconds", heading="seconds", better=None, digits=2),
    Column(name="evaluations", heading="evaluations", better=None, digits=0),
    Column(name="peak_memory_mb", heading="peak memory, MB", better=None, digits=0),
)


_ORDER = {name: place for place, name in enumerate(METHODS)}
_MODEL_SETTINGS = ("model", "dtype", "steps", "seed")
_Key = TypeVar("_Key")
_Values: TypeAlias = Callable[[Row], Mapping[str, float]]


def make_tables(rows: Iterable[Row]) -> tuple[Table, ...]:
    """Every table that the rows have something for, data set by data set; the cost of all at the end.

    Methods that are in figures only are left out.
    """
    rows = tuple(row for row in rows if row.job.method in METHODS)
    tables: list[Table] = []
    for (dataset, protocol, size), inside in _grouped(rows, _conditions).items():
        group = {"data set": dataset, "protocol": protocol, "size": size}
        for number, name, caption, columns, has in (*_QUALITY_TABLES, _rest(inside)):
            chosen = [row for row in inside if has(row.job.method)]
            lines = _lines(chosen, columns, lambda row: row.metrics)
            if any(line.ours for line in lines):
                lines = _beside(lines, published_rows(number, protocol), dataset)
                if number == 2 and len(lines) == 1:
                    continue  # a method by itself is no ablation
                group_here = group | _said(_shared(chosen))
                tables.append(
                    Table(name=name, caption=caption, group=group_here, columns=columns, lines=lines, spread=number > 0)
                )
    for size, inside in _grouped(rows, _size).items():
        costs = [_without_case(row) for row in inside]
        lines = _beside_times(_lines(costs, COST, _cost))
        group = {"size": size} | _said(_shared(costs))
        tables.append(
            Table(
                name="Table 3",
                caption="Cost of a right view from a photo; published: seconds on an RTX 3090",
                group=group,
                columns=COST,
                lines=lines,
            )
        )
    return tuple(tables)


def in_table_1(method: str) -> bool:
    """Whether a method is compared with others: all but those of Table 2 alone."""
    return 1 in METHODS[method].tables or not is_ablation(method)


def is_ablation(method: str) -> bool:
    """Whether a method belongs to Table 2; our own belongs to both."""
    return method in METHODS and (2 in METHODS[method].tables or method.startswith("sd-paper"))


def _in_any(method: str) -> bool:
    return True


def _measured_by(network: MatcherName) -> tuple[Column, ...]:
    return tuple(
        replace(column, name=matched_by(network, column.name)) for column in PAIR + FURTHER if column.name in MATCHED
    )


_QualityTable: TypeAlias = tuple[int, str, str, tuple[Column, ...], Callable[[str], bool]]

_QUALITY_TABLES: tuple[_QualityTable, ...] = (
    (1, "Table 1", "Quantitative evaluation", QUALITY, in_table_1),
    (0, "Regions", "What the left eye sees as well, and what it does not", REGIONS, _in_any),
    (0, "Learned distances", "By region; the network that compares is named", LEARNED, _in_any),
    (0, "Pair", "The two eyes together", PAIR, _in_any),
    *(
        (0, "Pair", f"The two eyes together, disparity measured by {network}", _measured_by(network), _in_any)
        for network in _NETWORKS
    ),
    (2, "Table 2", "Ablation", QUALITY, is_ablation),
)


def _rest(rows: Iterable[Row]) -> _QualityTable:
    """The table of all numbers that no other shows."""
    known = {column.name for *_, columns, _ in _QUALITY_TABLES for column in columns} | {c.name for c in FURTHER}
    unknown = dict.fromkeys(name for row in rows for name in row.metrics if name not in known)
    columns = (*FURTHER, *(Column(name=name, heading=name, better=None) for name in unknown))
    return 0, "Further", "What was measured besides", columns, _in_any


def _conditions(row: Row) -> tuple[str, Protocol, str]:
    return row.job.dataset, row.job.protocol, _size(row)


def _size(row: Row) -> str:
    return str(row.job.settings["size"])


def _cost(row: Row) -> Mapping[str, float]:
    return {"seconds": row.seconds, "evaluations": row.evaluations, "peak_memory_mb": row.peak_memory_mb}


def _without_case(row: Row) -> Row:
    """The row without what makes no difference to the cost."""
    kept = {name: value for name, value in row.job.settings.items() if name in _MODEL_SETTINGS}
    return replace(row, job=replace(row.job, disparity="truth", settings=kept))


def _grouped(rows: Iterable[Row], key: Callable[[Row], _Key]) -> dict[_Key, list[Row]]:
    """Rows by a key, in order of first appearance."""
    groups: defaultdict[_Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return dict(groups)


def _shared(rows: Iterable[Row]) -> dict[str, str]:
    """The settings that have one value wherever they matter."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        for name, value in row.job.settings.items():
            found[name].add("" if value is None else str(value))
    return {name: values.pop() for name, values in found.items() if len(values) == 1}


def _said(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings that were made: what each method decides for itself, such as its steps, is no setting of a table."""
    return {name: value for name, value in settings.items() if value}


def _lines(rows: Sequence[Row], columns: Sequence[Column], values: _Values) -> tuple[Line, ...]:
    shared = _shared(rows)

    def key(row: Row) -> tuple[int, str, bool]:
        own = (
            f"{name} {value}" for name, value in row.job.settings.items() if name not in shared and value is not None
        )
        return _ORDER[row.job.method], ", ".join(own), row.job.disparity == "estimated"

    return tuple(
        Line(
            method=inside[0].job.method,
            variant=variant,
            disparity=inside[0].job.disparity,
            scenes=len(inside),
            ours=_scores(columns, [values(row) for row in inside]),
            paper={},
        )
        for (_, variant, _), inside in sorted(_grouped(rows, key).items(), key=lambda group: group[0])
    )


def _scores(columns: Sequence[Column], values: Sequence[Mapping[str, float]]) -> dict[str, Score]:
    """Means and distances; numbers that do not exist are left out of them."""
    scores: dict[str, Score] = {}
    for column in columns:
        seen = [value[column.name] for value in values if not math.isnan(value.get(column.name, math.nan))]
        if seen:
            mean, highest, lowest = fmean(seen), max(seen), min(seen)
            match column.better:
                case "high":
                    scores[column.name] = Score(mean=mean, best=highest - mean, worst=lowest - mean)
                case "low":
                    scores[column.name] = Score(mean=mean, best=lowest - mean, worst=highest - mean)
                case None:
                    scores[column.name] = Score(mean=mean)
    return scores


def _beside(lines: Sequence[Line], others: Sequence[PublishedRow], dataset: str) -> tuple[Line, ...]:
    """Our lines with what was published of the same, and after them what was published of others."""
    waiting = [other for other in others if dataset in other.scores]
    filled: list[Line] = []
    for line in lines:
        # Which disparity the paper's baselines had is not said: they stand beside the true one.
        match = next((o for o in waiting if (o.method, o.disparity or "truth") == (line.method, line.disparity)), None)
        filled.append(line if match is None else replace(line, paper=match.scores[dataset]))
        waiting = [other for other in waiting if other is not match]
    return (
        *filled,
        *(
            Line(
                method=other.label,
                variant="published",
                disparity=other.disparity,
                scenes=0,
                ours={},
                paper=other.scores[dataset],
            )
            for other in waiting
        ),
    )


def _beside_times(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Our lines without a kind of disparity, with the paper's seconds for a photo."""
    seconds = {time.method: {"seconds": Score(mean=time.seconds["photo"])} for time in TABLE_3}
    return tuple(replace(line, disparity=None, paper=seconds.get(line.method, {})) for line in lines)
