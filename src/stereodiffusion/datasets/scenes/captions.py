"""Captions of procedural scenes, in several wordings, and the closed vocabulary they use."""

from __future__ import annotations

import numpy as np

from stereodiffusion.datasets.scenes.description import Background, Floor, Pattern, Scene, Shape, Toy

_SHAPE_WORDS: dict[Shape, tuple[str, ...]] = {
    "ball": ("ball", "ball", "ball", "sphere"),
    "cube": ("cube", "cube", "box", "box", "block"),
    "cylinder": ("cylinder", "cylinder", "cylinder", "can", "tube"),
    "cone": ("cone", "cone", "cone", "cone"),
}
_PATTERN_WORDS: dict[Pattern, tuple[str, ...]] = {
    "plain": ("", "", "", "", "plain"),
    "striped": ("striped", "striped", "striped", "stripy"),
    "checkered": ("checkered", "checkered", "checkered", "checked"),
    "dotted": ("dotted", "dotted", "dotted", "spotted"),
}
_FLOOR_WORDS: dict[Floor, tuple[str, ...]] = {
    "wooden table": ("on a wooden table", "on a wooden table", "on a table", "on a wooden floor"),
    "checkered floor": ("on a checkered floor", "on a checkered floor", "on a tiled floor"),
    "grey floor": ("on a grey floor", "on a grey floor", "on a gray floor", "on a plain floor"),
    "grass": ("on grass", "on grass", "on the grass", "on green grass", "on a lawn"),
}
_OPENINGS = ("", "", "", "", "a picture of", "a photo of", "an image of", "a scene with")
_FRONT = ("in front of", "in front of", "in front of", "before")
_BEHIND = ("behind", "behind", "at the back of")
_LEFT = ("to the left of", "to the left of", "left of")
_RIGHT = ("to the right of", "to the right of", "right of")
_BESIDE = ("and", "and", "and", "next to", "beside", "with")

_FRONT_LEAST_M = 0.5  # a difference in depth smaller than this is not called "in front of"
_BESIDE_LEAST = 0.12  # nor a distance in the picture smaller than this fraction of the width "to the left of"

VOCABULARY: tuple[str, ...] = tuple(
    sorted(
        set(
            " ".join(
                [word for words in (*_SHAPE_WORDS.values(), *_PATTERN_WORDS.values(), *_FLOOR_WORDS.values())
                 for word in words]
                + [*_OPENINGS, *_FRONT, *_BEHIND, *_LEFT, *_RIGHT, *_BESIDE]
                + ["red green blue yellow orange purple pink white grey gray black brown"]
                + ["wall sky under a an the clear background balls cubes boxes blocks cylinders cones spheres"]
                + ["one two three small big large of at it is are stands lies there"]
            ).split()
        )
    )
)  # fmt: skip


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """One caption in a wording drawn from ``rng``; floor and background are sometimes left unsaid."""
    toys = list(scene.toys)
    opening = _pick(rng, _OPENINGS)
    if len(toys) == 2:
        if rng.random() < 0.5:
            toys.reverse()
        said = f"{_phrase(toys[0], rng)} {_relation(toys[0], toys[1], scene, rng)} {_phrase(toys[1], rng)}"
    elif len(toys) == 3:
        order = rng.permutation(3)
        first, second, third = (_phrase(toys[i], rng) for i in order)
        said = f"{first}, {second} and {third}"
    else:
        said = _phrase(toys[0], rng)
    words = f"{opening} {said}".strip()
    if rng.random() < 0.8:
        words += " " + _pick(rng, _FLOOR_WORDS[scene.floor])
    if rng.random() < 0.7:
        words += _behind_everything(scene.background, rng)
    return words


def captions(scene: Scene, count: int = 6) -> tuple[str, ...]:
    """``count`` captions of the scene; the same scene always gives the same ones."""
    rng = np.random.default_rng([scene.seed, 1])
    return tuple(caption(scene, rng) for _ in range(count))


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def _phrase(toy: Toy, rng: np.random.Generator) -> str:
    adjectives = [toy.colour, _pick(rng, _PATTERN_WORDS[toy.pattern])]
    if rng.random() < 0.4:
        adjectives.reverse()
    words = " ".join(word for word in (*adjectives, _pick(rng, _SHAPE_WORDS[toy.shape])) if word)
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _relation(one: Toy, other: Toy, scene: Scene, rng: np.random.Generator) -> str:
    focal = scene.rig.focal
    apart = focal * (one.x_m / one.z_m - other.x_m / other.z_m)
    true: list[tuple[str, ...]] = [_BESIDE]
    if other.z_m - one.z_m > _FRONT_LEAST_M:
        true = [_FRONT, _FRONT, _FRONT] if abs(apart) < 0.25 else [_FRONT]
    elif one.z_m - other.z_m > _FRONT_LEAST_M:
        true = [_BEHIND, _BEHIND, _BEHIND] if abs(apart) < 0.25 else [_BEHIND]
    if apart < -_BESIDE_LEAST:
        true.append(_LEFT)
    elif apart > _BESIDE_LEAST:
        true.append(_RIGHT)
    return _pick(rng, true[int(rng.integers(len(true)))])


def _behind_everything(background: Background, rng: np.random.Generator) -> str:
    if background == "blue sky":
        return _pick(rng, (", blue sky", ", blue sky", " under a blue sky", " under the sky"))
    return _pick(rng, (f", {background}", f", {background}", f" with a {background}"))
