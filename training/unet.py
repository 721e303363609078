"""Stage 3: the UNets, trained jointly with the text encoder.

    python -m training.unet --size 128 --minutes 240       # 16 x 16 latents
    python -m training.unet --size 256 --minutes 360       # goes on at 32 x 32

Resumes by itself from .training/unet.pt; what was learnt at 128 pixels carries over to 256.  v-prediction with Stable
Diffusion's betas, min-SNR weights, stratified time steps; cells that show a toy count more.

One network of nine input channels becomes both models.  For a third of the pictures the ninth channel holds the inverse
depth in [-1, 1], for the others zero: without that channel it is the text UNet, with it the depth-conditioned sibling.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPTextModel

from training.fast_layers import make_fast, multiplies_bfloat16
from training.parallel import launch, mean_over_processes, share_gradients
from training.pictures import WORK
from training.words import LENGTH, build_text_encoder, build_tokenizer

CHANNELS = 8
_GAMMA = 5.0  # min-SNR
_CAPTION_DROP = 0.1
_DEPTH_GIVEN = 0.35  # fraction of the pictures whose depth the UNet is told
_TOY_WEIGHT = 1.5  # added to the loss weight of a cell full of toy
BATCH = {128: 32, 256: 12}  # per process


def build_unet(*, depth: bool = False) -> UNet2DConditionModel:
    """The untrained UNet: 16.5 M parameters, self-attention at half and a quarter of the latent size."""
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=CHANNELS + depth,
        out_channels=CHANNELS,
        block_out_channels=(64, 128, 256),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=128,
        attention_head_dim=4,  # in this class it is the number of heads
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's schedule with v-prediction."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


CHECKPOINT = WORK / "unet.pt"


class Batch(NamedTuple):
    """Latents (b, 8, h, w), token ids (b, 32), cell weights and inverse depth in [-1, 1], both (b, 1, h, w)."""

    latent: Tensor
    words: Tensor
    weight: Tensor
    depth: Tensor


class Latents:
    """All stored chunks of a size in memory."""

    def __init__(self, size: int, empty: list[int]) -> None:
        paths = sorted((WORK / "latents").glob(f"{size}_[0-9]*[0-9].npz"))
        if not paths:
            raise FileNotFoundError(f"expected latents of {size} px in {WORK / 'latents'}: run training.latents first")
        chunks = [np.load(path) for path in paths]
        self.latents: NDArray[np.float16] = np.concatenate([c["latents"] for c in chunks])
        self.words: NDArray[np.int16] = np.concatenate([c["words"] for c in chunks])
        self.objects: NDArray[np.float16] = np.concatenate([c["objects"] for c in chunks])
        self.disparity: NDArray[np.float16] = np.concatenate([c["disparity"] for c in chunks])
        self.empty = np.asarray(empty, np.int16)

    def batches(self, count: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Endless batches of ``count`` in random order without repetition inside an epoch."""
        total = 2 * len(self.latents)
        while True:
            order = rng.permutation(total)
            for start in range(0, total - count + 1, count):
                scene, side = np.divmod(order[start : start + count], 2)
                words = self.words[scene, side, rng.integers(self.words.shape[2], size=count)]
                words[rng.random(count) < _CAPTION_DROP] = self.empty
                objects, near = (_mirrored(a[scene].astype(np.float32), side) for a in (self.objects, self.disparity))
                low, high = near.min((1, 2), keepdims=True), near.max((1, 2), keepdims=True)
                yield Batch(
                    torch.from_numpy(self.latents[scene, side].astype(np.float32)),
                    torch.from_numpy(words.astype(np.int64)),
                    torch.from_numpy(1 + _TOY_WEIGHT * objects)[:, None],
                    torch.from_numpy(2 * (near - low) / (high - low) - 1)[:, None],
                )


def _mirrored(maps: NDArray[np.float32], side: NDArray[np.integer]) -> NDArray[np.float32]:
    return np.where(side[:, None, None] == 1, maps[..., ::-1], maps)


def loss_of(
    unet: nn.Module, encoder: CLIPTextModel, batch: Batch, alphas: Tensor, generator: torch.Generator
) -> Tensor:
    """min-SNR weighted v-prediction loss."""
    count = len(batch.latent)
    stratum = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    t = (1000 * stratum[torch.randperm(count, generator=generator)]).long()
    alpha = alphas[t].view(-1, 1, 1, 1)
    noise = torch.randn(batch.latent.shape, generator=generator)
    x_t = alpha.sqrt() * batch.latent + (1 - alpha).sqrt() * noise
    v = alpha.sqrt() * noise - (1 - alpha).sqrt() * batch.latent
    snr = alpha / (1 - alpha)
    importance = snr.clamp(max=_GAMMA) / (snr + 1) * batch.weight / batch.weight.mean()
    told = torch.rand((count, 1, 1, 1), generator=generator) < _DEPTH_GIVEN
    given = torch.cat([x_t, batch.depth * told], 1).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16()):
        states = encoder(batch.words).last_hidden_state
        predicted = unet(given, t, encoder_hidden_states=states).sample.float()
    return (importance * (predicted - v).square()).mean() * 2  # min-SNR weights average about a half


