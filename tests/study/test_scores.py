"""What scores say: against scipy, against counting, and on answers whose effect is known."""

import csv
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from typer.testing import CliRunner

from stereodiffusion.cli.main import app
from stereodiffusion.errors import StudyError
from stereodiffusion.formats import read_image
from stereodiffusion.study import Answer, MethodScore, compare_methods, draw_scores, read_answers, score_methods
from stereodiffusion.study.answers import FIELDS, Question
from stereodiffusion.study.scores import holm, signed_rank

METHODS = {"ours": 3.6, "stretch": 2.4, "blank": 2.4}
"""The means that people have in mind: the last two are alike."""


def simulated(persons: int = 24, scenes: int = 8, seed: int = 0) -> list[Answer]:
    """People who differ in how strict they are, and are noisy."""
    draw = np.random.default_rng(seed)
    answers: list[Answer] = []
    for person in range(persons):
        strict = draw.normal(0, 0.7)
        for (method, mean), scene in product(METHODS.items(), range(scenes)):
            quality, depth = np.clip(np.rint(mean + strict + draw.normal(0, 0.8, 2)), 0, 5).astype(int)
            answers.append(
                Answer(person=f"p{person}", scene=f"s{scene}", method=method, quality=int(quality), depth=int(depth))
            )
    return answers


def of_ours(answers: Sequence[Answer]) -> list[Answer]:
    return [each for each in answers if each.method == "ours"]


def write(answers: Sequence[Answer], file: Path, study: str = "abc") -> Path:
    with file.open("w", newline="") as opened:
        lines = csv.writer(opened)
        lines.writerow(FIELDS)
        for number, each in enumerate(answers):
            lines.writerow([study, each.person, number, each.scene, each.method, each.quality, each.depth, "3.2"])
    return file


@pytest.mark.parametrize("count", [3, 8, 15, 40])
def test_without_ties_the_test_is_scipys_exact_one(count: int) -> None:
    differences = np.random.default_rng(count).normal(0.3, 1, count)
    expected: Any = scipy.stats.wilcoxon(differences, method="exact", alternative="two-sided")
    statistic, p = signed_rank(differences)
    positive = scipy.stats.rankdata(np.abs(differences))[differences > 0].sum()
    assert statistic == pytest.approx(positive)
    assert p == pytest.approx(expected.pvalue, rel=1e-9)


def test_with_ties_it_counts_every_assignment_of_signs() -> None:
    differences = np.array([0.5, 0.5, -0.5, 1.0, -1.0, 1.0, 0.25, 0.0, 2.0, 0.5])
    told = differences[differences != 0]
    ranks = scipy.stats.rankdata(np.abs(told))
    observed = ranks[told > 0].sum()
    sums = np.array([ranks @ signs for signs in product((0, 1), repeat=len(ranks))])
    expected = min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))
    statistic, p = signed_rank(differences)
    assert statistic == observed
    assert p == pytest.approx(expected, rel=1e-12)
    assert signed_rank(np.zeros(4)) == (0.0, 1.0)


def test_holm_is_the_step_down_of_the_article() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_known_effect_is_found_and_none_where_there_is_none() -> None:
    answers = simulated()
    found = {(each.first, each.second): each for each in compare_methods(answers, "quality")}
    for pair in (("blank", "ours"), ("ours", "stretch")):
        sign = 1 if pair[0] == "ours" else -1
        low, high = found[pair].interval
        assert low < found[pair].difference < high
        assert 0.9 < sign * found[pair].difference < 1.4  # 1.2, less what the ends of the scale cut
        assert low * high > 0
        assert found[pair].p_adjusted < 1e-4
    alike = found["blank", "stretch"]
    assert alike.interval[0] < 0 < alike.interval[1]
    assert alike.p_adjusted > 0.05


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    """Of the mean over all people, in repeated studies; answers of one person depend on each other."""
    everybody = np.mean([each.quality for each in of_ours(simulated(persons=3000, scenes=1))])
    studies = [of_ours(simulated(persons=20, scenes=6, seed=1 + seed)) for seed in range(40)]
    intervals = [score_methods(study, "quality")[0].interval for study in studies]
    inside = np.mean([low <= everybody <= high for low, high in intervals])
    assert 0.85 <= inside <= 1.0
    # As if all answers were independent, intervals would be far too narrow.
    naive = 2 * 1.96 * np.std([each.quality for each in of_ours(simulated(20, 6))]) / np.sqrt(120)
    assert np.mean([high - low for low, high in intervals]) > 1.5 * naive


