"""Every format read back: exactly where it keeps everything, nearly where it rounds, and a word where it cannot."""

import io
from pathlib import Path

import pytest
import torch
from PIL import ExifTags, Image
from torch import Tensor

from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.formats import READABLE, Eyes, interlaced, read_image, read_pair, to_pil, write_pair
from stereodiffusion.formats.guessing import guess
from stereodiffusion.geometry import Disparity

EXACT = ("sbs", "cross-eyed", "top-bottom", "eyes")
PATTERNS = {"interlaced-rows": "rows", "interlaced-columns": "columns", "checkerboard": "checkerboard"}
NEARLY = {
    "mpo": 0.01,
    "jps": 0.01,
    "spatial": 0.012,
    "vr180": 0.02,
    "vr180-sbs": 0.02,
    "wiggle-gif": 0.03,
    "wiggle-webp": 0.03,
    "sbs-half": 0.02,
    "top-bottom-half": 0.02,
}


@pytest.fixture
def pair(eyes: tuple[Tensor, Tensor]) -> Eyes:
    ramp = torch.linspace(0, 6, 31).expand(24, 31)
    return Eyes(left=eyes[0], right=eyes[1], disparity=Disparity.from_pixels(ramp), settings={"seed": 1})


def texture(seed: int, channels: int = 3) -> Tensor:
    noise = torch.rand(1, channels, 16, 28, generator=torch.Generator().manual_seed(seed))
    picture = torch.nn.functional.interpolate(noise, (96, 168), mode="bicubic").clamp(0, 1)
    return (picture * 255).round() / 255


def seen_by_two() -> Eyes:
    """A textured scene in front of a farther one, on two pictures without any metadata."""
    far, near = texture(0), texture(1)
    left, right = far.roll(0, 3), far.roll(-4, 3)
    left[..., 30:70, 60:110], right[..., 30:70, 50:100] = near[..., 30:70, 60:110], near[..., 30:70, 60:110]
    return Eyes(left=left, right=right)


def without_metadata(path: Path) -> None:
    picture = Image.open(path)
    picture.load()
    picture.info = {}
    picture.save(path)


@pytest.mark.parametrize("name", EXACT)
def test_what_keeps_everything_comes_back_exactly(pair: Eyes, name: str, tmp_path: Path) -> None:
    path = write_pair(tmp_path / "ball.png", pair, name)[0]
    back = read_pair(path)
    assert torch.equal(back.both[0], pair.left)
    assert torch.equal(back.both[1], pair.both[1])
    assert back.settings == {"seed": 1}


@pytest.mark.parametrize("name", PATTERNS)
def test_interlaced_pictures_written_again_are_the_same(pair: Eyes, name: str, tmp_path: Path) -> None:
    (path,) = write_pair(tmp_path / "ball.png", pair, name)
    back = read_pair(path)
    assert back.size == pair.size
    assert torch.equal(interlaced(*back.both, PATTERNS[name]), read_image(path))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", NEARLY)
def test_what_rounds_comes_back_nearly(pair: Eyes, name: str, tmp_path: Path) -> None:
    path = write_pair(tmp_path / "ball", pair, name)[0]
    back = read_pair(path)
    assert back.size == pair.size
    for eye, seen in zip(pair.both, back.both, strict=True):
        assert (eye - seen).abs().mean() < NEARLY[name]


@pytest.mark.parametrize(("name", "tolerance"), [("rgbd", 6 / 510 + 1e-3), ("rgbd-half", 0.15)])
def test_of_rgbd_the_left_eye_and_its_disparity(pair: Eyes, name: str, tolerance: float, tmp_path: Path) -> None:
    (path,) = write_pair(tmp_path / "ball.png", pair, name)
    back = read_pair(path)
    assert (back.left - pair.left).abs().max() < 0.02
    assert back.disparity is not None
    assert pair.disparity is not None
    assert (back.disparity.pixels - pair.disparity.pixels).abs().max() < tolerance
    assert "no right eye" in back.source
    with pytest.raises(FormatError, match="there is no right eye"):
        _ = back.both


