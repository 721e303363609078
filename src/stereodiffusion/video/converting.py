"""A video into a stereo video: checked before any work, made part by part, there whole or not at all."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from stereodiffusion import __version__
from stereodiffusion.errors import FormatError
from stereodiffusion.formats.files import check_targets, replacing
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.request.inputs import checked_digest
from stereodiffusion.synthesis import StereoDiffusion
from stereodiffusion.video.encoding import Coding, Encoder
from stereodiffusion.video.joining import Container, container_of, join
from stereodiffusion.video.layout import frame_size, framed
from stereodiffusion.video.making import Made, Maker
from stereodiffusion.video.parts import FORM, Parts, parts_of
from stereodiffusion.video.request import VideoRequest
from stereodiffusion.video.source import Described, describe, frames_of
from stereodiffusion.video.stereo_mode import MODES

PART_FRAMES = 48
"""How many frames a part has at least: what an interrupted run loses at most, about."""

Tell = Callable[[int, str | None], None]
"""(frames done, a note or None)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A conversion that can be begun.

    Attributes:
        request: With the digest of the video.
        video: The source.
        output: The file to be written.
        container: Of what kind it is.
        coding: How frames are coded.
    """

    request: VideoRequest
    video: Described
    output: Path
    container: Container
    coding: Coding

    @property
    def notes(self) -> list[str]:
        """What people may want to know before it begins."""
        said: list[str] = []
        if any(side % 2 for side in self.video.size):
            said.append(
                f"eyes of {self.video.size[1]} x {self.video.size[0]} gain a last row or column: sides are even"
            )
        if self.video.others:
            said.append(f"left out: {self.video.others} other stream(s), such as subtitles or further pictures")
        return said


def plan(request: VideoRequest, output: Path) -> Plan:
    """Check all that can be checked before any work.

    Raises:
        FormatError: If the video cannot be worked on, or the file not be written.
    """
    path = Path(request.video.path)
    target = check_targets([output])[output]
    if target == path.resolve():
        raise FormatError(f"{output} is read by this command and would be replaced: choose another --output")
    container_of(output)  # before the video is looked at
    digest = checked_digest(request.video)
    video = describe(path)
    container = container_of(output, video.sounds)
    mode = MODES[request.format]
    coding = Coding(
        codec=container.codec,
        quality=request.quality,
        size=frame_size(video.size, request.format),
        time_base=video.time_base,
        rate=video.rate,
        pixel_aspect=video.pixel_aspect,
        packing=mode.packing if container.codec == "libx264" else None,
    )
    told = replace(request, video=replace(request.video, sha256=digest))
    return Plan(request=told, video=video, output=output, container=container, coding=coding)


def convert(planned: Plan, estimator: DepthEstimator, tell: Tell, model: StereoDiffusion | None = None) -> Path:
    """Make the video; what an earlier run has done of it is taken over.

    Args:
        planned: What to make.
        estimator: What estimates depth.
        tell: Is told how many frames are done.
        model: What draws on key frames, where the request has some.

    Raises:
        ConfigError: If the request has key frames and there is no model, or the other way round.
        FormatError: If the video is damaged, or a file cannot be written.
        ResultsError: If another run makes the same.
    """
    request = planned.request.plain()
    request["video"] = {"name": Path(planned.request.video.path).name, "sha256": planned.request.video.sha256}
    settings = {"version": __version__, "request": request, "depth_estimator": estimator.name}
    maker = Maker(request=planned.request, estimator=estimator, model=model)
    job = {**settings, "kind": planned.output.suffix.lower(), "form": FORM}
    with parts_of(planned.output, job) as parts:
        _make(planned, parts, maker, tell)
        with replacing(planned.output) as unfinished:
            join(
                unfinished,
                parts.packets(),
                planned.coding,
                planned.video,
                MODES[planned.request.format],
                container=planned.container,
                settings=settings,
            )
        parts.remove()
    return planned.output


def _make(planned: Plan, parts: Parts, maker: Maker, tell: Tell) -> None:
    """All parts that are missing."""
    state = parts.state()
    if state.done:
        tell(state.done, f"going on behind frame {state.done}, which an earlier run has come to")
    frames = frames_of(planned.video, after=state.done)
    encoder, begun = Encoder(coding=planned.coding), state.done
    with ThreadPoolExecutor(max_workers=1) as beside:  # one run is coded while the next one is made
        coding: Future[None] | None = None
        for made in maker.runs(frames, state):
            if coding is not None:
                coding.result()
            if state.done - begun >= PART_FRAMES:
                parts.add(encoder.finish(), state)
                encoder, begun = Encoder(coding=planned.coding), state.done
            coding = beside.submit(_encode, encoder, made, planned)
            for note in made.notes:
                tell(made.state.done, note)
            tell(made.state.done, None)
            state = made.state
        if coding is not None:
            coding.result()
            parts.add(encoder.finish(), state)


def _encode(encoder: Encoder, made: Made, planned: Plan) -> None:
    for frame, right in zip(made.frames, made.rights, strict=True):
        encoder.add(framed(frame.picture, right, planned.request.format), frame.pts)
