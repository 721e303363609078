"""The second head of a GLPN: what it adds, and that the first is what transformers loads."""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForDepthEstimation

from stereodiffusion.models.estimators.spread import GLPNWithSpread


def test_the_file_without_its_second_head_is_a_glpn(folders: dict[str, Path], pictures: Tensor) -> None:
    resized = nn.functional.interpolate(pictures, size=(32, 64), mode="bilinear")
    both = GLPNWithSpread.from_pretrained(folders["glpn-relative"]).eval()
    plain = AutoModelForDepthEstimation.from_pretrained(folders["glpn-relative"]).eval()
    assert type(plain) is not GLPNWithSpread
    with torch.no_grad():
        inverse_depth, spread = both.predict(resized)
        torch.testing.assert_close(inverse_depth, plain(pixel_values=resized).predicted_depth)
    assert 0 < inverse_depth.min() < inverse_depth.max() < 1
    assert spread.std() > 0


def test_the_spread_is_learnt_without_moving_the_depth(folders: dict[str, Path], pictures: Tensor) -> None:
    """The head of the spread, fitted alone to an error, finds its mean and leaves the first head alone."""
    resized = nn.functional.interpolate(pictures, size=(32, 64), mode="bilinear")
    model = GLPNWithSpread.from_pretrained(folders["glpn-relative"]).eval()
    before = model.predict(resized)[0].detach()
    error = torch.where(torch.arange(64) < 32, 0.4, 0.1).expand(before.shape)
    nn.init.zeros_(model.spread.weight)
    assert model.spread.bias is not None
    model.spread.bias.data.fill_(0.0)
    optimiser = torch.optim.Adam([model.spread.bias], lr=0.1)
    for _ in range(200):
        log_b = model.predict(resized)[1]
        loss = (error * torch.exp(-log_b) + log_b).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # The maximum of a Laplace distribution's likelihood is the mean absolute error.
    torch.testing.assert_close(model.spread.bias.detach().exp()[0], error.mean(), rtol=1e-2, atol=0)
    torch.testing.assert_close(model.predict(resized)[0].detach(), before)
