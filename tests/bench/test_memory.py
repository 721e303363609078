"""Memory that is counted without a card."""

from functools import partial
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from stereodiffusion.bench.memory import Demand, most_bytes
from stereodiffusion.models.backbones.weightless import weightless

pytestmark = pytest.mark.long

MB = 2**20


@pytest.mark.parametrize("fake", [False, True])
def test_what_lives_at_the_same_time_counts_once(fake: bool) -> None:
    def call() -> None:
        one = torch.zeros(MB, dtype=torch.uint8)
        view = one[: MB // 2].view(-1)
        other = torch.cat([one, view])  # 1.5 MB beside 1 MB
        one += 1  # in place: nothing new
        del one, view, other
        torch.zeros(2 * MB, dtype=torch.uint8)

    if fake:
        with FakeTensorMode():
            assert most_bytes(call) == 2.5 * MB
    else:
        assert most_bytes(call) == 2.5 * MB


def test_a_way_of_saving_leaves_on_the_card_what_works() -> None:
    demand = Demand(weights={"a": 50, "b": 30}, layer={"a": 5, "b": 3}, work={"a": 7, "b": 40})
    assert (demand.on_card("off"), demand.on_card("model"), demand.on_card("sequential")) == (120, 70, 43)


def test_stable_diffusions_size_and_what_tiles_save() -> None:
    """Parameters as published, in float16, the autoencoder's in float32."""
    made: list[int] = []
    for tiles in (False, True):
        with weightless("sd1", 768, tiles=tiles) as model:
            vae: Any = model.parts["vae"]
            numbers = {name: sum(weight.numel() for weight in part.parameters()) for name, part in model.parts.items()}
            sizes = {name: next(part.parameters()).element_size() for name, part in model.parts.items()}
            made.append(most_bytes(partial(vae.decode, torch.zeros(1, 4, 96, 96))))
    assert numbers == {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}
    assert sizes == {"unet": 2, "vae": 4, "text_encoder": 2}
    assert made[1] < made[0] / 2
