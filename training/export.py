"""Writes the embedded model as a diffusers folder of float16 safetensors.

    python -m training.export                 # into src/stereodiffusion/weights/toybox

What has no checkpoint yet is exported untrained, so that loading code can be written before training ends.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPTextModel

from training import autoencoder, depth_estimator, unet
from training.pictures import WORK
from training.words import build_text_encoder, build_tokenizer

TARGET = Path(__file__).parents[1] / "src" / "stereodiffusion" / "weights" / "toybox"


def pipeline() -> StableDiffusionPipeline:
    """The text pipeline from the checkpoints, float32."""
    tokenizer = build_tokenizer(WORK / "tokenizer" / "export")
    text_encoder: CLIPTextModel = build_text_encoder(tokenizer).eval()
    torch.manual_seed(0)
    if unet.CHECKPOINT.exists():
        text_unet, _, words = unet.averaged()
        text_encoder.load_state_dict(words)
    else:
        text_unet = unet.build_unet().eval()
    return StableDiffusionPipeline(
        vae=autoencoder.averaged(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=text_unet,
        scheduler=unet.build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(target: Path) -> None:
    """Write everything to ``target``, replacing it when complete."""
    parts = pipeline().to(dtype=torch.float16)
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    parts.save_pretrained(fresh, safe_serialization=True)
    for name in ("vocab.json", "merges.txt"):  # what transformers before 5 reads
        shutil.copy(WORK / "tokenizer" / "export" / name, fresh / "tokenizer" / name)
    depth_unet = unet.averaged()[1] if unet.CHECKPOINT.exists() else unet.build_unet(depth=True)
    depth_unet.to(torch.float16).save_pretrained(fresh / "unet_depth", safe_serialization=True)
    depth_estimator.export(fresh / "depth")
    shutil.rmtree(target, ignore_errors=True)
    fresh.replace(target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: {size / 1e6:.1f} MB")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=TARGET)
    export(parser.parse_args().target)


if __name__ == "__main__":
    main()
