"""The simulator of docs/scale.md, held against what can be worked out."""

from dataclasses import replace
from math import inf
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from stereodiffusion.batch.making import DRAWN, IN_HAND

scale = run_path(str(Path(__file__).parents[2] / "docs" / "scale.py"), run_name="scale")
simulate: Any = scale["simulate"]
FLEET: Any = scale["Fleet"](pictures=4000, machines=5, cards=4, report=0.0)


def test_a_line_of_stages_takes_its_slowest_one_and_the_others_once() -> None:
    outcome = simulate(FLEET)
    each = FLEET.pictures // 20
    assert outcome.seconds == pytest.approx(FLEET.start + FLEET.read + each * FLEET.draw + FLEET.write)
    assert (outcome.done, outcome.lost, outcome.waited) == (4000, 0, 0)


def test_pictures_that_are_drawn_at_once_share_the_networks_and_not_their_pixels() -> None:
    turns = ((True, 0.3), (False, 0.5), (True, 0.2), (False, 0.1))
    pace: Any = scale["pace"]
    assert pace(turns, 1) == pytest.approx(1.1)
    assert pace(turns, 8) == pytest.approx(0.5)  # the networks never rest
    for pixels, least in ((0.2, 0.5), (0.5, 0.5), (1.1, 0.8)):  # two: either they are full, or nobody waits for them
        assert pace(((True, 0.5), (False, pixels)), 2) == pytest.approx(least)


def test_the_simulated_worker_is_the_real_one() -> None:
    assert (scale["IN_HAND"], scale["AT_ONCE"]) == (IN_HAND, DRAWN)


def test_with_more_cards_than_one_program_serves_it_sets_the_pace() -> None:
    fleet = replace(FLEET, report=0.2)  # twenty cards want to report each 0.065 s
    assert simulate(fleet).seconds == pytest.approx(fleet.start + 4000 * 0.2, rel=0.005)


def test_results_wait_as_long_as_pollaczek_and_khinchine_say() -> None:
    """M/D/1: rho s / 2 (1 - rho), where arrivals are independent: many workers that draw for random times."""
    fleet = replace(FLEET, pictures=60_000, machines=100, cards=4, draw=2.0, read=0.0, write=0.0, spread=True)
    for report in (0.002, 0.0035):
        busy = report * 400 / fleet.draw
        outcome = simulate(replace(fleet, report=report))
        assert outcome.waited / outcome.done == pytest.approx(busy * report / (2 * (1 - busy)), rel=0.1)


def test_a_machine_that_fails_loses_what_its_workers_have_in_hand_and_it_is_made_after_all() -> None:
    fleet = replace(FLEET, pictures=20_000, between_failures=600.0, away=60.0, retries=20)
    outcome = simulate(fleet)
    hands = scale["IN_HAND"] * fleet.cards
    assert (outcome.done, outcome.failed) == (20_000, 0)
    assert 0.8 * hands * outcome.failures <= outcome.lost <= hands * outcome.failures  # some had just come back
    hours = outcome.seconds * fleet.machines / (600 + 60)
    assert outcome.failures == pytest.approx(hours, abs=4 * hours**0.5)
    assert simulate(replace(fleet, retries=0)).failed == simulate(replace(fleet, retries=0)).lost > 0
    assert simulate(replace(fleet, between_failures=inf)).lost == 0
