"""The second head of a GLPN: what it adds, and that the first is what transformers loads."""

import json
from pathlib import Path

import pytest
import torch
from tests.models.estimators.conftest import glpn_with_spread
from torch import Tensor, nn
from transformers import AutoModelForDepthEstimation

from stereodiffusion.errors import ModelError
from stereodiffusion.models.estimators import load_depth_estimator
from stereodiffusion.models.estimators.spread import GLPNWithSpread, UnsureDepth, layout


def test_the_file_without_its_second_head_is_a_glpn(tmp_path: Path, pictures: Tensor) -> None:
    resized = nn.functional.interpolate(pictures, size=(32, 64), mode="bilinear")
    glpn_with_spread().save_pretrained(tmp_path)
    both = GLPNWithSpread.from_pretrained(tmp_path).eval()
    plain = AutoModelForDepthEstimation.from_pretrained(tmp_path).eval()
    assert type(plain) is not GLPNWithSpread
    with torch.no_grad():
        inverse_depth, spread = both.predict(resized)
        torch.testing.assert_close(inverse_depth, plain(pixel_values=resized).predicted_depth)
    assert 0 < inverse_depth.min() < inverse_depth.max() < 1
    assert spread.std() > 0


def test_the_spread_is_learnt_without_moving_the_depth(pictures: Tensor) -> None:
    """The head of the spread, fitted alone to an error, finds its mean and leaves the first head alone."""
    resized = nn.functional.interpolate(pictures, size=(32, 64), mode="bilinear")
    model = glpn_with_spread()
    before = model.predict(resized)[0].detach()
    error = torch.where(torch.arange(64) < 32, 0.4, 0.1).expand(before.shape)
    nn.init.zeros_(model.spread.weight)
    assert model.spread.bias is not None
    model.spread.bias.data.fill_(0.0)
    optimiser = torch.optim.Adam([model.spread.bias], lr=0.2)
    for _ in range(80):
        log_b = model.predict(resized)[1]
        loss = (error * torch.exp(-log_b) + log_b).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # The maximum of a Laplace distribution's likelihood is the mean absolute error.
    torch.testing.assert_close(model.spread.bias.detach().exp()[0], error.mean(), rtol=1e-2, atol=0)
    torch.testing.assert_close(model.predict(resized)[0].detach(), before)


def test_a_mirrored_picture_has_the_mirrored_depth(pictures: Tensor) -> None:
    estimator = load_depth_estimator("photo-depth")
    found, mirrored = estimator(pictures), estimator(pictures.flip(-1))
    assert found.shape == (len(pictures), 1, *pictures.shape[2:])
    torch.testing.assert_close(mirrored, found.flip(-1), rtol=1e-4, atol=1e-4)


def test_where_it_is_not_sure_the_lower_is_the_nearer(pictures: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = load_depth_estimator("photo-depth")
    assert isinstance(estimator, UnsureDepth)
    relief = torch.rand(1, 32, 48)
    monkeypatch.setattr(estimator, "estimate", lambda _: (relief, torch.zeros(1, 32, 48)))
    unsure = estimator(torch.rand(1, 3, 32, 48))[0, 0]
    torch.testing.assert_close(unsure, layout(relief)[0].clamp(min=0))
    assert float(unsure.std(1).max()) < 1e-6
    assert bool((unsure.diff(dim=0) >= 0).all())
    monkeypatch.setattr(estimator, "estimate", lambda _: (relief, torch.ones(1, 32, 48)))
    torch.testing.assert_close(estimator(torch.rand(1, 3, 32, 48))[0], relief)


def test_the_layout_has_the_mean_and_deviation_of_the_relief() -> None:
    relief = torch.rand(2, 24, 40) * torch.tensor([1.0, 7.0])[:, None, None]
    rows = layout(relief)
    torch.testing.assert_close(rows.mean((1, 2)), relief.mean((1, 2)))
    torch.testing.assert_close(rows.std((1, 2), correction=0), relief.std((1, 2), correction=0))


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (33, 31), (500, 1000)])
def test_pictures_of_any_size_will_do(size: tuple[int, int]) -> None:
    found = load_depth_estimator("photo-depth")(torch.rand(1, 3, *size))
    assert found.shape == (1, 1, *size)
    assert bool(found.isfinite().all())
    assert float(found.min()) >= 0


@pytest.mark.parametrize("changes", [{"strides": [1, 1, 1, 1], "patch_sizes": [7, 3, 3, 3]}, {"head_in_index": 0}])
def test_settings_that_do_not_fit_one_another_are_one_line(changes: dict[str, object], tmp_path: Path) -> None:
    glpn_with_spread().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(ModelError) as caught:
        load_depth_estimator(tmp_path)(torch.rand(1, 3, 32, 64))
    assert "\n" not in str(caught.value)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    network = glpn_with_spread()
    nn.init.constant_(network.spread.weight, torch.nan)
    network.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"not finite in torch\.float32"):
        load_depth_estimator(tmp_path)(torch.rand(1, 3, 64, 96))
