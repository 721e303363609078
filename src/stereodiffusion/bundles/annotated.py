"""A stereo pair with all that is known of it, of both eyes: what a research bundle is written from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast

from stereodiffusion.bundles.calibration import Calibration
from stereodiffusion.errors import FormatError
from stereodiffusion.geometry import Disparity, StereoRig, warp_disparity
from stereodiffusion.pair import StereoPair
from stereodiffusion.types import Image, Region

Origin: TypeAlias = Literal["rendered", "given", "estimated", "unsaid"]
"""Where disparity comes from: computed from a scene's geometry, a map that was handed in, a network that looked at the
picture, or nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnnotatedPair:
    """A pair, one at a time, with the truth of both eyes.

    The two maps are one geometry, seen from two places: a cell of one eye is occluded exactly where no disparity of
    the other eye lands.

    Attributes:
        name: What files of it are called.
        left: The left eye's picture, (1, 3, h, w) sRGB in [0, 1].
        right: The right eye's.
        disparity: Of the left eye, in its pixels; unknown where nobody knows.
        right_disparity: Of the right eye, in its pixels: a point at column x is at x + d on the left.
        occlusion: The cells of the right eye that the left does not see.
        left_occlusion: The cells of the left eye that the right does not see.
        origin: Where the disparity comes from.
        calibration: The cameras; None if nobody knows them.
        caption: What the pair shows, "" if nobody said.
        facts: What made it, as JSON values.
    """

    name: str
    left: Image
    right: Image
    disparity: Disparity
    right_disparity: Disparity
    occlusion: Region
    left_occlusion: Region
    origin: Origin
    calibration: Calibration | None = None
    caption: str = ""
    facts: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of one eye."""
        return self.left.shape[2], self.left.shape[3]


def annotate(pair: StereoPair, name: str, camera: StereoRig | None = None) -> AnnotatedPair:
    """What a pair's own disparity says of both its eyes.

    The right eye's map is the left one's, moved; what the left does not see is unknown there. What is occluded on the
    left is where none of that lands when it is moved back.

    Args:
        pair: A single one.
        name: What it is called.
        camera: Its cameras, if they are known.

    Raises:
        FormatError: If it is a batch.
    """
    if len(pair) != 1:
        raise FormatError(f"a bundle takes one pair at a time, got a batch of {len(pair)}: index it")
    left, right = pair.left.detach().cpu().float(), pair.right.detach().cpu().float()
    disparity = pair.disparity.to("cpu", left.dtype)
    moved = warp_disparity(disparity, to="right")
    back = warp_disparity(moved, to="left")
    return AnnotatedPair(
        name=name,
        left=left,
        right=right,
        disparity=disparity,
        right_disparity=moved,
        occlusion=~moved.known,
        left_occlusion=~back.known,
        origin=origin_of(pair.provenance),
        calibration=None if camera is None else Calibration.centred(camera, pair.size),
        caption=_caption(pair.provenance),
        facts=pair.provenance,
    )


def origin_of(provenance: Mapping[str, object]) -> Origin:
    """Where the disparity of a pair comes from, as far as what made it says."""
    request, resolved = (cast(Mapping[str, Any], provenance.get(part) or {}) for part in ("request", "resolved"))
    if "depth_estimator" in resolved:
        return "estimated"
    return "given" if request.get("map") else "unsaid"


def _caption(provenance: Mapping[str, object]) -> str:
    request = cast(Mapping[str, Any], provenance.get("request") or {})
    prompt: object = request.get("prompt", "")
    return prompt if isinstance(prompt, str) else ""


def annotate_all(pairs: StereoPair, name: str, camera: StereoRig | None = None) -> Sequence[AnnotatedPair]:
    """Each pair of a batch; the name of each ends with its number where there are several."""
    if len(pairs) == 1:
        return [annotate(pairs, name, camera)]
    prompts = cast(Mapping[str, Any], pairs.provenance.get("request") or {}).get("prompt")
    found = [annotate(pair, f"{name}-{number}", camera) for number, pair in enumerate(pairs)]
    if not isinstance(prompts, list | tuple):
        return found
    said = cast(Sequence[str], prompts)
    return [replace(each, caption=caption) for each, caption in zip(found, said, strict=True)]
