"""Loading without the other libraries' bars, reports and advice; what matters of them is raised instead."""

from collections.abc import Generator
from contextlib import contextmanager

from diffusers.utils import logging as of_diffusers
from transformers.utils import logging as of_transformers


@contextmanager
def quiet() -> Generator[None]:
    """While entered, diffusers and transformers log errors alone and draw no bars."""
    bars = [(of, of.is_progress_bar_enabled()) for of in (of_diffusers, of_transformers)]
    verbosities = [(of, of.get_verbosity()) for of in (of_diffusers, of_transformers)]
    for of in (of_diffusers, of_transformers):
        of.disable_progress_bar()
        of.set_verbosity_error()
    try:
        yield
    finally:
        for of, verbosity in verbosities:
            of.set_verbosity(verbosity)
        for of, shown in bars:
            if shown:
                of.enable_progress_bar()
