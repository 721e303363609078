"""Weights from the Hugging Face hub or its cache: safetensors, never pickles, which can run code while they load."""

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from stereodiffusion.errors import ModelError, ModelUnavailableError, first_line

PICKLES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"})
"""Suffixes of weights that are refused."""

_UNREACHABLE_S = 10  # after which a hub that does not answer counts as out of reach


def pickle_refused(name: str) -> ModelError:
    """What is said of a model that is there as a pickle only."""
    return ModelError(
        f"{name} has pickled weights only, which are refused: loading a pickle can run code that it carries; "
        "convert them to safetensors, or take a model that is published so"
    )


def fetch(
    repository: str,
    revision: str | None,
    *,
    complete: Callable[[Path], bool],
    wanted: Callable[[set[str]], Collection[str]],
    otherwise: str,
) -> Path:
    """The folder of a repository in the hub's cache; what is complete there is taken without asking the hub.

    Args:
        repository: `organisation/name`.
        revision: A commit or a branch; the main branch if None.
        complete: Whether a folder has all that is needed.
        wanted: Which files to fetch, as names or patterns, of those that the repository has.
        otherwise: What to do if it is not to be had.

    Raises:
        ModelError: If what is in the cache cannot be read.
        ModelUnavailableError: If it is not in the cache and cannot be fetched.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        with suppress(LocalEntryNotFoundError):
            cached = Path(snapshot_download(repository, revision=revision, local_files_only=True))
            if complete(cached):
                return cached
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
            raise ConnectionError("HF_HUB_OFFLINE is set")
        # Asked first and once, because downloads try again for half a minute before they give up.
        answer = HfApi().model_info(repository, revision=revision, timeout=_UNREACHABLE_S)
        files = {file.rfilename for file in answer.siblings or ()}
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(wanted(files))))
    except ModelError:
        raise
    except Exception as error:  # Whatever the network, the hub or its client raise, the model is not to be had.
        raise ModelUnavailableError(
            f"{repository} is not on disk and cannot be fetched ({_reason(repository, error)}); {otherwise}"
        ) from error


def _reason(repository: str, error: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return f"its terms have to be accepted at https://huggingface.co/{repository} first"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub has no such repository, or shows it to some accounts only"
    return first_line(error)
