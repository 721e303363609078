"""Frames in, both eyes out, in runs of a few frames; and all that the frames to come depend on, as a value.

    moments   frame by frame: is it a new scene? its relief, aligned with that of the frame before
    runs      a few moments of one scene, with some that come behind them: relief smoothed, moved to the right eye,
              occlusions filled from what is before and behind

Memory holds one run and what it looks ahead to, however long the video is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from stereodiffusion.errors import ConfigError
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.settings import Settings
from stereodiffusion.synthesis import StereoDiffusion
from stereodiffusion.video.cuts import is_cut
from stereodiffusion.video.fill import Places, background_places, filled
from stereodiffusion.video.keys import drawn_pair
from stereodiffusion.video.motion import Motion, between, chained
from stereodiffusion.video.request import REACH, VideoRequest
from stereodiffusion.video.source import Frame
from stereodiffusion.video.steady import Relief, aligned, smoothed, stretched
from stereodiffusion.video.view import Behind, Depth, HalfSeen, seen_from_right, settle, to_image, with_borders

RUN = 8
"""Frames that are finished together."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moment:
    """A frame with its relief.

    Attributes:
        frame: The left eye.
        relief: On the scale of its scene.
        number: Its place in its scene, from 0.
        depth: What its scene makes of relief.
        back: The motion to the frame before; None for the first of all.
        on: The motion from the frame before to this one.
    """

    frame: Frame
    relief: Relief
    number: int
    depth: Depth
    back: Motion | None
    on: Motion | None

    @property
    def begins(self) -> bool:
        """Whether a scene begins with it."""
        return not self.number


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """All that frames to come depend on: a video that goes on from here is the video that was never interrupted.

    Attributes:
        done: How many frames are done.
        past: The last of these, of the same scene, as far back as the frames to come look.
        behind: What the right eye sees of each, before other frames are asked.
    """

    done: int = 0
    past: tuple[Moment, ...] = ()
    behind: tuple[Behind, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """Some frames, one after another.

    Attributes:
        frames: The left eye's, with their times.
        rights: The right eye's.
        state: Behind them.
        notes: What there is to say of the scenes that begin with them.
    """

    frames: Sequence[Frame]
    rights: Sequence[UInt8[np.ndarray, "h w 3"]]
    state: State
    notes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Maker:
    """What makes stereo of frames.

    Attributes:
        request: What is asked for.
        estimator: What estimates depth.
        model: What draws on key frames, where the request has some.

    Raises:
        ConfigError: If the request has key frames and there is no model, or the other way round.
    """

    request: VideoRequest
    estimator: DepthEstimator
    model: StereoDiffusion | None = None
    _settings: Settings = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if (self.request.keys is None) != (self.model is None):
            wanted = "no model" if self.request.keys is None else f"the model {self.request.keys.model}"
            raise ConfigError(f"expected {wanted}, got {'none' if self.model is None else self.model.name}")
        object.__setattr__(self, "_settings", self.request.settings())

    def runs(self, frames: Iterator[Frame], state: State) -> Iterator[Made]:
        """Both eyes of frames, a run at a time.

        Args:
            frames: All that are still to be done.
            state: Where to go on; `State()` for a video from its beginning.
        """
        notes: list[str] = []
        moments = self._moments(frames, state.past[-1] if state.past else None, notes)
        waiting: list[Moment] = []
        moved: list[_Moved] = []
        while True:
            while len(waiting) < RUN + 2 * REACH and (moment := next(moments, None)) is not None:
                waiting.append(moment)
            if not waiting:
                return
            past, behind = ((), ()) if waiting[0].begins else (state.past, state.behind)
            count = next((n for n, each in enumerate(waiting) if n and each.begins), len(waiting))
            scene, body = [*past, *waiting[:count]], min(RUN, count)
            moved += [self._moved(scene, len(past) + n) for n in range(len(moved), min(body + REACH, count))]
            around = [*behind, *(each.view.behind for each in moved)]
            rights = [_right(moved[n], around, len(past) + n) for n in range(body)]
            ended = len(past) + body
            state = State(
                done=state.done + body, past=tuple(scene[:ended][-REACH:]), behind=tuple(around[:ended][-REACH:])
            )
            yield Made(frames=[each.frame for each in waiting[:body]], rights=rights, state=state, notes=tuple(notes))
            notes.clear()
            del waiting[:body], moved[:body]

    def _moments(self, frames: Iterator[Frame], before: Moment | None, notes: list[str]) -> Iterator[Moment]:
        for frame in frames:
            image = to_image(frame.picture)
            own = stretched(self.estimator(image)[0, 0].float().cpu().numpy())
            on = back = None
            if before is not None:
                on, back = between(before.frame.picture, frame.picture)
            if before is None or back is None or is_cut(before.frame.picture, frame.picture, back):
                first = with_borders(own, image, self._settings, has_borders=self.estimator.has_borders)
                depth, said = settle(first, image, self._settings)
                notes += said
                moment = Moment(frame=frame, relief=own, number=0, depth=depth, back=back, on=on)
            else:
                relief = aligned(own, before.relief, back) if self.request.steady else own
                number = before.number + 1
                moment = Moment(frame=frame, relief=relief, number=number, depth=before.depth, back=back, on=on)
            yield moment
            before = moment

    def _moved(self, scene: Sequence[Moment], at: int) -> "_Moved":
        """A moment of a scene seen from the right."""
        moment = scene[at]
        image = to_image(moment.frame.picture)
        motions = _motions(scene, at) if self.request.steady else {}
        around = [(scene[at + away].relief, motion) for away, motion in motions.items() if -away in motions]
        bordered = with_borders(
            smoothed(moment.relief, around), image, self._settings, has_borders=self.estimator.has_borders
        )
        disparity = moment.depth.of(bordered)
        view = seen_from_right(image, disparity, self._settings)
        if self.request.keys is not None and self.model is not None and moment.number % self.request.key_every == 0:
            pair = drawn_pair(self.model, self.request.keys, image, disparity)
            view = view.with_drawn(pair.right.cpu(), pair.occlusion.cpu())
        return _Moved(view=view, places=background_places(view.behind, disparity, motions))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Moved:
    """What the right eye sees of a frame, and where other frames have its occlusions, by how far away they are."""

    view: HalfSeen
    places: Mapping[int, Places]


def _right(moved: _Moved, behind: Sequence[Behind], at: int) -> UInt8[np.ndarray, "h w 3"]:
    """The right eye's picture of what is at a place of a scene."""
    around = {away: behind[at + away] for away in moved.places}
    return moved.view.shown(filled(moved.view.behind, around, moved.places))


def _motions(scene: Sequence[Moment], at: int) -> dict[int, Motion]:
    """The motion from a moment of a scene to those around it: one before, one after, the next before, and so on."""
    found: dict[int, Motion] = {}
    for reach in range(1, REACH + 1):
        for way in (-1, 1):
            away, nearer = way * reach, way * (reach - 1)
            if not 0 <= at + away < len(scene):
                continue
            step = scene[at + nearer].back if way < 0 else scene[at + away].on
            if step is None:
                continue
            if not nearer:
                found[away] = step
            elif nearer in found:
                found[away] = chained(found[nearer], step)
    return found
