"""MEt3R and iSQoE: packages and files laid out as theirs, what networks are given, one line where they are missing."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stereodiffusion.errors import GeometryError, ModelUnavailableError
from stereodiffusion.metrics import PairwiseMetric, evaluate_pairwise, load_pairwise

# The class of the package with its arguments, and a judgement that can be computed by hand: mean difference.
MET3R = """
import torch

class MEt3R(torch.nn.Module):
    def __init__(self, img_size, use_norm, backbone, feature_backbone, feature_backbone_weights, upsampler, distance,
                 freeze):
        super().__init__()
        assert (img_size, backbone, feature_backbone, distance) == (256, "mast3r", "dino16", "cosine")

    def forward(self, images):
        assert images.shape[1:] == (2, 3, 256, 256), images.shape
        assert images.min() >= -1 and images.max() <= 1
        return (images[:, 0] - images[:, 1]).abs().mean(dim=(1, 2, 3)), images
"""


class Brighter(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return (right - left).mean(dim=(1, 2, 3))


def flat(value: float, batch: int = 1) -> Tensor:
    return torch.full((batch, 3, 40, 60), value)


def test_met3r_is_given_both_views_in_its_size_and_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "met3r.py").write_text(MET3R)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "met3r", raising=False)
    metric = load_pairwise("met3r")
    assert metric(flat(0.25, 2), flat(0.75, 2)).tolist() == pytest.approx([1, 1])  # of values in [-1, 1]
    assert evaluate_pairwise({"met3r": metric}, flat(0.5), flat(0.5)) == {"met3r": 0}
    monkeypatch.delitem(sys.modules, "met3r")


def test_isqoe_is_read_as_it_was_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ModelUnavailableError, match=r"isqoe needs the network of .*expected it at .*isqoe\.pt2"):
        load_pairwise("isqoe")
    file = tmp_path / "hub" / "checkpoints" / "isqoe.pt2"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no network")
    with pytest.raises(ModelUnavailableError, match="is no exported network"):
        load_pairwise("isqoe")
    torch.export.save(torch.export.export(Brighter(), (flat(0.0), flat(1.0))), file)
    assert evaluate_pairwise({"isqoe": load_pairwise("isqoe")}, flat(0.25), flat(0.75)) == {"isqoe": 0.5}


def test_what_is_missing_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stereodiffusion.metrics.pairwise.find_spec", lambda name: None)
    with pytest.raises(ModelUnavailableError, match="met3r needs its package, which is not on PyPI: pip install git"):
        load_pairwise("met3r")


def test_pictures_that_are_no_pair_are_refused() -> None:
    metric = PairwiseMetric(judge=Brighter())
    with pytest.raises(GeometryError, match="one picture at a time"):
        evaluate_pairwise({"isqoe": metric}, flat(0.5, 2), flat(0.5, 2))
