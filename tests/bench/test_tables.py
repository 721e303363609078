"""Tables from rows."""

import csv
import math
from dataclasses import replace
from io import StringIO
from typing import get_args

import pytest
import torch
from tests.bench.making import row

from stereodiffusion.bench.plan import matched_by
from stereodiffusion.bench.published import TABLE_1, TABLE_2, PublishedRow, Score
from stereodiffusion.bench.regions import FURTHER_REGIONS
from stereodiffusion.bench.rendering import csv_lines, latex, markdown
from stereodiffusion.bench.tables import Line, Table, make_tables
from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics import MATCHED, MatcherName, PairwiseName, PerceptualName, evaluate_images, evaluate_pair


def table(tables: tuple[Table, ...], name: str) -> Table:
    (found,) = (one for one in tables if one.name == name)
    return found


def line(found: Table, label: str) -> Line:
    (one,) = (line for line in found.lines if line.label == label)
    return one


def test_means_with_the_distances_of_the_best_and_the_worst_scene() -> None:
    rows = [row(scene=s, psnr=p, lpips_squeeze=q) for s, p, q in (("a", 10, 0.5), ("b", 20, 0.25), ("c", 24, 0.0))]
    ours = line(table(make_tables(rows), "Table 1"), "stretch").ours
    assert ours["psnr"] == Score(mean=18, best=6, worst=-8)
    assert ours["lpips_squeeze"] == Score(mean=0.25, best=-0.25, worst=0.25)
    assert "ssim" not in ours


def test_a_number_that_does_not_exist_is_left_out_of_the_mean() -> None:
    rows = [row(scene="a", psnr=10.0), row(scene="b", psnr=math.nan)]
    found = line(table(make_tables(rows), "Table 1"), "stretch")
    assert found.ours["psnr"].mean == 10
    assert found.scenes == 2


def test_the_papers_numbers_stand_beside_ours_under_its_protocol_alone() -> None:
    ours = make_tables([row("stretch"), row("stretch", protocol="metric"), row("stretch", disparity="estimated")])
    by_protocol = {one.group.get("protocol"): one for one in ours if one.name == "Table 1"}
    truth, estimated = (one for one in by_protocol["paper"].lines if one.method == "stretch")
    assert truth.paper["psnr"] == Score(mean=14.842, best=2.714, worst=-2.753)
    assert (truth.disparity, estimated.disparity, estimated.paper) == ("truth", "estimated", {})
    assert all(not one.paper for one in by_protocol["metric"].lines)


def test_what_the_paper_has_and_we_have_not_is_there_as_well() -> None:
    found = table(make_tables([row("sd-paper", disparity="estimated")]), "Table 2")
    assert {one.label for one in found.lines if one.scenes == 0} == {f"{row.label} (published)" for row in TABLE_2}
    assert len(found.lines) == len(TABLE_2)  # one of them beside ours, `attention + SPSMD` with the truth among others


def test_ablations_are_in_table_2_and_the_method_itself_in_both() -> None:
    tables = make_tables([row("sd-paper"), row("sd-paper-spsmd"), row("telea")])
    methods = {one.name: {line.method for line in one.lines if line.scenes} for one in tables}
    assert methods["Table 1"] == {"sd-paper", "telea"}
    assert methods["Table 2"] == {"sd-paper", "sd-paper-spsmd"}
    assert methods["Table 3"] == {"sd-paper", "sd-paper-spsmd", "telea"}


def test_a_method_by_itself_is_no_ablation() -> None:
    alone = make_tables([row("sd-paper", protocol="metric")])
    assert {one.name for one in alone} == {"Table 1", "Table 3"}
    both = make_tables([row("sd-paper", protocol="metric"), row("sd-paper-none", protocol="metric")])
    assert len(table(both, "Table 2").lines) == 2


def test_lines_are_told_apart_by_the_settings_that_differ() -> None:
    base: dict[str, object] = {"model": "toybox", "seed": 0, "steps": 10}
    tables = make_tables(
        [row("telea"), row("sd-paper", settings=base), row("sd-paper", settings=base | {"steps": 50}, psnr=30.0)]
    )
    found = table(tables, "Table 1")
    assert [one.label for one in found.lines if one.scenes] == ["telea", "sd-paper (steps 10)", "sd-paper (steps 50)"]
    assert found.group["model"] == "toybox"
    assert "steps" not in found.group


def test_every_number_of_a_row_is_in_some_table() -> None:
    picture = torch.rand((1, 3, 180, 180), generator=torch.Generator().manual_seed(0))
    disparity = Disparity.from_pixels(torch.full((180, 180), 2.0))
    visible = torch.zeros(1, 1, 180, 180, dtype=torch.bool)
    visible[..., :120] = True
    regions = {str(name): visible for name in FURTHER_REGIONS}
    measured = evaluate_images(picture.flip(3), picture, visible, regions)
    measured |= evaluate_pair(picture, picture.roll(-2, 3), disparity)
    everywhere = ("", "_visible", "_occluded", *(f"_{name}" for name in FURTHER_REGIONS))
    learned = {f"{name}{region}": 0.5 for name in get_args(PerceptualName) for region in everywhere}
    learned |= dict.fromkeys(get_args(PairwiseName), 0.5)
    by_networks = {matched_by(network, name): 0.5 for network in get_args(MatcherName) for name in MATCHED}
    numbers = measured | learned | by_networks | {"of tomorrow": 0.5}
    tables = make_tables([replace(row(), metrics=numbers)])
    columns = [column.name for one in tables if one.name != "Table 3" for column in one.columns]
    assert set(columns) == numbers.keys()
    assert len(columns) == len(numbers)
    shown = list(csv.DictReader(StringIO(csv_lines(tables))))
    there = {name for name, value in numbers.items() if not math.isnan(value)}
    assert there <= {line["metric"] for line in shown if line["our_mean"]}
    assert "LPIPS (Alex)" in markdown(tables)