def start_models() -> tuple[UNet2DConditionModel, CLIPTextModel, list[int]]:
    """Untrained models with the same weights in every process, and the tokens of the empty caption."""
    tokenizer = build_tokenizer(WORK / "tokenizer" / str(torch.distributed.get_rank()))
    torch.manual_seed(0)
    empty = tokenizer("", padding="max_length", max_length=LENGTH).input_ids
    return build_unet(depth=True), build_text_encoder(tokenizer), empty


def train(rank: int, options: argparse.Namespace) -> None:
    """One of the processes."""
    unet, encoder, empty = start_models()
    both = nn.ModuleDict({"unet": unet, "encoder": encoder})
    state = torch.load(CHECKPOINT, weights_only=True) if CHECKPOINT.exists() else None
    if state is not None:
        both.load_state_dict(state["model"])
    make_fast(unet)
    parameters = list(both.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=options.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    average = {k: v.clone() for k, v in both.state_dict().items()}
    step, samples, spent = 0, 0, {"128": 0.0, "256": 0.0}
    if state is not None:
        average, step, samples, spent = state["average"], state["step"], state["samples"], state["spent"]
        if state["optimiser"] is not None:
            optimiser.load_state_dict(state["optimiser"])
    values = both.state_dict()
    names = [name for name, value in values.items() if value.is_floating_point()]
    alphas = build_scheduler().alphas_cumprod
    generator = torch.Generator().manual_seed(7919 * step + rank)
    rng = np.random.default_rng([4, rank, step])
    count, size = BATCH[options.size], str(options.size)
    batches = Latents(options.size, empty).batches(count, rng)
    both.train()
    last, running, begun = time.time(), None, (time.time(), samples)
    budget = options.minutes * 60 if options.more is None else spent[size] + options.more * 60
    while (done := mean_over_processes(spent[size]) / budget) < 1:
        warm = min(1.0, (step + 1) / 200)
        decay_from = 1 - options.decay
        cool = 1.0 if done < decay_from else 0.02 + 0.98 * (1 - done) / options.decay
        for group in optimiser.param_groups:
            group["lr"] = options.rate * warm * cool
        loss = loss_of(unet, encoder, next(batches), alphas, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimiser.step()
        keep = min(options.average, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_([average[n] for n in names], [values[n] for n in names], 1 - keep)
        step, samples = step + 1, samples + count * torch.distributed.get_world_size()
        spent[size], last = spent[size] + time.time() - last, time.time()
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0:
            shown = mean_over_processes(running)
            if rank == 0:
                pace = (samples - begun[1]) / (time.time() - begun[0])
                begun = (time.time(), samples)
                print(f"{step} {samples} samples loss {shown:.4f} {pace:.1f} img/s {spent[size]:.0f} s at {size} "
                      f"{time.strftime('%H:%M')}", flush=True)  # fmt: skip
        if step % options.every == 0 and rank == 0:
            _save(both, average, optimiser, step, samples, spent)
    if rank == 0:
        _save(both, average, optimiser, step, samples, spent)


def _save(
    both: nn.Module,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
    samples: int,
    spent: dict[str, float],
) -> None:
    state = {"model": both.state_dict(), "average": average, "optimiser": optimiser.state_dict(), "step": step,
             "samples": samples, "spent": spent}  # fmt: skip
    torch.save(state, CHECKPOINT.with_suffix(".new"))
    CHECKPOINT.with_suffix(".new").replace(CHECKPOINT)


def averaged() -> tuple[UNet2DConditionModel, UNet2DConditionModel, dict[str, Tensor]]:
    """The averaged text UNet, its depth-conditioned sibling, and the averaged text encoder's weights."""
    weights = torch.load(CHECKPOINT, weights_only=True)["average"]
    weights = {name: value.contiguous() for name, value in weights.items()}
    sibling, text = build_unet(depth=True).eval(), build_unet().eval()
    of_unet = {k.removeprefix("unet."): v for k, v in weights.items() if k.startswith("unet.")}
    sibling.load_state_dict(of_unet)
    text.load_state_dict(of_unet | {"conv_in.weight": of_unet["conv_in.weight"][:, :CHANNELS].contiguous()})
    return text, sibling, {k.removeprefix("encoder."): v for k, v in weights.items() if k.startswith("encoder.")}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128, choices=(128, 256))
    parser.add_argument("--minutes", type=float, default=240, help="of both cores at this size, over all sittings")
    parser.add_argument("--more", type=float, help="minutes to add instead")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--average", type=float, default=0.998, help="decay of the moving average of the weights")
    parser.add_argument("--decay", type=float, default=0.15, help="fraction of the minutes in which the rate falls")
    parser.add_argument("--every", type=int, default=200, help="steps between checkpoints")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    launch(train, options, processes=options.processes)


if __name__ == "__main__":
    main()
