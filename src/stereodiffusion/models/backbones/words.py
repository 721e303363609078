"""Loads a model's tokenizer, and refuses one without the words that it should know."""

from pathlib import Path

from tokenizers import Tokenizer
from transformers import CLIPTokenizer, T5Tokenizer

from stereodiffusion.errors import ModelError
from stereodiffusion.models.checkpoint.files import check_texts

_TRIED = 50


def load_tokenizer(root: Path, part: str, *, rows: int) -> CLIPTokenizer:
    """A CLIP tokenizer that knows words.

    Args:
        root: The model's folder.
        part: The tokenizer's in it.
        rows: Token numbers that the text encoder has embeddings for.

    Raises:
        ModelError: If there is no vocabulary, it is not this text encoder's, or its merges are missing.
    """
    folder = root / part
    check_texts(folder, root)
    if not (folder / "tokenizer.json").is_file():
        absent = [file for file in ("vocab.json", "merges.txt") if not (folder / file).is_file()]
        if absent:
            raise ModelError(f"{root.name}/{part} has no vocabulary: there is no {' and no '.join(absent)} in {folder}")
    tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    _check_words(f"{root.name}/{part}", tokenizer, rows)
    return tokenizer


def load_t5_tokenizer(root: Path, part: str, *, rows: int) -> T5Tokenizer:
    """A T5 tokenizer that knows words.

    Args:
        root: The model's folder.
        part: The tokenizer's in it.
        rows: Token numbers that the text encoder has embeddings for.

    Raises:
        ModelError: If there is no vocabulary, or it is not this text encoder's.
    """
    folder = root / part
    check_texts(folder, root)
    if not any((folder / file).is_file() for file in ("tokenizer.json", "spiece.model")):
        raise ModelError(f"{root.name}/{part} has no vocabulary: there is no tokenizer.json in {folder}")
    tokenizer = T5Tokenizer.from_pretrained(str(folder), local_files_only=True)
    numbers: dict[str, int] = tokenizer.get_vocab()
    _check_rows(f"{root.name}/{part}", numbers, rows)
    if not any(len(token) > 1 and token.lstrip("▁").isalpha() for token in numbers):
        raise ModelError(f"{root.name}/{part} has no vocabulary: expected words, got {len(numbers)} tokens without any")
    return tokenizer


def _check_rows(name: str, numbers: dict[str, int], rows: int) -> None:
    if max(numbers.values(), default=0) >= rows:
        raise ModelError(
            f"{name} has {max(numbers.values()) + 1} tokens, the text encoder knows {rows}: they are of two models"
        )


def _check_words(name: str, tokenizer: CLIPTokenizer, rows: int) -> None:
    numbers: dict[str, int] = tokenizer.get_vocab()
    _check_rows(name, numbers, rows)
    words = [token.removesuffix("</w>") for token in sorted(numbers) if token.endswith("</w>")]
    words = [word for word in words if len(word) > 1 and word.isascii() and word.isalpha()]
    if not words:
        raise ModelError(f"{name} has no vocabulary: expected words, got {len(numbers)} tokens without any")
    engine: Tokenizer = tokenizer.backend_tokenizer
    # A tokenizer that was saved after use still fills up what it reads: padding does not count.
    tried = (engine.encode(word, add_special_tokens=False) for word in words[:: len(words) // _TRIED + 1])
    if not any(sum(encoding.attention_mask) == 1 for encoding in tried):
        raise ModelError(f"{name} has no merges for its vocabulary: it would spell out {words[0]!r} letter by letter")
