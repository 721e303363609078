"""Names of results: the input's name and the hash of all that the result depends on."""

import hashlib
import json
from dataclasses import asdict
from unicodedata import category, normalize

from stereodiffusion.batch.output import Output
from stereodiffusion.request import Request

_LONGEST_BYTES = 120  # of a file's name, which has 255 at most
_DIGITS = 12


def name_of(text: str) -> str:
    """A name for files from any text: its letters, digits, points and underscores, joined with hyphens.

    Marks on letters are parts of them, and an accent is the letter's own where there is such a letter, so that a name
    is the same wherever the text comes from. It leads nowhere, hides nothing and is no option of a command, since it
    begins with none of those marks.
    """
    words = "".join(letter if _stays(letter) else " " for letter in normalize("NFC", text)).split()
    joined = "-".join(words).encode()[:_LONGEST_BYTES].decode("utf-8", "ignore")
    return joined.strip("-._") or "stereo"


def _stays(letter: str) -> bool:
    return letter.isalnum() or letter in "._" or category(letter) in {"Mn", "Mc"}


def result_name(name: str, request: Request, output: Output) -> str:
    """What a result is called, without a suffix: `cat-0123456789ab`.

    Raises:
        FormatError: If a file of the request cannot be read.
    """
    said = {name: value for name, value in asdict(output).items() if value is not None}
    whole = {"request": request.key, **said}
    return f"{name}-{hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:_DIGITS]}"
