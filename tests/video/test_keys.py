"""Key frames: a diffusion model draws what no frame around has seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import tiny
from tests.video.conftest import Frames, Write, scene_frames

from stereodiffusion.errors import ConfigError, StereoDiffusionError
from stereodiffusion.geometry import Disparity
from stereodiffusion.pair import StereoPair
from stereodiffusion.request.inputs import PictureFile
from stereodiffusion.settings import Parallax
from stereodiffusion.synthesis import StereoDiffusion, load
from stereodiffusion.types import Image, Map
from stereodiffusion.video import KeyFrames, VideoRequest, converting, making
from stereodiffusion.video.converting import convert, plan
from stereodiffusion.video.keys import drawn_pair
from stereodiffusion.video.layout import Levels
from stereodiffusion.video.making import Maker, State
from stereodiffusion.video.source import Frame
from stereodiffusion.video.view import HalfSeen, seen_from_right, to_levels

SIZE = (40, 64)


class Brighter:
    """What is bright is near."""

    name, least_side, has_borders = "brighter", 1, True

    def __call__(self, image: Image) -> Map:
        return image.mean(1, keepdim=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> StereoDiffusion:
    return load(tiny.save(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def frames() -> Frames:
    return scene_frames(0, 6, SIZE)


def request(keys: KeyFrames | None = None, *, steady: bool = True, path: str = "none") -> VideoRequest:
    parallax = Parallax(max_disparity=0.1, convergence=0.02)
    return VideoRequest(video=PictureFile(path=path), parallax=parallax, steady=steady, keys=keys)


def keys_of(model: StereoDiffusion, every: int | None = None) -> KeyFrames:
    return KeyFrames(model=model.name, prompt="a red ball", every=every, steps=2)


def rights(asked: VideoRequest, frames: Frames, model: StereoDiffusion | None = None) -> list[Levels]:
    source = (Frame(picture=each, pts=number, duration=1) for number, each in enumerate(frames))
    maker = Maker(request=asked, estimator=Brighter(), model=model)
    return [right for made in maker.runs(source, State()) for right in made.rights]


def test_with_a_key_at_every_frame_and_no_window_occlusions_are_those_of_the_photo(
    model: StereoDiffusion, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs: list[StereoPair] = []

    def watched(*given: Any) -> StereoPair:
        pairs.append(drawn_pair(*given))
        return pairs[-1]

    monkeypatch.setattr(making, "drawn_pair", watched)
    without = rights(request(steady=False), frames[:2])
    made = rights(request(keys_of(model), steady=False), frames[:2], model)
    assert len(pairs) == 2
    for picture, right, alone, pair in zip(frames, made, without, pairs, strict=False):
        np.testing.assert_array_equal(to_levels(pair.left), picture)
        hidden = pair.occlusion[0, 0].numpy()
        assert hidden.sum() > 30
        assert np.abs(right.astype(int) - to_levels(pair.right))[hidden].max() <= 1
        assert np.abs(right.astype(int) - alone)[hidden].mean() > 1
        np.testing.assert_array_equal(right[~hidden], alone[~hidden])


def test_key_frames_change_occlusions_alone_and_lie_so_far_apart(
    model: StereoDiffusion, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Levels] = []
    unknown: list[np.ndarray] = []

    def watched(model: StereoDiffusion, keys: KeyFrames, picture: Image, disparity: Disparity) -> StereoPair:
        drawn.append(to_levels(picture))
        pair = drawn_pair(model, keys, picture, disparity)
        return replace(pair, right=1 - pair.right)  # unmistakable

    def moved(*given: Any) -> HalfSeen:
        view = seen_from_right(*given)
        unknown.append(~view.behind.known)
        return view

    monkeypatch.setattr(making, "drawn_pair", watched)
    monkeypatch.setattr(making, "seen_from_right", moved)
    without = rights(request(), frames)
    unknown.clear()
    made = rights(request(keys_of(model)), frames, model)
    assert [next(n for n, each in enumerate(frames) if (each == one).all()) for one in drawn] == [0, 4]
    for right, alone, hidden in zip(made, without, unknown, strict=True):
        np.testing.assert_array_equal(right[~hidden], alone[~hidden])
        assert np.abs(right.astype(int) - alone)[hidden].mean() > 8  # the frames between carry it


def test_an_interrupted_run_with_key_frames_gives_the_same_bytes(
    model: StereoDiffusion, frames: Frames, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "PART_FRAMES", 2)
    monkeypatch.setattr(making, "RUN", 2)
    source, output = write("a.mp4", frames), tmp_path / "out.mp4"
    planned = plan(request(keys_of(model, every=4), path=str(source)), output)

    class Killed(BaseException):
        pass

    def killed(done: int, _: str | None) -> None:
        if done >= 4:
            raise Killed

    def ignored(done: int, note: str | None) -> None:
        del done
        said.append(note)

    said: list[str | None] = []
    with pytest.raises(Killed):
        convert(planned, Brighter(), killed, model)
    convert(planned, Brighter(), ignored, model)
    assert "going on behind frame 2" in str(said[0])
    again = output.read_bytes()
    output.unlink()
    convert(planned, Brighter(), ignored, model)
    assert output.read_bytes() == again


def test_what_cannot_be_is_refused(model: StereoDiffusion) -> None:
    for given, said in (
        ({"model": "nope"}, "there is no model 'nope'"),
        ({"model": "sd2-depth"}, "works from a depth map only"),
        ({"model": "toybox", "every": 0}, "keys.every must be at least 1, got 0"),
        ({"model": "toybox", "steps": 1}, "keys.steps must be at least 2, got 1"),
        ({"model": "toybox", "seed": -1}, "keys.seed must be a whole number"),
    ):
        with pytest.raises(StereoDiffusionError, match=said):
            KeyFrames(**given)  # type: ignore[arg-type]
    for every, steady, most in ((8, True, 7), (2, False, 1)):
        with pytest.raises(ConfigError, match=f"keys.every must be at most {most}, got {every}"):
            request(keys_of(model, every), steady=steady)
    with pytest.raises(ConfigError, match=r"expected the model .*tiny, got none"):
        Maker(request=request(keys_of(model)), estimator=Brighter())
    with pytest.raises(ConfigError, match=r"expected no model, got .*tiny"):
        Maker(request=request(), estimator=Brighter(), model=model)


def test_without_key_frames_a_request_says_nothing_of_them() -> None:
    assert "keys" not in request().plain()
    assert request(KeyFrames(model="toybox")).plain()["keys"]["model"] == "toybox"
