"""The embedded estimator on the scenes it was made for."""

import pytest
import torch

from stereodiffusion.datasets.scenes import render, sample_scene
from stereodiffusion.models.cards import find_card
from stereodiffusion.models.estimators import load_depth_estimator
from stereodiffusion.models.stored import on_disk

CARD = find_card("toybox-depth")
HELD_OUT = range(90_000_001, 90_000_007)


@pytest.mark.skipif(CARD is None or on_disk(CARD) is None, reason="the weights are not in this checkout")
@pytest.mark.parametrize("size", [(128, 128), (256, 256), (384, 384), (500, 500), (256, 384), (384, 256)])
def test_near_is_large_on_unseen_scenes_of_any_size(size: tuple[int, int]) -> None:
    estimator = load_depth_estimator("toybox-depth")
    views = [render(sample_scene(seed), size).left for seed in HELD_OUT]
    images = torch.stack([torch.from_numpy(view.image).float().permute(2, 0, 1) for view in views])
    truths = torch.stack([torch.from_numpy(view.disparity).float() for view in views])
    correlations = [
        float(torch.corrcoef(torch.stack([estimated.flatten(), truth.flatten()]))[0, 1])
        for estimated, truth in zip(estimator(images), truths, strict=True)
    ]
    square = size[0] == size[1]
    assert min(correlations) > (0.9 if square else 0.75)
    assert sum(correlations) / len(correlations) > (0.98 if square else 0.9)
