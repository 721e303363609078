"""The text side: a CLIP tokenizer whose merges make one token of every word, and a tiny CLIP text model."""

from __future__ import annotations

import json
from pathlib import Path

from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from stereodiffusion.datasets.scenes import VOCABULARY

LENGTH = 32
# Not said by any caption, but cheap to know: people will try them, and one token is better than seven letters.
_SPARE = ("big", "small", "dark", "light", "cyan", "striped", "table", "cloth", "on", "top", "room", "outside", "field")


def _byte_letters() -> list[str]:
    """CLIP's printable stand-ins for the 256 bytes, in CLIP's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in printable]
    return letters + [chr(256 + i) for i in range(256 - len(printable))]


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """Write vocab.json and merges.txt to ``folder`` and load the tokenizer from there."""
    letters = _byte_letters()
    words = sorted({*VOCABULARY, *_SPARE}, key=lambda word: (-len(word), word))
    merges: list[tuple[str, str]] = []
    for word in words:  # longest first, so that no merge of a short word cuts a long one
        parts = [*word[:-1], word[-1] + "</w>"]
        for merge in merges:
            parts = _apply(parts, merge)
        while len(parts) > 1:
            merge = (parts[0], parts[1])
            merges.append(merge)
            parts = _apply(parts, merge)
    pieces = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge) for merge in merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=LENGTH)
    tokenizer.save_pretrained(folder)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    broken = [word for word in words if len(tokenizer(word).input_ids) != 3]
    if broken:
        raise ValueError(f"expected one token per word, got more for {broken}")
    return tokenizer


def _apply(parts: list[str], merge: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for part in parts:
        if merged and (merged[-1], part) == merge:
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The untrained text model: 128 wide, two layers."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=512,
            projection_dim=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
