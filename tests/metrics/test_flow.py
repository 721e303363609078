"""Disparity by a network: the sign and the place are right, and what is missing is named."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tests.metrics.flowing import CorrelationNetwork
from tests.metrics.test_matching import texture

from stereodiffusion.errors import ModelUnavailableError
from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics import (
    MATCHED,
    FlowMatcher,
    MatcherName,
    SemiGlobalMatcher,
    evaluate_matching,
    evaluate_pair,
    flow,
    load_matcher,
)


@pytest.mark.parametrize("shift", [-12, 0, 5, 24])
def test_a_shift_is_measured_with_its_sign(shift: int) -> None:
    left = texture()
    measured = FlowMatcher(network=CorrelationNetwork())(left, left.roll(-shift, dims=-1))
    inside = slice(abs(shift) + 4, -abs(shift) - 4)
    assert bool((measured.pixels[..., 4:-4, inside] == shift).float().mean() > 0.99)
    assert bool(measured.known.all())


def test_sizes_are_made_what_the_network_takes_without_moving_anything() -> None:
    network = CorrelationNetwork()
    left = texture(66, 162)
    measured = FlowMatcher(network=network)(left, left.roll(-7, dims=-1))
    assert network.given == [(1, 3, 128, 168)]
    assert measured.pixels.shape == (1, 1, 66, 162)
    assert bool((measured.pixels[..., 4:-4, 12:-12] == 7).float().mean() > 0.99)


def test_it_measures_a_pair_as_semi_global_matching_does() -> None:
    left = texture(width=192)
    right, asked = left.roll(-6, dims=-1), Disparity.from_pixels(torch.full((64, 192), 6.0))
    ours = evaluate_matching(left, right, asked, matcher=FlowMatcher(network=CorrelationNetwork()))
    assert tuple(ours) == MATCHED
    assert ours["epe"] < 0.05
    assert ours["lr_consistency"] > 0.95
    assert ours["parallax_p50"] == pytest.approx(100 * 6 / 192)
    classical = evaluate_matching(left, right, asked, matcher=SemiGlobalMatcher())
    assert {name: value for name, value in evaluate_pair(left, right, asked).items() if name in MATCHED} == classical


def test_semi_global_matching_needs_nothing() -> None:
    assert load_matcher("sgbm") == SemiGlobalMatcher()


class TestNetworks:
    def test_without_torchvision_it_is_told_how_to_install_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(flow, "find_spec", lambda package: None)
        with pytest.raises(ModelUnavailableError, match=r"raft_large needs .*pip install 'stereodiffusion\[raft\]'"):
            load_matcher("raft_large")

    def test_a_torchvision_of_another_torch_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(name: str) -> object:
            raise RuntimeError("operator torchvision::nms does not exist")

        monkeypatch.setattr(flow, "find_spec", lambda package: True)
        monkeypatch.setattr(flow, "import_module", broken)
        with pytest.raises(ModelUnavailableError, match="raft_large needs a torchvision that is built for torch"):
            load_matcher("raft_large")

    @pytest.mark.skipif(find_spec("torchvision") is None, reason="left out: torchvision is not installed")
    def test_without_the_network_it_is_told_where_the_file_goes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(ModelUnavailableError, match=r"raft_small.*cannot be fetched.*put into .*checkpoints"):
            load_matcher("raft_small")

    @pytest.mark.skipif(find_spec("torchvision") is None, reason="left out: torchvision is not installed")
    @pytest.mark.parametrize(("name", "weights"), [("raft_large", "C_T_SKHT_V2"), ("raft_small", "C_T_V2")])
    def test_the_weights_are_torchvisions_and_what_it_gives_is_the_networks(
        self, name: MatcherName, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from torchvision.models import get_model, get_model_weights  # pyright: ignore

        published = get_model_weights(name)[weights].url
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = get_model(name, weights=None).eval()
        path = tmp_path / "hub" / "checkpoints" / published.rpartition("/")[2]
        path.parent.mkdir(parents=True)
        torch.save(network.state_dict(), path)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        left, right = texture(128, 136, seed=1), texture(128, 136, seed=2)
        measured = load_matcher(name)(left, right)
        with torch.no_grad():
            assert torch.equal(measured.pixels, -network(2 * left - 1, 2 * right - 1)[-1][:, :1])