def test_grey_eyes_of_grey_anaglyphs(pair: Eyes, tmp_path: Path) -> None:
    for name in ("anaglyph-gray", "anaglyph-true"):
        back = read_pair(write_pair(tmp_path / "ball.png", pair, name)[0])
        for eye, seen in zip(pair.both, back.both, strict=True):
            luma = (eye * torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(dim=1, keepdim=True)
            assert (luma - seen).abs().max() < 1 / 255


@pytest.mark.parametrize("name", ["anaglyph", "anaglyph-color", "anaglyph-green-magenta"])
def test_mixed_colours_cannot_be_taken_apart(pair: Eyes, name: str, tmp_path: Path) -> None:
    (path,) = write_pair(tmp_path / "ball.png", pair, name)
    with pytest.raises(FormatError, match="mixes the colours of both eyes"):
        read_pair(path)


def test_videos_are_not_read(pair: Eyes, tmp_path: Path) -> None:
    (path,) = write_pair(tmp_path / "ball", pair, "wiggle-webm")
    with pytest.raises(FormatError, match="videos are not read back"):
        read_pair(path)


@pytest.mark.parametrize("name", [*EXACT, *PATTERNS])
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_alpha_is_kept(pair: Eyes, name: str, suffix: str, tmp_path: Path) -> None:
    opacity = (torch.arange(31.0) / 30).expand(1, 1, 24, 31).mul(255).round() / 255
    clear = Eyes(left=torch.cat([pair.left, opacity], 1), right=torch.cat([pair.both[1], opacity.flip(-1)], 1))
    back = read_pair(write_pair(tmp_path / f"ball{suffix}", clear, name)[0], format=name)
    assert back.has_alpha
    if name in EXACT:
        visible = clear.left[:, 3:] > 0  # lossless WebP may drop the colour of what nobody sees
        assert torch.equal(back.left[:, 3:], clear.left[:, 3:])
        assert torch.equal(back.left[:, :3] * visible, clear.left[:, :3] * visible)


def test_what_cannot_hold_alpha_gets_it_on_white(pair: Eyes, tmp_path: Path) -> None:
    nothing = torch.zeros(1, 1, 24, 31)
    clear = Eyes(left=torch.cat([pair.left, nothing], 1), right=torch.cat([pair.both[1], nothing], 1))
    for name in ("mpo", "jps", "spatial"):
        back = read_pair(write_pair(tmp_path / "ball", clear, name)[0])
        assert not back.has_alpha
        assert back.left.min() > 0.98


def test_one_eye_with_alpha_makes_the_other_opaque(pair: Eyes, tmp_path: Path) -> None:
    half = torch.cat([pair.left, torch.full((1, 1, 24, 31), 51 / 255)], dim=1)
    to_pil(half).save(tmp_path / "l.png")
    to_pil(pair.both[1]).save(tmp_path / "r.png")
    left, right = read_pair(tmp_path / "l.png", tmp_path / "r.png").both
    assert torch.equal(left, half)
    assert bool((right[:, 3] == 1).all())


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("ball_LRF_Full_SBS.png", "sbs"),
        ("ball_SBS.png", "sbs"),
        ("ball_HSBS.png", "sbs-half"),
        ("ball-half-sbs.png", "sbs-half"),
        ("ball_RLF_cross.png", "cross-eyed"),
        ("ball_TBF_fulltb.png", "top-bottom"),
        ("ball_TB.png", "top-bottom"),
        ("ball.HTB.png", "top-bottom-half"),
        ("ball_180x180_LR.png", "vr180-sbs"),
        ("ball-interlaced-columns.png", "interlaced-columns"),
        ("ball checkerboard.png", "checkerboard"),
    ],
)
def test_names_tell(name: str, read: str, tmp_path: Path) -> None:
    Image.new("RGB", (64, 32)).save(tmp_path / name)
    assert f"read as {read}: its name says" in read_pair(tmp_path / name).source


