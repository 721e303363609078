import cv2
import numpy as np
import pytest
import torch

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import Eyes, aligned, misalignment
from stereodiffusion.geometry import Disparity

HEIGHT, WIDTH = 240, 320


def picture(roll_deg: float, lower_px: float, shift_px: float) -> torch.Tensor:
    """A texture turned clockwise about its middle, then moved down, and to the left."""
    noise = np.random.default_rng(0).random((HEIGHT // 4, WIDTH // 4, 3)).astype(np.float32)
    texture = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    matrix = cv2.getRotationMatrix2D(((WIDTH - 1) / 2, (HEIGHT - 1) / 2), -roll_deg, 1.0)
    matrix[:, 2] += (-shift_px, lower_px)
    moved = cv2.warpAffine(texture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return torch.from_numpy(np.asarray(moved).transpose(2, 0, 1).copy())[None].clamp(0, 1)


@pytest.mark.parametrize(("roll_deg", "lower_px"), [(0.0, 0.0), (0.0, 6.0), (1.5, -4.0), (-2.0, 3.0)])
def test_what_was_turned_and_moved_is_found_and_undone(roll_deg: float, lower_px: float) -> None:
    eyes = Eyes(left=picture(0, 0, 0), right=picture(roll_deg, lower_px, 8), field_of_view_deg=60)
    found = misalignment(eyes)
    assert found.roll_deg == pytest.approx(roll_deg, abs=0.1)
    assert found.lower_px == pytest.approx(lower_px + 4 * np.sin(np.radians(roll_deg)), abs=0.2)
    level = aligned(eyes, found)
    again = misalignment(level)
    assert abs(again.roll_deg) < 0.1
    assert abs(again.lower_px) < 0.2
    assert level.size[0] <= HEIGHT
    assert level.field_of_view_deg is not None
    assert level.field_of_view_deg <= 60


def test_without_anything_to_see() -> None:
    flat = torch.full((1, 3, 64, 64), 0.5)
    with pytest.raises(FormatError, match="at least 20 points that both eyes see, got 0"):
        misalignment(Eyes(left=flat, right=flat, disparity=Disparity.from_pixels(torch.zeros(64, 64))))
