"""Weights from the Hugging Face hub or its cache: safetensors, never pickles, which can run code while they load."""

import logging
import os
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from stereodiffusion.errors import ConfigError, ModelError, ModelUnavailableError, first_line

_LOG = logging.getLogger(__name__)
_UNREACHABLE_S = 10  # after which a hub that does not answer counts as out of reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Which files of a repository are meant, and how they are fetched; the names are those of diffusers.

    Attributes:
        revision: A commit, a tag or a branch; a known model's own, or else the main branch, if None. The same as
            `organisation/name@revision`.
        variant: Which of several copies of the weights: `fp16` for `model.fp16.safetensors`. Also of a folder's.
        token: For repositories that ask for one; None takes what is stored on this machine.
        cache_dir: Where files are kept; the hub's own cache if None.
        local_files_only: Whether to take what is there and fetch nothing.
    """

    revision: str | None = None
    variant: str | None = None
    token: str | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False

    def __post_init__(self) -> None:
        for field in ("revision", "variant"):
            value = getattr(self, field)
            if value is not None and (not value or not value.isprintable() or value != value.strip()):
                raise ConfigError(f"{field} must be the name of one or None, got {value!r}")
        if self.variant is not None and ("/" in self.variant or "." in self.variant):
            raise ConfigError(f"variant must be a word as fp16, got {self.variant!r}")

    @property
    def for_another(self) -> "Hub":
        """The same way of fetching, for another repository."""
        return replace(self, revision=None, variant=None)


DEFAULT = Hub()
"""What is published last, fetched as this machine is set up."""


def split_revision(name: str) -> tuple[str, str | None]:
    """A repository and its revision, of `organisation/name@revision`."""
    repository, _, revision = name.partition("@")
    return repository, revision or None


def fetch(
    repository: str,
    hub: Hub,
    *,
    complete: Callable[[Path], bool],
    first: str,
    wanted: Callable[[set[str], Path], Collection[str]],
    otherwise: str,
) -> Path:
    """The folder of a repository in the hub's cache; what is complete there is taken without asking the hub.

    Args:
        repository: `organisation/name`.
        hub: Its revision, and how it is fetched.
        complete: Whether a folder has all that is needed.
        first: The file that says what the repository holds; it is fetched before anything large.
        wanted: Which files to fetch, as names or patterns, of those that the repository has; it is given the folder
            with the first file, and may refuse.
        otherwise: What to do if it is not to be had.

    Raises:
        ModelError: If what is there cannot be read, or is refused.
        ModelUnavailableError: If it is not in the cache and cannot be fetched.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    there: dict[str, Any] = {"revision": hub.revision, "cache_dir": hub.cache_dir}
    try:
        with suppress(LocalEntryNotFoundError):
            cached = Path(snapshot_download(repository, local_files_only=True, **there))
            if complete(cached):
                return cached
        if hub.local_files_only:
            raise ConnectionError("local_files_only is set")
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
            raise ConnectionError("HF_HUB_OFFLINE is set")
        # Asked first and once, because downloads try again for half a minute before they give up.
        answer = HfApi(token=hub.token).model_info(
            repository, revision=hub.revision, timeout=_UNREACHABLE_S, files_metadata=True
        )
        files = {file.rfilename for file in answer.siblings or ()}

        def download(patterns: Collection[str]) -> Path:
            return Path(snapshot_download(repository, allow_patterns=list(patterns), token=hub.token, **there))

        patterns = wanted(files, download([first]))
        _LOG.info("fetching %s from the Hugging Face hub%s", repository, _size_of(answer.siblings, patterns))
        return download(patterns)
    except ModelError:
        raise
    except Exception as error:  # Whatever the network, the hub or its client raise, the model is not to be had.
        raise ModelUnavailableError(
            f"{repository} is not on disk and cannot be fetched ({_reason(repository, error)}); {otherwise}"
        ) from error


def _size_of(files: Iterable[Any] | None, patterns: Collection[str]) -> str:
    """How much the files that fit the patterns are, as far as the hub tells."""
    sizes = [
        getattr(file, "size", None) or 0
        for file in files or ()
        if any(fnmatch(file.rfilename, pattern) for pattern in patterns)
    ]
    return f" ({sum(sizes) / 1e6:.0f} MB)" if any(sizes) else ""


def _reason(repository: str, error: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        return f"its terms have to be accepted at https://huggingface.co/{repository} first"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub has no such repository, or shows it to some accounts only"
    if isinstance(error, RevisionNotFoundError):
        return "the repository has no such revision"
    return first_line(error)
