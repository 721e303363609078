"""What scores say: means with bootstrap intervals, and a paired test between methods.

A person's scores depend on each other, so the person is the unit: the bootstrap draws whole persons (cluster bootstrap,
Efron & Tibshirani 1993, Sec. 8.5), and the test has one difference per person. It is Wilcoxon's signed-rank test (1945)
in its exact distribution given the ranks, ties and all; p values of one question are adjusted together (Holm 1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from stereodiffusion.errors import StudyError
from stereodiffusion.study.answers import BEST, WORST, Answer, Question

Interval: TypeAlias = tuple[float, float]

_RESAMPLES: Final = 10_000
_LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodScore:
    """The scores of a method for one question.

    Attributes:
        method: Which one.
        counts: How often it got each score, from 0 to 5.
        mean: Of all its scores.
        interval: Of the mean, 95 %, by bootstrap over persons.
    """

    method: str
    counts: tuple[int, ...]
    mean: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two methods, by the people who scored both.

    Attributes:
        first: A method.
        second: Another one.
        difference: Mean over persons of what the first got more, on the scenes that the person scored of both.
        interval: Of the difference, 95 %, by bootstrap over persons.
        persons: How many there are.
        statistic: W+, the sum of the ranks of persons who scored the first higher; ranks of equal differences are
            shared, persons without a difference are left out.
        p: Two-sided, exact.
        p_adjusted: The same for all comparisons of the question together (Holm).
    """

    first: str
    second: str
    difference: float
    interval: Interval
    persons: int
    statistic: float
    p: float
    p_adjusted: float = 1.0


def score_methods(answers: Sequence[Answer], question: Question, *, seed: int = 0) -> list[MethodScore]:
    """Each method's scores, in order of the methods' names.

    Raises:
        StudyError: If there are fewer than two persons.
    """
    persons = _persons(answers)
    found: list[MethodScore] = []
    for method in sorted({answer.method for answer in answers}):
        own = [answer for answer in answers if answer.method == method]
        scores = [int(getattr(answer, question)) for answer in own]
        sums, counts = np.zeros(len(persons)), np.zeros(len(persons))
        for answer, score in zip(own, scores, strict=True):
            sums[persons[answer.person]] += score
            counts[persons[answer.person]] += 1
        drawn = np.random.default_rng(seed).integers(len(persons), size=(_RESAMPLES, len(persons)))
        with np.errstate(invalid="ignore"):  # a draw of persons none of whom scored the method has no mean
            means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
        found.append(
            MethodScore(
                method=method,
                counts=tuple(scores.count(score) for score in range(WORST, BEST + 1)),
                mean=fmean(scores),
                interval=_middle(means),
            )
        )
    return found


def compare_methods(answers: Sequence[Answer], question: Question, *, seed: int = 0) -> list[Comparison]:
    """All pairs of methods, in order of their names.

    Raises:
        StudyError: If there are fewer than two persons, or two methods that fewer than two persons scored on one scene.
    """
    _persons(answers)
    scores = {(a.method, a.person, a.scene): int(getattr(a, question)) for a in answers}
    methods = sorted({answer.method for answer in answers})
    found = [_compared(first, second, scores, seed) for first, second in combinations(methods, 2)]
    return [
        replace(each, p_adjusted=adjusted)
        for each, adjusted in zip(found, holm([each.p for each in found]), strict=True)
    ]


def _compared(first: str, second: str, scores: dict[tuple[str, str, str], int], seed: int) -> Comparison:
    by_person: dict[str, list[int]] = {}
    for (method, person, scene), score in scores.items():
        other = scores.get((second, person, scene))
        if method == first and other is not None:
            by_person.setdefault(person, []).append(score - other)
    if len(by_person) < 2:
        raise StudyError(f"expected two persons or more who scored {first} and {second}, got {len(by_person)}")
    differences = np.array([fmean(values) for _, values in sorted(by_person.items())])
    drawn = np.random.default_rng(seed).integers(len(differences), size=(_RESAMPLES, len(differences)))
    statistic, p = signed_rank(differences)
    return Comparison(
        first=first,
        second=second,
        difference=float(differences.mean()),
        interval=_middle(differences[drawn].mean(axis=1)),
        persons=len(differences),
        statistic=statistic,
        p=p,
    )


def signed_rank(differences: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Wilcoxon's signed-rank test: W+ and its exact two-sided p, given the ranks.

    Under the null hypothesis each difference has either sign with the same probability, whatever the others have. Twice
    a shared rank is whole, so that the distribution of 2 W+ is a convolution of one two-point distribution per person.

    Args:
        differences: One per person; zeros are left out, and p is 1 if there are no others.
    """
    told = differences[np.abs(differences) > 1e-9]  # means of whole numbers: nothing between is meant
    ranks = _doubled_ranks(np.abs(told).round(9))
    chance = np.ones(1)
    for rank in ranks:
        wider = np.zeros(len(chance) + rank)
        wider[: len(chance)] += chance / 2
        wider[rank:] += chance / 2
        chance = wider
    doubled = int(ranks[told > 0].sum())
    p = 2 * min(chance[: doubled + 1].sum(), chance[doubled:].sum())
    return doubled / 2, float(min(1.0, p))


def _doubled_ranks(sizes: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Twice the ranks from 1; those of equal sizes are the mean of theirs."""
    below = (sizes[None, :] < sizes[:, None]).sum(axis=1)
    equal = (sizes[None, :] == sizes[:, None]).sum(axis=1)
    return 2 * below + equal + 1


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values: reject those below a level, and no true hypothesis is rejected with more than that chance."""
    adjusted, largest = [1.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, (len(p_values) - place) * p_values[index])
        adjusted[index] = min(1.0, largest)
    return adjusted


def _persons(answers: Sequence[Answer]) -> dict[str, int]:
    """A number for each person."""
    persons = {person: number for number, person in enumerate(sorted({answer.person for answer in answers}))}
    if len(persons) < 2:
        raise StudyError(f"expected answers of two persons or more, got {len(persons)}")
    return persons


def _middle(values: Float[np.ndarray, " n"]) -> Interval:
    """What 95 % of the values lie in."""
    low, high = np.nanquantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