def test_a_name_without_full_or_half_is_told_by_the_shape_of_a_screen(tmp_path: Path) -> None:
    Image.new("RGB", (320, 180)).save(tmp_path / "ball_LR.png")
    assert "read as sbs-half: its name says LR, and it has the shape" in read_pair(tmp_path / "ball_LR.png").source
    assert read_pair(tmp_path / "ball_LR.png").size == (180, 320)
    assert read_pair(tmp_path / "ball_LR.png", format="sbs").size == (180, 160)


def test_words_within_words_tell_nothing(tmp_path: Path) -> None:
    for name in ("salt.png", "altbier.png", "house.png", "lrx.png"):
        Image.new("RGB", (64, 32)).save(tmp_path / name)
        with pytest.raises(FormatError, match="found a picture of one view"):
            read_pair(tmp_path / name)


@pytest.mark.parametrize("name", ["sbs", "top-bottom", *PATTERNS])
def test_the_picture_itself_tells(name: str, tmp_path: Path) -> None:
    (path,) = write_pair(tmp_path / "x.png", seen_by_two(), name)
    without_metadata(path)
    assert f"read as {name}: its parts are alike" in read_pair(path).source


def test_one_view_is_no_pair() -> None:
    one, another = torch.rand(2, 1, 3, 96, 168, generator=torch.Generator().manual_seed(0))
    for picture in (one, torch.cat([one, another], dim=3), torch.full((1, 3, 40, 80), 0.5), torch.rand(1, 3, 40, 80)):
        assert guess(picture) is None


def test_containers_tell_without_our_metadata(pair: Eyes, tmp_path: Path) -> None:
    for name, word in (("mpo", "index"), ("jps", "APP3"), ("vr180", "XMP"), ("spatial", "stereo group")):
        (path,) = write_pair(tmp_path / "ball", pair, name)
        content = path.read_bytes()
        for say in (b'"format"', b'"stereo"'):
            content = content.replace(say, say.replace(b"o", b"0"))
        path.write_bytes(content)
        found = read_pair(path)
        assert f"read as {name}: " in found.source
        assert word in found.source


def test_two_files_by_their_names(pair: Eyes, tmp_path: Path) -> None:
    for left, right in (("a-left.png", "a-right.png"), ("b_L.jpg", "b_R.jpg")):
        to_pil(pair.left).save(tmp_path / left)
        with pytest.raises(FormatError, match=f"this is one eye, and the other is not there: {right}"):
            read_pair(tmp_path / left)
        to_pil(pair.both[1]).save(tmp_path / right)
        for name in (left, right):
            assert torch.equal(read_pair(tmp_path / name).left, read_image(tmp_path / left))


def test_eyes_of_two_sizes_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "l.png")
    Image.new("RGB", (9, 6)).save(tmp_path / "r.png")
    with pytest.raises(FormatError, match="two eyes of one size, got 8 x 6 on the left and 9 x 6"):
        read_pair(tmp_path / "l.png", tmp_path / "r.png")
    with pytest.raises(FormatError, match="expected two eyes in an even width, got 9 pixels"):
        read_pair(tmp_path / "r.png", format="sbs")
    with pytest.raises(FormatError, match=r"expected one of sbs, .*, got 'hologram'"):
        read_pair(tmp_path / "r.png", format="hologram")


def test_of_a_quilt_the_outermost_views(tmp_path: Path) -> None:
    tiles = torch.arange(6.0).reshape(2, 3) / 10
    quilt = tiles.repeat_interleave(4, 0).repeat_interleave(5, 1).expand(1, 3, 8, 15)
    to_pil(quilt).save(tmp_path / "q_qs3x2a1.25.png")
    back = read_pair(tmp_path / "q_qs3x2a1.25.png")
    assert back.left.flatten()[0] == pytest.approx(0.3, abs=1 / 255)  # lower left
    assert back.both[1].flatten()[0] == pytest.approx(0.2, abs=1 / 255)  # upper right
    assert "the outermost of 6 views" in back.source
    to_pil(quilt).save(tmp_path / "q_qs4x2a1.png")
    with pytest.raises(FormatError, match="of whole pixels, got 4 x 2 in 15 x 8"):
        read_pair(tmp_path / "q_qs4x2a1.png")


