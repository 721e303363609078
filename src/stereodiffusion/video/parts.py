"""What is done of a video already, on disk: a run that is interrupted or killed goes on behind the last whole part.

Parts lie in a folder beside the file that they will be joined to; it bears the name of that file and of the job, so
that other settings begin another folder. A part is a file of packets; of the last one there is also a file of the state
behind it. A part counts once it is listed in `parts.jsonl`, which one run at a time appends to.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stereodiffusion import temporary
from stereodiffusion.appending import Appender, appending, whole_lines
from stereodiffusion.formats.files import write_files
from stereodiffusion.video.encoding import Packet
from stereodiffusion.video.making import Moment, State
from stereodiffusion.video.motion import between
from stereodiffusion.video.source import Frame
from stereodiffusion.video.view import Behind, Depth

FORM = 2
"""Of what is kept: parts of another form belong to another job."""

_LIST = "parts.jsonl"


@dataclass(slots=True, kw_only=True)
class Parts:
    """The parts of one job.

    Attributes:
        folder: Where they lie; made with the first of them.
        count: How many are whole.
    """

    folder: Path
    count: int = 0
    _open: ExitStack = field(default_factory=ExitStack, repr=False)
    _list: Appender | None = field(default=None, repr=False)

    def add(self, packets: Sequence[Packet], state: State) -> None:
        """Keep a part.

        Raises:
            FormatError: If the disk says no.
            ResultsError: If another run works on the same job.
        """
        if self._list is None:
            self._list = self._open.enter_context(appending(self.folder / _LIST))
        files = {self._file(self.count): _of_packets(packets), self._state_file(self.count): _of_state(state)}
        write_files({path: _packed(fields) for path, fields in files.items()})
        self._list.append(json.dumps({"part": self.count, "frames": state.done}))
        if self.count:
            self._state_file(self.count - 1).unlink(missing_ok=True)  # frames are large, films are long
        self.count += 1

    def packets(self) -> Iterator[Packet]:
        """Of all parts, one part in memory at a time."""
        for number in range(self.count):
            with np.load(self._file(number)) as part:
                ends = np.cumsum(part["sizes"])
                content, starts = part["content"].tobytes(), ends - part["sizes"]
                for start, end, pts, key in zip(starts, ends, part["pts"], part["keys"], strict=True):
                    yield Packet(content[start:end], int(pts), bool(key))

    def state(self) -> State:
        """Behind the last whole part."""
        if not self.count:
            return State()
        with np.load(self._state_file(self.count - 1)) as part:
            return _state_of(part)

    def remove(self) -> None:
        """When the file is there, the parts are no longer needed."""
        self._open.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:05}.npz"

    def _state_file(self, number: int) -> Path:
        return self.folder / f"{number:05}-state.npz"


@contextmanager
def parts_of(output: Path, job: Mapping[str, object]) -> Generator[Parts]:
    """The parts of a job that are there already.

    Args:
        output: The file that they will be joined to.
        job: All that they depend on, as JSON values.

    Raises:
        ResultsError: If another run works on the same job.
    """
    key = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:8]
    folder = output.with_name(f"{output.name}-{key}.parts")
    with ExitStack() as opened:
        if not folder.is_dir():
            yield Parts(folder=folder, _open=opened)
            return
        listed = opened.enter_context(appending(folder / _LIST))
        temporary.remove_left(folder)
        yield Parts(folder=folder, count=len(whole_lines(folder / _LIST)), _open=opened, _list=listed)


def _packed(fields: Mapping[str, Any]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **fields)
    return content.getvalue()


def _of_packets(packets: Sequence[Packet]) -> dict[str, Any]:
    return {
        "content": np.frombuffer(b"".join(packet.content for packet in packets), np.uint8),
        "sizes": np.array([len(packet.content) for packet in packets]),
        "pts": np.array([packet.pts for packet in packets]),
        "keys": np.array([packet.key for packet in packets]),
    }


def _of_state(state: State) -> dict[str, Any]:
    fields: dict[str, Any] = {"done": state.done, "past": len(state.past)}
    for number, (moment, behind) in enumerate(zip(state.past, state.behind, strict=True)):
        fields |= {
            f"picture{number}": moment.frame.picture,
            f"times{number}": [moment.frame.pts, moment.frame.duration],
            f"relief{number}": moment.relief,
            f"estimated{number}": moment.depth.estimated,
            f"final{number}": moment.depth.final,
            f"number{number}": moment.number,
            f"behind{number}": behind.picture,
            f"known{number}": behind.known,
            f"disparity{number}": behind.disparity,
            f"drawn{number}": behind.drawn,
        }
    return fields


def _state_of(part: Mapping[str, Any]) -> State:
    past: list[Moment] = []
    behind: list[Behind] = []
    for number in range(int(part["past"])):
        pts, duration = (int(time) for time in part[f"times{number}"])
        frame = Frame(picture=part[f"picture{number}"], pts=pts, duration=duration)
        on, back = between(past[-1].frame.picture, frame.picture) if past else (None, None)
        depth = Depth(estimated=part[f"estimated{number}"], final=part[f"final{number}"])
        relief, place = part[f"relief{number}"], int(part[f"number{number}"])
        past.append(Moment(frame=frame, relief=relief, number=place, depth=depth, back=back, on=on))
        picture, known, disparity, drawn = (
            part[f"{name}{number}"] for name in ("behind", "known", "disparity", "drawn")
        )
        behind.append(Behind(picture=picture, known=known, disparity=disparity, drawn=drawn))
    return State(done=int(part["done"]), past=tuple(past), behind=tuple(behind))
