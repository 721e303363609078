"""Frames in, both eyes out, in runs of a few frames; and all that the frames to come depend on, as a value.

    moments   frame by frame: is it a new scene? its relief, aligned with that of the frame before
    runs      a few moments of one scene, with some that come behind them: relief smoothed, moved to the right eye,
              occlusions filled from what comes later and from what was before

Memory holds one run and what it looks ahead to, however long the video is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from stereodiffusion.geometry import Disparity
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.settings import Settings
from stereodiffusion.video.cuts import is_cut
from stereodiffusion.video.fill import Candidate, Filled, alone, candidate, fill
from stereodiffusion.video.motion import Motion, between, chained
from stereodiffusion.video.request import VideoRequest
from stereodiffusion.video.source import Frame
from stereodiffusion.video.steady import REACH, Relief, aligned, smoothed, stretched
from stereodiffusion.video.view import Depth, HalfSeen, seen_from_right, settle, to_image, with_borders

RUN = 8
"""Frames that are finished together."""

AHEAD = 4
"""Frames behind them that occlusions are looked for in."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moment:
    """A frame with its relief.

    Attributes:
        frame: The left eye.
        relief: On the scale of its scene.
        begins: Whether a scene begins with it.
        depth: What its scene makes of relief.
        back: The motion to the frame before; None for the first of all.
        on: The motion from the frame before to this one.
    """

    frame: Frame
    relief: Relief
    begins: bool
    depth: Depth
    back: Motion | None
    on: Motion | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """All that frames to come depend on: a video that goes on from here is the video that was never interrupted.

    Attributes:
        done: How many frames are done.
        past: The last of these, of the same scene, as far back as smoothing looks.
        filled: The right eye's picture of the last one.
    """

    done: int = 0
    past: tuple[Moment, ...] = ()
    filled: Filled | None = None


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
    """

    request: VideoRequest
    estimator: DepthEstimator
    _settings: Settings = field(init=False, repr=False)

    def __post_init__(self) -> None:
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
        views: dict[int, _Moved] = {}
        while True:
            while len(waiting) < RUN + AHEAD + REACH and (moment := next(moments, None)) is not None:
                waiting.append(moment)
            if not waiting:
                return
            past = () if waiting[0].begins else state.past
            count = next((n for n, each in enumerate(waiting) if n and each.begins), len(waiting))
            scene = [*past, *waiting[:count]]
            body = min(RUN, count)
            for n in range(min(body + AHEAD, count)):
                views.setdefault(state.done + n, self._moved(scene, len(past) + n))
            moved = [views[state.done + n] for n in range(min(body + AHEAD, count))]
            filled = self._filled(waiting, moved, body, state.filled if past else None)
            made = waiting[:body]
            state = State(done=state.done + body, past=tuple(scene[: len(past) + body][-REACH:]), filled=filled[-1])
            rights = [one.view.shown(full.picture) for one, full in zip(moved, filled, strict=False)]
            yield Made(frames=[each.frame for each in made], rights=rights, state=state, notes=tuple(notes))
            notes.clear()
            del waiting[:body]
            views = {number: view for number, view in views.items() if number >= state.done}

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
                moment = Moment(frame=frame, relief=own, begins=True, depth=depth, back=back, on=on)
            else:
                relief = aligned(own, before.relief, back) if self.request.steady else own
                moment = Moment(frame=frame, relief=relief, begins=False, depth=before.depth, back=back, on=on)
            yield moment
            before = moment

    def _moved(self, scene: Sequence[Moment], at: int) -> "_Moved":
        """A moment of a scene seen from the right."""
        moment = scene[at]
        image = to_image(moment.frame.picture)
        relief = smoothed(moment.relief, list(_around(scene, at))) if self.request.steady else moment.relief
        bordered = with_borders(relief, image, self._settings, has_borders=self.estimator.has_borders)
        disparity = moment.depth.of(bordered)
        return _Moved(disparity=disparity, view=seen_from_right(image, disparity, self._settings))

    def _filled(
        self, moments: Sequence[Moment], moved: "Sequence[_Moved]", count: int, last: Filled | None
    ) -> list[Filled]:
        """The first `count` of a scene's moments with their occlusions filled."""
        if not self.request.reuse:
            return [alone(each.view) for each in moved[:count]]
        found: list[Candidate | None] = []
        later: Filled | None = None
        for at in reversed(range(len(moved))):
            on = moments[at + 1].on if later is not None else None
            one = candidate(moved[at].view, on, moved[at].disparity, later) if later and on else None
            found.append(one)
            later = fill(moved[at].view, None, one)
        filled: list[Filled] = []
        for moment, one, after in zip(moments[:count], moved, reversed(found), strict=False):
            before = candidate(one.view, moment.back, one.disparity, last) if last and moment.back else None
            last = fill(one.view, before, after)
            filled.append(last)
        return filled


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Moved:
    """A frame's final disparity, and what the right eye sees by it."""

    disparity: Disparity
    view: HalfSeen


def _around(scene: Sequence[Moment], at: int) -> Iterator[tuple[Relief, Motion]]:
    """The neighbours of a moment, one before and one after by turns, as far as there are both."""
    back, on = scene[at].back, scene[at + 1].on if at + 1 < len(scene) else None
    for reach in range(1, REACH + 1):
        if at - reach < 0 or at + reach >= len(scene) or back is None or on is None:
            return
        yield scene[at - reach].relief, back
        yield scene[at + reach].relief, on
        if at - reach - 1 >= 0 and at + reach + 1 < len(scene):
            farther_back, farther_on = scene[at - reach].back, scene[at + reach + 1].on
            back = chained(back, farther_back) if farther_back else None
            on = chained(on, farther_on) if farther_on else None