def test_foreign_rgbd_says_what_is_assumed(tmp_path: Path) -> None:
    grey = torch.cat([texture(0), texture(1)[:, :1].expand(-1, 3, -1, -1)], dim=3)
    to_pil(grey).save(tmp_path / "ball_RGBD.png")
    back = read_pair(tmp_path / "ball_RGBD.png")
    assert "white is taken to be 8% of the width" in back.source
    assert back.disparity is not None
    assert float(back.disparity.pixels.max()) <= 0.08 * 168
    to_pil(torch.cat([texture(0), texture(1)], dim=3)).save(tmp_path / "ball_RGBD.png")
    with pytest.raises(FormatError, match="expected grey depth beside the left eye, got colours"):
        read_pair(tmp_path / "ball_RGBD.png")


def test_the_cameras_tags_are_kept_and_tell_the_angle(pair: Eyes, tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Make], tags[ExifTags.Base.Orientation] = "Acme", 1
    tags[ExifTags.IFD.Exif] = {
        ExifTags.Base.FocalLengthIn35mmFilm: 28,
        ExifTags.Base.DateTimeOriginal: "2024:05:17 10:00:00",
        ExifTags.Base.MakerNote: b"secret",
    }
    tags[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    for name, eye in (("a-left.jpg", pair.left), ("a-right.jpg", pair.both[1])):
        to_pil(eye).save(tmp_path / name, exif=tags)
    back = read_pair(tmp_path / "a-left.jpg")
    assert back.field_of_view_deg == pytest.approx(62.85, abs=0.01)  # 31 : 24 of a diagonal of 43.27 mm
    for path in write_pair(tmp_path / "b.webp", back, ["sbs", "mpo", "jps", "spatial", "vr180"]):
        again = read_pair(path)
        kept = Image.Exif()
        kept.load(again.exif)
        details = kept.get_ifd(ExifTags.IFD.Exif)
        assert kept[ExifTags.Base.Make] == "Acme"
        assert details[ExifTags.Base.DateTimeOriginal] == "2024:05:17 10:00:00"
        assert ExifTags.Base.MakerNote not in details
        assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
        assert again.field_of_view_deg == pytest.approx(back.field_of_view_deg, abs=1e-3)


def test_every_readable_format_refuses_a_picture_that_it_cannot_be(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("RGB", (9, 7), (255, 0, 0)).save(content, "PNG")
    path = tmp_path / "x.png"
    path.write_bytes(content.getvalue())
    taken = {"interlaced-rows", "interlaced-columns", "checkerboard", "anaglyph-gray", "anaglyph-true"}
    for name in sorted(set(READABLE) - taken):
        with pytest.raises(FormatError, match=r"^[^\n]*x\.png"):
            read_pair(path, format=name)


def test_swapping_twice_and_converging(pair: Eyes) -> None:
    assert torch.equal(pair.swapped().swapped().left, pair.left)
    assert torch.equal(pair.swapped().left, pair.both[1])
    nearer = pair.converged_at(4)
    assert nearer.size == (24, 27)
    assert torch.equal(nearer.left, pair.left[..., 4:])
    assert torch.equal(nearer.both[1], pair.both[1][..., :-4])
    farther = pair.converged_at(-4)
    assert torch.equal(farther.left, pair.left[..., :-4])
    assert nearer.disparity is not None
    assert pair.disparity is not None
    assert torch.equal(nearer.disparity.pixels, pair.disparity.pixels[..., 4:] - 4)
    with pytest.raises(ConfigError, match="less than half of the width, 31 px, got 16 px"):
        pair.converged_at(16)


def test_converged_points_lie_on_the_screen() -> None:
    eyes = seen_by_two()
    level = eyes.converged_at(4)  # the background's disparity
    assert torch.equal(level.left[..., :25, :], level.both[1][..., :25, :])


def test_an_extra_that_is_not_installed_is_named(pair: Eyes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stereodiffusion.formats.extras.find_spec", lambda name: None)
    with pytest.raises(FormatError, match=r"needs av, which is not installed: pip install 'stereodiffusion\[video\]'"):
        write_pair(tmp_path / "ball.mp4", pair, "wiggle-mp4")
    assert list(tmp_path.iterdir()) == []