def test_counts_and_means_are_those_of_the_answers() -> None:
    answers = simulated(persons=3, scenes=2)
    for each in score_methods(answers, "depth"):
        own = [answer.depth for answer in answers if answer.method == each.method]
        assert each.counts == tuple(own.count(score) for score in range(6))
        assert each.mean == pytest.approx(sum(own) / len(own))


def test_what_a_person_did_not_score_of_both_is_not_compared() -> None:
    answers = simulated(persons=6, scenes=2)
    left_out = [each for each in answers if (each.person, each.method, each.scene) != ("p0", "ours", "s1")]
    first = {each.person: each for each in left_out if each.scene == "s0" and each.method == "ours"}["p0"]
    other = {each.person: each for each in left_out if each.scene == "s0" and each.method == "blank"}["p0"]
    alone = [each for each in left_out if each.person != "p0"]
    (everyone, *_), (without, *_) = (compare_methods(given, "quality") for given in (left_out, alone))
    assert 6 * everyone.difference == pytest.approx(5 * without.difference + other.quality - first.quality)


def test_the_figure_shows_shares_and_means_where_they_are(tmp_path: Path) -> None:
    """Half of the scores 0 and half 5: two bars of equal width, and the mean in the middle of its axis."""
    answers = [
        Answer(person=person, scene=scene, method=method, quality=score, depth=score)
        for person in ("a", "b")
        for method in ("m", "n")
        for scene, score in (("s", 0), ("t", 5))
    ]
    questions: tuple[Question, ...] = ("quality", "depth")
    scores: dict[Question, list[MethodScore]] = {each: score_methods(answers, each) for each in questions}
    levels = (read_image(draw_scores(scores, tmp_path / "figure.png"))[0] * 255).round().int()
    for shade in ((224, 229, 233), (20, 66, 104)):
        same = (levels[0] == shade[0]) & (levels[1] == shade[1]) & (levels[2] == shade[2])
        row = same[2 * 75 - 17]  # near the upper edge of the first bar, above its words
        assert int(row.sum()) == 380
    marked = (levels[0] == 200) & (levels[1] == 40) & (levels[2] == 30)
    columns = marked.any(dim=0).nonzero()[:, 0].float()
    lines = ((levels == 205).all(dim=0).sum(dim=0) > 60).nonzero()[:, 0].float()
    assert columns.mean() == pytest.approx(float(lines.mean()), abs=1.5)


def test_the_command_prints_the_numbers(tmp_path: Path) -> None:
    answers = simulated(persons=6, scenes=3)
    files = [write([each for each in answers if each.person == f"p{n}"], tmp_path / f"{n}.csv") for n in range(6)]
    arguments = ["study", "figure", *map(str, files), "-o", str(tmp_path / "figure.png")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "6 persons, 54 answers" in result.stdout
    mean = np.mean([each.quality for each in answers if each.method == "ours"])
    assert f"| ours | 18 | {mean:.2f} |" in result.stdout
    assert result.stdout.count("| blank - ours | 6 |") == 2
    assert (tmp_path / "figure.png").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\r\n1,2\r\n", "expected the columns study, person"),
        ("{header}\r\nx,p,1,s,m,6,1,1\r\n", r"line 2: quality must be a whole number from 0 to 5, got '6'"),
        ("{header}\r\nx,p,1,s,m,4,1\r\n", "line 2: expected 8 values"),
        ("{header}\r\nx,p,1,s,m,4,,1\r\n", "line 2: depth must be a whole number from 0 to 5, got ''"),
        ("{header}\r\nx,p,1,s,m,4,1,1\r\nx,p,2,s,m,4,1,1\r\n", "one answer of p to s of m, got another"),
        ("{header}\r\nx,p,1,s,m,4,1,1\r\ny,p,2,t,m,4,1,1\r\n", "expected answers of study x .* got y"),
        ("{header}\r\n", "expected answers, got none"),
        ("\xff\xfe", "expected answers as CSV"),
    ],
)
def test_what_are_no_answers(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "answers.csv"
    file.write_bytes(content.replace("{header}", ",".join(FIELDS)).encode("latin-1"))
    with pytest.raises(StudyError, match=message):
        read_answers([file])


def test_one_person_is_no_study() -> None:
    with pytest.raises(StudyError, match="two persons or more, got 1"):
        score_methods(simulated(persons=1), "quality")
