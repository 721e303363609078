"""The networks whose features learned metrics compare: AlexNet, VGG16 and SqueezeNet 1.1, up to their last features.

They are written out here because the packages that have them pull in torchvision, which does not load beside every
build of PyTorch. The layers, and the order of their parameters, are torchvision's; the shift-tolerant ones are those of
Ghildyal and Liu (ECCV 2022): no stride where the picture comes in, and a blur before each halving.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stereodiffusion.types import Image


class Trunk(nn.Module):
    """A network in stages: what each stage gives is compared."""

    def __init__(self, *stages: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(*layers) for layers in stages)

    def forward(self, image: Image) -> list[Float[Tensor, "b _ _ _"]]:
        """The features after each stage."""
        features: list[Tensor] = []
        x = image
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def alexnet() -> Trunk:
    """AlexNet, the features after each of its five convolutions."""
    return Trunk(
        [nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU()],
        [nn.MaxPool2d(3, 2), *_convolution(64, 192, 5)],
        [nn.MaxPool2d(3, 2), *_convolution(192, 384)],
        _convolution(384, 256),
        _convolution(256, 256),
    )


def alexnet_shift_tolerant() -> Trunk:
    """AlexNet without aliasing."""
    return Trunk(
        [nn.Conv2d(3, 64, 11, padding=2), _BlurredHalving(64), nn.ReLU()],
        [nn.MaxPool2d(3, 1), _BlurredHalving(64), *_convolution(64, 192, 5)],
        [nn.MaxPool2d(3, 1), _BlurredHalving(192), *_convolution(192, 384)],
        _convolution(384, 256),
        _convolution(256, 256),
    )


def vgg16() -> Trunk:
    """VGG16, the features before each halving."""
    return _vgg16(lambda channels: [nn.MaxPool2d(2, 2)])


def vgg16_shift_tolerant() -> Trunk:
    """VGG16 without aliasing."""
    return _vgg16(lambda channels: [nn.MaxPool2d(2, 1), _BlurredHalving(channels)])


def squeezenet() -> Trunk:
    """SqueezeNet 1.1, seven stages."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return Trunk(
        [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU()],
        [pool(), _Fire(64, 16, 64), _Fire(128, 16, 64)],
        [pool(), _Fire(128, 32, 128), _Fire(256, 32, 128)],
        [pool(), _Fire(256, 48, 192)],
        [_Fire(384, 48, 192)],
        [_Fire(384, 64, 256)],
        [_Fire(512, 64, 256)],
    )


def fill(trunk: Trunk, weights: Sequence[Tensor]) -> None:
    """Set a trunk's parameters in their order.

    Raises:
        ValueError: If there are too few or too many, or one has another shape.
    """
    with torch.no_grad():
        for parameter, weight in zip(trunk.parameters(), weights, strict=True):
            if parameter.shape != weight.shape:
                raise ValueError(f"a parameter of shape {tuple(parameter.shape)} was given {tuple(weight.shape)}")
            parameter.copy_(weight)


class _Fire(nn.Module):
    """SqueezeNet's module: few channels, then many by windows of 1 x 1 and as many of 3 x 3."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand_1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand_3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand_1(x), self.expand_3(x)], dim=1).relu()


class _BlurredHalving(nn.Module):
    """Every second cell after a binomial blur of 3 x 3; the map grows by a cell at each border first."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        profile = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float32)
        self.register_buffer("kernel", profile.outer(profile).expand(channels, 1, 3, 3).clone(), persistent=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c m n"]:
        padded = functional.pad(x, (2, 2, 2, 2), mode="reflect")
        return functional.conv2d(padded, self.kernel, stride=2, groups=x.shape[1])


def _convolution(channels: int, out: int, window: int = 3) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, window, padding=window // 2), nn.ReLU()]


def _vgg16(halving: Callable[[int], list[nn.Module]]) -> Trunk:
    stages: list[list[nn.Module]] = []
    channels = 3
    for out, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        layers = halving(channels) if stages else []
        for _ in range(convolutions):
            layers += _convolution(channels, out)
            channels = out
        stages.append(layers)
    return Trunk(*stages)
