"""Prompts to token numbers, without dropping a word.

CLIP's tokenizer cuts what is too long, and the text encoder of a small model gives some meaning to any word,
although it learnt only a list of them. Both are errors here.
"""

from collections.abc import Collection, Sequence
from threading import RLock
from typing import Any, Final

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import CLIPTokenizer, T5Tokenizer

from stereodiffusion.errors import PromptError

TOKENIZING: Final = RLock()
"""A tokenizer remembers how it is to pad, and would pad so what another thread has it read: one at a time."""

_LISTED_WORDS = 120


def tokenize(
    tokenizer: CLIPTokenizer | T5Tokenizer,
    prompts: Sequence[str],
    length: int,
    vocabulary: Collection[str] | None = None,
    *,
    cut: bool = False,
) -> tuple[Int[Tensor, "b n"], Int[Tensor, "b n"]]:
    """Token numbers, padded to `length`, and the attention mask that tells them from the padding.

    Args:
        tokenizer: Of the model.
        prompts: One or more.
        length: Tokens that the text encoder takes, with the one that begins and the one that ends a prompt.
        vocabulary: All words that the text encoder has learnt, in lower case; None if it takes any word.
        cut: Whether to drop what is too long, for an encoder beside another one that reads the whole prompt.

    Raises:
        PromptError: If a prompt has too many tokens, or a word that is not of the vocabulary.
    """
    if isinstance(prompts, str) or not prompts:
        raise PromptError(f"expected a list of one or more prompts, got {prompts!r}")
    with TOKENIZING:
        encoded = tokenizer(list(prompts), padding="max_length", max_length=length, truncation=cut, verbose=False)
        own = tokenizer.num_special_tokens_to_add()
    for prompt, encoding in zip(prompts, encoded.encodings or [], strict=True):
        if vocabulary is not None:
            _check_words(prompt, encoding, vocabulary)
        excess = len(encoding.ids) - length
        if excess > 0:
            dropped = prompt[encoding.offsets[length - 1][0] :].strip()
            raise PromptError(
                f"the prompt has {excess} token{'s' * (excess > 1)} too many for the text encoder, which takes "
                f"{length - own}: shorten it by about {dropped!r}"
            )
    return torch.tensor(encoded["input_ids"]), torch.tensor(encoded["attention_mask"])


def _check_words(prompt: str, encoding: Any, vocabulary: Collection[str]) -> None:
    """Refuse words that are not of the vocabulary; punctuation passes."""
    spans: dict[int, list[int]] = {}
    for position, number in enumerate(encoding.word_ids):
        if number is not None:
            spans.setdefault(number, []).append(position)
    words = [prompt[encoding.offsets[span[0]][0] : encoding.offsets[span[-1]][1]].strip() for span in spans.values()]
    unknown = [word for word in words if any(map(str.isalnum, word)) and word.lower() not in vocabulary]
    if unknown:
        quoted = ", ".join(repr(word) for word in dict.fromkeys(unknown))
        known = sorted(vocabulary)
        listed = ", ".join(known[:_LISTED_WORDS]) + (", ..." if len(known) > _LISTED_WORDS else "")
        raise PromptError(f"the model does not know {quoted}; its words are: {listed}")