def test_what_each_method_decides_for_itself_is_no_setting() -> None:
    own: dict[str, object] = {"model": "toybox", "steps": None}
    (alone,) = (one for one in make_tables([row("sd-paper", settings=own)]) if one.name == "Table 1")
    assert "steps" not in alone.group
    both = make_tables([row("sd-paper", settings=own), row("sd-paper", settings=own | {"steps": 20})])
    assert {one.label for one in table(both, "Table 1").lines if one.scenes} == {"sd-paper", "sd-paper (steps 20)"}


def test_data_sets_protocols_and_sizes_are_tables_of_their_own() -> None:
    rows = [row(), row(dataset="kitti"), row(protocol="metric"), row(settings={"size": "256"})]
    assert len([one for one in make_tables(rows) if one.name == "Table 1"]) == 4
    assert len([one for one in make_tables(rows) if one.name == "Table 3"]) == 2


def test_the_cost_is_over_all_rows_of_a_method() -> None:
    rows = [
        row("sd-paper", seconds=10, evaluations=300, settings={"model": "toybox", "max_disparity": 0.1}),
        row(
            "sd-paper",
            disparity="estimated",
            protocol="metric",
            seconds=20,
            evaluations=300,
            settings={"model": "toybox"},
        ),
    ]
    (found,) = table(make_tables(rows), "Table 3").lines
    assert found.ours["seconds"] == Score(mean=15)
    assert found.ours["evaluations"].mean == 300
    assert found.paper["seconds"].mean == 40


def test_methods_are_in_one_order_whatever_the_rows_are_in() -> None:
    rows = [row("telea"), row("identity"), row("stretch")]
    assert [one.method for one in table(make_tables(rows), "Table 1").lines if one.scenes] == [
        "identity",
        "stretch",
        "telea",
    ]


def test_means_over_different_scenes_are_said_not_to_compare() -> None:
    even = [row("telea", "a"), row("stretch", "a")]
    assert "do not compare" not in markdown(make_tables(even))
    assert "do not compare" in markdown(make_tables([*even, row("telea", "b")]))
    assert "do not compare" in latex(make_tables([*even, row("telea", "b")]))


def test_markdown_prints_as_the_paper_does() -> None:
    text = markdown(make_tables([row("stretch", "a", psnr=10.0), row("stretch", "b", psnr=20.0)]))
    shown = next(line for line in text.splitlines() if line.startswith("| stretch"))
    assert shown == (
        "| stretch | true | 2 | 15.00 <sup>+5.00</sup> <sub>−5.00</sub> | 14.84 <sup>+2.71</sup> <sub>−2.75</sub> |"
    )
    columns = {line.count("|") for line in text.split("\n\n")[1].splitlines() if line.startswith("|")}
    assert len(columns) == 1


def test_the_best_mean_alone_is_bold() -> None:
    rows = [row("stretch", psnr=10.0, lpips_squeeze=0.1), row("telea", psnr=20.0, lpips_squeeze=0.3)]
    text = markdown([table(make_tables(rows), "Table 1")])
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    assert "**20.00" in lines["telea"]
    assert "**0.100" in lines["stretch"]
    assert "**10.00" not in lines["stretch"]


def test_latex_is_balanced_and_escaped() -> None:
    text = latex(make_tables([row("stretch", settings={"model": "a_b"}, psnr=20.0)]))
    assert text.count("{") == text.count("}")
    assert "a\\_b" in text
    assert "$20.00^{+0.00}_{+0.00}$" in text
    assert "↑" not in text


def test_csv_has_every_number_in_full() -> None:
    text = csv_lines(make_tables([row("stretch", "a", psnr=10.0), row("stretch", "b", psnr=10.125)]))
    lines = list(csv.DictReader(StringIO(text)))
    (ours,) = (one for one in lines if one["our_mean"] and one["metric"] == "psnr")
    assert (ours["method"], ours["scenes"], ours["our_mean"], ours["our_worst"]) == (
        "stretch",
        "2",
        "10.0625",
        "-0.0625",
    )
    assert (ours["paper_mean"], ours["paper_best"]) == ("14.842", "2.714")


def test_both_published_tables_agree_where_they_have_the_same_row() -> None:
    first = {row.disparity: row.scores for row in TABLE_1 if row.method == "sd-paper"}
    second = {row.disparity: row.scores for row in TABLE_2 if row.method == "sd-paper"}
    assert first["estimated"] == second["estimated"]
    assert first["truth"]["middlebury"] == second["truth"]["middlebury"]
    assert (first["truth"]["kitti"]["psnr"].worst, second["truth"]["kitti"]["psnr"].worst) == (-5.487, -5.486)


@pytest.mark.parametrize("printed", [*TABLE_1, *TABLE_2], ids=lambda printed: f"{printed.label}-{printed.disparity}")
def test_published_numbers_are_on_the_right_sides_of_their_means(printed: PublishedRow) -> None:
    for scores in printed.scores.values():
        for name, score in scores.items():
            assert score.best is not None
            assert score.worst is not None
            sign = -1 if name == "lpips_squeeze" else 1
            assert sign * score.best > 0 > sign * score.worst
            assert 0 < score.mean + score.worst < (100 if name == "psnr" else 1)
