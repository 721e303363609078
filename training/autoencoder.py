"""Stage 1: the autoencoder, eight times smaller pictures with eight channels.

    python -m training.autoencoder            # resumes by itself from .training/autoencoder.pt

The encoder is not trained: its weights are *set* such that the stock ``AutoencoderKL`` computes the eight leading
principal components of 8 x 8 patches, whitened on scenes.  Left to itself an encoder stays colour-blind for long; these
components are known in seconds, invert linearly to 30 dB on scenes and 24 dB on photographs, and never change, so that
every UNet stays valid while the decoder goes on learning.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from training.fast_layers import make_fast, multiplies_bfloat16
from training.parallel import launch, mean_over_processes, share_gradients
from training.pictures import HELD_OUT_SEED, WORK, Crops, photographs, scene_pictures, synthetic_pictures

CHANNELS, CELL = 8, 8
CHECKPOINT = WORK / "autoencoder.pt"
COMPONENTS = WORK / "components.pt"
_LEVEL = 30.0  # of the constant channels that hold the last norm still; latents are about 1


class Components(NamedTuple):
    """Latent = conv(picture in [-1, 1], weight, stride 8) + bias; weight (8, 3, 8, 8), bias (8,)."""

    weight: Tensor
    bias: Tensor

    def encode(self, pictures: Tensor) -> Tensor:
        """What the exported encoder computes, as one convolution."""
        return functional.conv2d(pictures, self.weight, self.bias, stride=CELL)


def prepare(scenes: int) -> Components:
    """Render and store the training pictures and find the principal components, once."""
    path = WORK / "pictures.npz"
    if not path.exists():
        WORK.mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        np.savez(path, scenes=scene_pictures(scenes, 256, 5_000_000), synthetic=synthetic_pictures(240, 256, rng))
    if not COMPONENTS.exists():
        stored = np.load(path)
        crops = Crops(stored["scenes"], photographs(), stored["synthetic"], np.random.default_rng(0))
        renders = torch.from_numpy(stored["scenes"][:300]).permute(0, 3, 1, 2).float() / 127.5 - 1
        torch.save(_principal_components(torch.from_numpy(crops.draw(600, 128)), renders)._asdict(), COMPONENTS)
    return components()


def components() -> Components:
    """The stored principal components."""
    return Components(**torch.load(COMPONENTS, weights_only=True))


def _principal_components(mixture: Tensor, renders: Tensor) -> Components:
    """Directions from a mixture of pictures, mean and unit variance from renders."""
    patches = functional.unfold(torch.cat([mixture, renders[:150, :, ::2, ::2].repeat(2, 1, 1, 1)]), CELL, stride=CELL)
    patches = patches.transpose(1, 2).reshape(-1, 3 * CELL * CELL).double()
    patches -= patches.mean(0)
    _, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    directions = vectors[:, -CHANNELS:].flip(1).T
    directions = directions * directions.sum(1).sign()[:, None]
    seen = functional.conv2d(renders, directions.view(-1, 3, CELL, CELL).float(), stride=CELL)
    deviation = seen.std((0, 2, 3))
    weight = directions.float() / deviation[:, None]
    return Components(weight.view(-1, 3, CELL, CELL).contiguous(), -seen.mean((0, 2, 3)) / deviation)


def build() -> AutoencoderKL:
    """The autoencoder before training, its encoder not yet set."""
    return AutoencoderKL(
        block_out_channels=(32, 32, 64, 128),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=256,
        scaling_factor=1.0,  # latents of scenes have unit variance per channel
    )


@torch.no_grad()
def set_encoder(model: AutoencoderKL, linear: Components) -> None:
    """Give the encoder the weights with which it computes ``linear``, exactly up to rounding.

    All residual branches are zero.  Three strided convolutions gather 8 x 8 patches without loss of what is needed:
    12 channels of 2 x 2 pixels, then 32 = 8 components x 4 quadrants of 4 x 4 pixels, then 8.  The last GroupNorm is
    held still by large constant channels of opposite signs, and SiLU(z) - SiLU(-z) = z undoes the activation.
    """
    encoder = model.encoder
    for parameter in [*encoder.parameters(), *model.quant_conv.parameters()]:
        parameter.zero_()
    for name, parameter in encoder.named_parameters():
        if ".norm" in name and name.endswith("weight"):
            parameter.fill_(1)
    encoder.conv_in.weight[range(3), range(3), 1, 1] = 1
    first, second, third = (block.downsamplers[0].conv.weight for block in encoder.down_blocks[:3])
    quadrants = linear.weight.view(CHANNELS, 3, 2, 2, 2, 2, 2, 2)  # k c, then rows: 4s 2s 1s, columns: 4s 2s 1s
    for row in range(2):
        for column in range(2):
            cell = 2 * row + column
            for channel in range(3):
                first[3 * cell + channel, channel, row, column] = 1
            for quadrant in range(4):
                part = quadrants[:, :, quadrant // 2, row, :, quadrant % 2, column, :]  # k c y x
                second[quadrant::4, :12, row, column] = part.permute(0, 2, 3, 1).reshape(CHANNELS, 12)
            third[range(CHANNELS), range(cell, 4 * CHANNELS, 4), row, column] = 1
    encoder.down_blocks[2].resnets[0].conv_shortcut.weight[range(32), range(32), 0, 0] = 1
    last = encoder.down_blocks[3].resnets[0].conv_shortcut
    width = last.out_channels // CHANNELS  # channels per group of the norm: one group per latent channel
    for k in range(CHANNELS):
        last.weight[k * width, k, 0, 0], last.weight[k * width + 1, k, 0, 0] = 1, -1
        last.bias[k * width] = linear.bias[k]
        last.bias[k * width + 1] = -linear.bias[k]
        last.bias[k * width + 2 : (k + 1) * width : 2] = _LEVEL
        last.bias[k * width + 3 : (k + 1) * width : 2] = -_LEVEL
        encoder.conv_out.weight[k, k * width, 1, 1], encoder.conv_out.weight[k, k * width + 1, 1, 1] = 1, -1
    encoder.conv_norm_out.weight.fill_((((width - 2) * _LEVEL**2 + 2) / width) ** 0.5)
    model.quant_conv.weight[range(CHANNELS), range(CHANNELS), 0, 0] = 1
    model.quant_conv.bias[CHANNELS:] = -10.0  # log variance: as good as none
    model.encoder.requires_grad_(False)
    model.quant_conv.requires_grad_(False)


def loss_of(output: Tensor, target: Tensor) -> Tensor:
    """L1 + 10 L2 + gradients + colours of 8 x 8 means."""
    difference = output - target
    across, down = difference.diff(dim=-1).abs().mean(), difference.diff(dim=-2).abs().mean()
    colour = functional.avg_pool2d(difference, CELL).abs().mean()
    return difference.abs().mean() + 10 * difference.square().mean() + 0.5 * (across + down) + colour


def train(rank: int, options: argparse.Namespace) -> None:
    """One of the processes."""
    linear = components()
    torch.manual_seed(0)  # the same initial weights in all processes
    model = build()
    set_encoder(model, linear)
    state = torch.load(CHECKPOINT, weights_only=True) if CHECKPOINT.exists() else None
    if state is not None:
        model.load_state_dict(state["model"])
    average = {k: v.clone() for k, v in model.state_dict().items()}
    make_fast(model)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=options.rate, betas=(0.9, 0.99), weight_decay=0.0)
    step, spent = 0, 0.0
    if state is not None:
        average, step, spent = state["average"], state["step"], state["spent"]
        if state["optimiser"] is not None:
            optimiser.load_state_dict(state["optimiser"])
    stored = np.load(WORK / "pictures.npz")
    crops = Crops(stored["scenes"], photographs(), stored["synthetic"], np.random.default_rng([2, rank, step]))
    generator = torch.Generator().manual_seed(1000 * step + rank)
    values = model.state_dict()
    last, running = time.time(), 1.0
    budget = options.minutes * 60 if options.more is None else spent + options.more * 60
    while (done := mean_over_processes(spent) / budget) < 1:
        for group in optimiser.param_groups:
            group["lr"] = options.rate * min(1.0, (step + 1) / 100) * float(np.interp(done, [0.5, 1.0], [1.0, 0.02]))
        large = step % 4 == 3
        x = torch.from_numpy(crops.draw(2 if large else 8, 128 if large else 64))
        latent = linear.encode(x)
        strength = options.noise * torch.rand((len(x), 1, 1, 1), generator=generator)
        latent = latent + strength * torch.randn(latent.shape, generator=generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16()):
            output = model.decode(latent.contiguous(memory_format=torch.channels_last)).sample.float()
        loss = loss_of(output, x)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        keep = min(0.998, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), [values[name] for name in average], 1 - keep)
        step += 1
        spent, last = spent + time.time() - last, time.time()
        running = 0.98 * running + 0.02 * functional.mse_loss(output.detach().clamp(-1, 1), x).item()
        if step % 100 == 0:
            mse = mean_over_processes(running)
            if rank == 0:
                print(f"{step} loss {loss.item():.4f} psnr {10 * np.log10(4 / mse):.2f} {step / spent:.2f} steps/s "
                      f"{spent:.0f} s {time.strftime('%H:%M')}", flush=True)  # fmt: skip
        if rank == 0 and step % 500 == 0:
            _save(model, average, optimiser, step, spent)
            print(json.dumps({"step": step, **measure(averaged(average))}), flush=True)
    if rank == 0:
        _save(model, average, optimiser, step, spent)
        print(json.dumps({"step": step, **measure(averaged(average))}), flush=True)


def _save(
    model: AutoencoderKL, average: dict[str, Tensor], optimiser: torch.optim.Optimizer, step: int, spent: float
) -> None:
    state = {"model": model.state_dict(), "average": average, "optimiser": optimiser.state_dict(), "step": step,
             "spent": spent}  # fmt: skip
    torch.save(state, CHECKPOINT.with_suffix(".new"))
    CHECKPOINT.with_suffix(".new").replace(CHECKPOINT)


def averaged(state: dict[str, Tensor] | None = None) -> AutoencoderKL:
    """The autoencoder with its averaged weights, from the checkpoint unless given."""
    model = build()
    set_encoder(model, components())
    if state is None and CHECKPOINT.exists():
        state = torch.load(CHECKPOINT, weights_only=True)["average"]
    if state is not None:
        model.load_state_dict(state)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def measure(model: AutoencoderKL, count: int = 12) -> dict[str, float]:
    """PSNR on unseen scenes at 256, through the whole stock autoencoder."""
    scenes = torch.from_numpy(scene_pictures(count, 256, HELD_OUT_SEED)).permute(0, 3, 1, 2).float() / 127.5 - 1
    output = model.decode(model.encode(scenes).latent_dist.mean).sample.clamp(-1, 1)
    psnr = 10 * torch.log10(4 / (output - scenes).square().mean((1, 2, 3)))
    return {"scenes_psnr": round(float(psnr.mean()), 2)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=40.0, help="of both cores, over all sittings")
    parser.add_argument("--more", type=float, help="minutes to add instead")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--noise", type=float, default=0.2, help="greatest deviation of the noise on latents")
    parser.add_argument("--scenes", type=int, default=1600)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    prepare(options.scenes)
    launch(train, options, processes=options.processes)


if __name__ == "__main__":
    main()
