"""The files that are needed of published models, relative to their folder, by family."""

DIFFUSION_FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
)
_SECOND_TOKENIZER_FILES = tuple(
    file.replace("tokenizer/", "tokenizer_2/") for file in DIFFUSION_FILES if file.startswith("tokenizer/")
)
HALF_PRECISION_FILES = tuple(file.replace(".safetensors", ".fp16.safetensors") for file in DIFFUSION_FILES)
SDXL_FILES = (
    *HALF_PRECISION_FILES,
    "text_encoder_2/config.json",
    "text_encoder_2/model.fp16.safetensors",
    *_SECOND_TOKENIZER_FILES,
)


def _t5_files(number: int) -> tuple[str, ...]:
    """Of T5's encoder, the text encoder with that number, as both publishers have split it."""
    return (
        f"tokenizer_{number}/tokenizer.json",
        f"tokenizer_{number}/tokenizer_config.json",
        f"text_encoder_{number}/config.json",
        *(f"text_encoder_{number}/model-0000{shard}-of-00002.safetensors" for shard in (1, 2)),
        f"text_encoder_{number}/model.safetensors.index.json",
    )


SD3_FILES = (
    *(file.replace("unet/", "transformer/") for file in DIFFUSION_FILES),
    *_SECOND_TOKENIZER_FILES,
    "text_encoder_2/config.json",
    "text_encoder_2/model.safetensors",
    *_t5_files(3),
)
FLUX_FILES = (
    *(file for file in DIFFUSION_FILES if not file.startswith("unet/")),
    *_t5_files(2),
    "transformer/config.json",
    *(f"transformer/diffusion_pytorch_model-0000{shard}-of-00003.safetensors" for shard in (1, 2, 3)),
    "transformer/diffusion_pytorch_model.safetensors.index.json",
)
ESTIMATOR_FILES = ("config.json", "model.safetensors", "preprocessor_config.json")
TOYBOX_FILES = (
    *(file for file in DIFFUSION_FILES if not file.startswith("tokenizer/")),
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
    "unet_depth/config.json",
    "unet_depth/diffusion_pytorch_model.safetensors",
)
