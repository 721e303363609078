"""The cameras of a pair, as Middlebury's `calib.txt` and KITTI's `calib_cam_to_cam` tell of them.

Both mean the same two cameras: equal, side by side, with parallel axes. The depth of a left point of disparity d is

    Z = baseline * focal / (d + doffs)

with the focal length and `doffs` in pixels. Columns and rows count from 0 at the middle of the first pixel.
"""

import math
import re
from dataclasses import dataclass

from stereodiffusion.errors import FormatError, GeometryError
from stereodiffusion.formats.files import PathLike, read_bytes
from stereodiffusion.geometry import StereoRig

_LONGEST = 100_000
"""Bytes of a calibration file; a real one has some hundred."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_CAMERA = re.compile(rf"\[({_NUMBER}) 0 ({_NUMBER}); 0 ({_NUMBER}) ({_NUMBER}); 0 0 1\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A rig with where its axis meets the pictures.

    Attributes:
        rig: Focal length, baseline and `doffs`.
        centre_px: Column and row of the left eye's principal point; the right eye's is `doffs` columns further right.
    """

    rig: StereoRig
    centre_px: tuple[float, float]

    @classmethod
    def centred(cls, rig: StereoRig, size: tuple[int, int]) -> "Calibration":
        """Of pictures of (height, width) through whose middle the left axis goes."""
        height, width = size
        return cls(rig=rig, centre_px=((width - 1) / 2, (height - 1) / 2))

    def plain(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "focal_px": self.rig.focal_px,
            "baseline_m": self.rig.baseline_m,
            "doffs_px": self.rig.doffs_px,
            "centre_px": list(self.centre_px),
        }


def middlebury_text(calibration: Calibration | None, size: tuple[int, int], range_px: tuple[float, float]) -> str:
    """The lines of a `calib.txt`, of 2014's keys; those of the cameras are left out where nobody knows them.

    Args:
        calibration: The cameras.
        size: (height, width) of the pictures.
        range_px: Least and largest known disparity of the left eye.
    """
    height, width = size
    least, largest = range_px
    lines: list[str] = []
    if calibration is not None:
        rig, (x, y) = calibration.rig, calibration.centre_px
        f = _said(rig.focal_px)
        lines = [
            f"cam0=[{f} 0 {_said(x)}; 0 {f} {_said(y)}; 0 0 1]",
            f"cam1=[{f} 0 {_said(x + rig.doffs_px)}; 0 {f} {_said(y)}; 0 0 1]",
            f"doffs={_said(rig.doffs_px)}",
            f"baseline={_said(1000 * rig.baseline_m)}",  # in millimetres
        ]
    lines += [f"width={width}", f"height={height}", f"ndisp={max(1, math.ceil(largest) + 1)}", "isint=0"]
    lines += [f"vmin={_said(least)}", f"vmax={_said(largest)}", "dyavg=0", "dymax=0"]
    return "".join(f"{line}\n" for line in lines)


def kitti_text(calibration: Calibration, size: tuple[int, int]) -> str:
    """The lines of a `calib_cam_to_cam` file, of the cameras 02 (left) and 03 (right), which are rectified already.

    `P_rect_03` differs from `P_rect_02` by `-focal * baseline` in its last column.
    """
    height, width = size
    rig, (x, y) = calibration.rig, calibration.centre_px
    lines: list[str] = []
    for camera, offset_px, at_m in (("02", 0.0, 0.0), ("03", rig.doffs_px, rig.baseline_m)):
        intrinsic = (rig.focal_px, 0, x + offset_px, 0, rig.focal_px, y, 0, 0, 1)
        unturned = (1, 0, 0, 0, 1, 0, 0, 0, 1)
        a, b, c = intrinsic[0:3], intrinsic[3:6], intrinsic[6:9]
        rows: dict[str, tuple[float, ...]] = {
            "S": (width, height),
            "K": intrinsic,
            "D": (0, 0, 0, 0, 0),
            "R": unturned,
            "T": (-at_m, 0, 0),
            "S_rect": (width, height),
            "R_rect": unturned,
            "P_rect": (*a, -rig.focal_px * at_m, *b, 0, *c, 0),
        }
        lines += [f"{key}_{camera}: {' '.join(f'{value:.17e}' for value in row)}" for key, row in rows.items()]
    return "".join(f"{line}\n" for line in lines)


def read_calibration(path: PathLike) -> Calibration:
    """The cameras of a Middlebury `calib.txt`.

    Raises:
        FormatError: If it cannot be read, is none, or says nothing of the cameras.
    """
    content = read_bytes(path)
    if len(content) > _LONGEST:
        raise FormatError(f"{path}: expected a calib.txt of at most {_LONGEST} bytes, got {len(content)}")
    try:
        return parse_calibration(content.decode("ascii"))
    except UnicodeDecodeError as wrong:
        raise FormatError(f"{path}: expected a calib.txt in ASCII: {wrong.reason} at byte {wrong.start}") from wrong
    except (FormatError, GeometryError) as refused:
        raise FormatError(f"{path}: {refused}") from refused


def parse_calibration(text: str) -> Calibration:
    """The cameras that the lines of a `calib.txt` tell of.

    Raises:
        FormatError: If they do not.
        GeometryError: If such cameras cannot be.
    """
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    missing = [key for key in ("cam0", "cam1", "doffs", "baseline") if key not in said]
    if missing:
        raise FormatError(f"expected the lines cam0, cam1, doffs and baseline of a calib.txt, got no {missing[0]}")
    (focal_px, x, y), (other_px, x_right, _) = _camera(said, "cam0"), _camera(said, "cam1")
    doffs_px, baseline_mm = _value(said, "doffs"), _value(said, "baseline")
    if focal_px != other_px or abs(x_right - x - doffs_px) > 1e-2:  # files of the publisher have three digits
        raise FormatError(
            f"expected two equal cameras, the right one's centre doffs = {doffs_px:g} columns further right, got focal "
            f"lengths {focal_px:g} and {other_px:g} and {x_right - x:g} columns"
        )
    rig = StereoRig(focal_px=focal_px, baseline_m=baseline_mm / 1000, doffs_px=doffs_px)
    return Calibration(rig=rig, centre_px=(x, y))


def _camera(said: dict[str, str], key: str) -> tuple[float, float, float]:
    """Focal length, column and row of the centre."""
    found = _CAMERA.fullmatch(said[key].strip())
    if found is None or found[1] != found[3]:
        raise FormatError(f"expected {key}=[f 0 cx; 0 f cy; 0 0 1], got {said[key]!a:.60}")
    values = float(found[1]), float(found[2]), float(found[4])
    if not all(map(math.isfinite, values)):
        raise FormatError(f"expected finite numbers in {key}, got {said[key]!a:.60}")
    return values


def _value(said: dict[str, str], key: str) -> float:
    text = said[key].strip()
    if not re.fullmatch(_NUMBER, text) or not math.isfinite(float(text)):
        raise FormatError(f"expected a number for {key}, got {text!a:.60}")
    return float(text)


def _said(value: float) -> str:
    """A number that reads back as itself, without a point where it needs none."""
    return str(int(value)) if value == int(value) else repr(float(value))
