"""A small bench of flicker."""

from stereodiffusion.bench.flicker import REGIONS, measure


def test_what_is_held_steady_flickers_half_as_much() -> None:
    alone, steady = measure([1], frames=6, size=(72, 128))
    assert (alone.way, steady.way) == ("frame by frame", "held steady")
    for region in REGIONS:
        assert steady.levels[region] < 0.6 * alone.levels[region]
