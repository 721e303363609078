"""Learned metrics: equal to the published packages on drawn weights, loaded from files laid out as theirs, optional."""

import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stereodiffusion.errors import GeometryError, ModelUnavailableError
from stereodiffusion.metrics import (
    PerceptualMetric,
    PerceptualName,
    evaluate_perceptual,
    installed_perceptual,
    load_perceptual,
    perceptual,
    trunks,
)

TRUNKS: dict[PerceptualName, Callable[[], trunks.Trunk]] = {
    "lpips_alex": trunks.alexnet,
    "lpips_vgg": trunks.vgg16,
    "lpips_squeeze": trunks.squeezenet,
    "stlpips_alex": trunks.alexnet_shift_tolerant,
    "stlpips_vgg": trunks.vgg16_shift_tolerant,
}

# What lpips 0.1.4 and stlpips-pytorch 0.0.2 give for the two pictures below with the weights of `drawn_metric`.
PUBLISHED: dict[PerceptualName, float] = {
    "lpips_alex": 0.5054913759231567,
    "lpips_vgg": 0.3992878794670105,
    "lpips_squeeze": 0.4072311520576477,
    "stlpips_alex": 0.3094218373298645,
    "stlpips_vgg": 0.3150098919868469,
}


def drawn(shape: torch.Size, seed: int) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values * (2 / (values[0].numel() if values.ndim > 1 else 16)) ** 0.5


def drawn_weights(trunk: trunks.Trunk) -> list[Tensor]:
    return [drawn(parameter.shape, seed) for seed, parameter in enumerate(trunk.parameters())]


def channels(trunk: trunks.Trunk) -> list[int]:
    return [features.shape[1] for features in trunk(torch.zeros(1, 3, 64, 64))]


def calibration(trunk: trunks.Trunk) -> list[Tensor]:
    return [drawn(torch.Size([count]), 1000 + i).abs() for i, count in enumerate(channels(trunk))]


def drawn_metric(name: PerceptualName) -> PerceptualMetric:
    trunk = TRUNKS[name]()
    trunks.fill(trunk, drawn_weights(trunk))
    return PerceptualMetric(trunk, calibration(trunk))


def picture(seed: int, height: int = 64, width: int = 72) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_is_what_the_published_package_gives(name: PerceptualName) -> None:
    assert float(drawn_metric(name)(picture(1), picture(2))) == pytest.approx(PUBLISHED[name], rel=1e-4)


@pytest.mark.skipif(find_spec("stlpips_pytorch") is None, reason="left out: stlpips-pytorch is not installed")
@pytest.mark.parametrize(
    ("name", "published"), [("stlpips_alex", 0.009982166811823845), ("stlpips_vgg", 0.0445771291851)]
)
def test_the_published_weights_give_what_they_gave(name: PerceptualName, published: float) -> None:
    view = torch.rand(1, 3, 72, 80, generator=torch.Generator().manual_seed(7))
    assert float(load_perceptual(name)(view, view.roll(1, dims=-1))) == pytest.approx(published, rel=1e-4)


class TestDistance:
    metric = drawn_metric("lpips_alex")

    def test_equal_pictures_are_at_no_distance(self) -> None:
        assert float(self.metric(picture(1), picture(1))) == 0

    def test_it_is_symmetric_and_grows_with_the_damage(self) -> None:
        little, much = (picture(1) + amount * (picture(2) - 0.5) for amount in (0.05, 0.5))
        assert float(self.metric(picture(1), little)) < float(self.metric(picture(1), much))
        assert float(self.metric(picture(1), much)) == pytest.approx(float(self.metric(much, picture(1))))

    def test_the_whole_picture_is_a_region_too(self) -> None:
        everything = torch.ones(1, 1, 64, 72, dtype=torch.bool)
        whole = float(self.metric(picture(1), picture(2)))
        assert float(self.metric(picture(1), picture(2), everything)) == pytest.approx(whole)

    def test_damage_counts_where_it_is(self) -> None:
        truth = picture(1, 64, 256)
        damaged = truth.clone()
        damaged[..., 200:] = 0
        far, near = torch.zeros(2, 1, 1, 64, 256, dtype=torch.bool)
        far[..., :64] = True
        near[..., 192:] = True
        assert float(self.metric(damaged, truth, far)) == 0
        assert float(self.metric(damaged, truth, near)) > float(self.metric(damaged, truth))
        assert math.isnan(float(self.metric(damaged, truth, far & near)))

    def test_each_picture_of_a_batch_has_its_own(self) -> None:
        together = self.metric(torch.cat([picture(1), picture(2)]), torch.cat([picture(3), picture(2)]))
        assert together.tolist() == pytest.approx([float(self.metric(picture(1), picture(3))), 0])

    def test_small_pictures_are_refused(self) -> None:
        with pytest.raises(GeometryError, match="at least 32 pixels, got"):
            self.metric(picture(1, 31, 64), picture(2, 31, 64))

    def test_numbers_by_name(self) -> None:
        visible = torch.zeros(1, 1, 64, 72, dtype=torch.bool)
        visible[..., :36] = True
        numbers = evaluate_perceptual({"lpips_alex": self.metric}, picture(1), picture(2), visible)
        assert numbers == {
            "lpips_alex": float(self.metric(picture(1), picture(2))),
            "lpips_alex_visible": float(self.metric(picture(1), picture(2), visible)),
            "lpips_alex_occluded": float(self.metric(picture(1), picture(2), ~visible)),
        }
        with pytest.raises(GeometryError, match="one picture at a time"):
            evaluate_perceptual({}, torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64))


