"""The page on which people score pairs: a folder that a phone opens, without a network or a server.

    study/index.html, study.css, study.js     the page
    study/trials.js                           what is shown: names of pictures that say nothing
    study/pictures/<name>.png                 the pairs

Whose a picture is stands in `trials.js`, in base64, so that who looks into the folder does not read it by chance; the
page itself puts it into the answers alone.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from stereodiffusion.errors import StudyError
from stereodiffusion.formats.files import write_files
from stereodiffusion.study.exhibits import Exhibit

_PARTS = ("index.html", "study.css", "study.js")


def write_study(exhibits: Sequence[Exhibit], folder: Path) -> Path:
    """Write the page.

    Args:
        exhibits: What is shown.
        folder: Where it goes; made if it is not there.

    Returns:
        The file to open.

    Raises:
        FormatError: If a file cannot be written.
        StudyError: If there is something in the folder already.
    """
    contents = study_files(exhibits)
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise StudyError(f"{folder}: expected a new or empty folder, there is something in it")
        (folder / "pictures").mkdir(parents=True)
    except OSError as failed:
        raise StudyError(f"{folder}: cannot be made: {failed.strerror}") from failed
    write_files({folder / name: content for name, content in contents.items()})
    return folder / _PARTS[0]


def study_files(exhibits: Sequence[Exhibit]) -> dict[str, bytes]:
    """The files of the page, by their names within its folder."""
    page = files("stereodiffusion.study") / "page"
    contents = {name: (page / name).read_bytes() for name in _PARTS}
    trials: list[dict[str, object]] = []
    for each in exhibits:
        name = sha256(f"{each.scene}\0{each.method}\0".encode() + each.picture).hexdigest()[:16]
        file = f"pictures/{name}.png"
        contents[file] = each.picture
        whose = b64encode(json.dumps([each.scene, each.method]).encode()).decode()
        trials.append({"picture": file, "aspect": each.size[1] / 2 / each.size[0], "whose": whose})
    trials.sort(key=lambda trial: str(trial["picture"]))
    identity = sha256("".join(contents).encode()).hexdigest()[:12]
    contents["trials.js"] = f"window.STUDY = {json.dumps({'id': identity, 'trials': trials})};\n".encode()
    return contents