def test_shift_tolerance_makes_a_pixel_weigh_less() -> None:
    view = torch.nn.functional.interpolate(picture(1, 16, 18), size=(64, 72), mode="bicubic").clamp(0, 1)

    def weight(name: PerceptualName) -> float:
        metric = drawn_metric(name)
        return float(metric(view, view.roll(1, dims=-1)) / metric(view, view.flip(-1)))

    assert weight("stlpips_alex") < weight("lpips_alex")


class TestLoading:
    """From files laid out as the packages have them, with drawn weights."""

    @pytest.fixture
    def site(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for package in ("torchmetrics", "stlpips_pytorch"):
            (tmp_path / package).mkdir()
            (tmp_path / package / "__init__.py").write_text("raise ImportError('it must not be imported')\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        return tmp_path

    @staticmethod
    def save(path: Path, content: dict[str, Tensor]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, path)

    def test_lpips(self, site: Path) -> None:
        trunk = trunks.squeezenet()
        fitted = {f"lin{i}.model.1.weight": w.view(1, -1, 1, 1) for i, w in enumerate(calibration(trunk))}
        own = {f"features.{i}": weight for i, weight in enumerate(drawn_weights(trunk))}
        self.save(site / "torchmetrics/functional/image/lpips_models/squeeze.pth", fitted)
        self.save(
            site / "torch/hub/checkpoints/squeezenet1_1-b8a52dc0.pth", own | {"classifier.1.bias": torch.zeros(9)}
        )
        value = float(load_perceptual("lpips_squeeze")(picture(1), picture(2)))
        assert value == pytest.approx(PUBLISHED["lpips_squeeze"], rel=1e-4)

    def test_shift_tolerant(self, site: Path) -> None:
        trunk = trunks.alexnet_shift_tolerant()
        content = {f"lin{i}.model.1.weight": w.view(1, -1, 1, 1) for i, w in enumerate(calibration(trunk))}
        content |= {f"net.{i}.weight": weight for i, weight in enumerate(drawn_weights(trunk))}
        content |= {"net.slice1.1.filt": torch.zeros(64, 1, 3, 3), "scaling_layer.shift": torch.zeros(1, 3, 1, 1)}
        self.save(site / "stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth", content)
        value = float(load_perceptual("stlpips_alex")(picture(1), picture(2)))
        assert value == pytest.approx(PUBLISHED["stlpips_alex"], rel=1e-4)

    def test_what_is_installed_is_told(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert set(installed_perceptual()) == set(TRUNKS)
        monkeypatch.setattr(perceptual, "find_spec", lambda package: None)
        assert installed_perceptual() == ()

    @pytest.mark.parametrize(("name", "extra"), [("lpips_squeeze", "lpips"), ("stlpips_vgg", "stlpips")])
    def test_without_the_package_it_is_told_how_to_install_it(
        self, name: PerceptualName, extra: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(perceptual, "find_spec", lambda package: None)
        with pytest.raises(ModelUnavailableError, match=rf"pip install 'stereodiffusion\[{extra}\]'"):
            load_perceptual(name)

    def test_without_the_network_it_is_told_where_the_file_goes(
        self, site: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.save(site / "torchmetrics/functional/image/lpips_models/alex.pth", {})
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(ModelUnavailableError, match=r"alexnet-owt.*cannot be fetched.*put into .*checkpoints"):
            load_perceptual("lpips_alex")

    def test_weights_of_another_network_are_refused(self) -> None:
        trunk = trunks.alexnet()
        with pytest.raises(ValueError, match="was given"):
            trunks.fill(trunk, drawn_weights(trunks.alexnet_shift_tolerant())[::-1])
