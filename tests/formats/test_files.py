import os
import stat
from pathlib import Path

import pytest

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.files import check_targets, read_bytes, write_files


def test_writes_all_in_order_and_replaces(tmp_path: Path) -> None:
    first, second = tmp_path / "b", tmp_path / "a"
    first.write_bytes(b"old")
    assert write_files({first: b"1", second: b"2"}) == [first, second]
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_nothing_is_left_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "a"
    old.write_bytes(b"old")
    opened = Path.open

    def full_at_the_second(self: Path, mode: str = "r") -> object:
        if self.suffix == ".tmp" and len(list(tmp_path.iterdir())) == 3:
            raise OSError(28, "No space left on device")
        return opened(self, mode)

    monkeypatch.setattr(Path, "open", full_at_the_second)
    with pytest.raises(FormatError, match="b: cannot be written: No space left on device"):
        write_files({old: b"new", tmp_path / "b": b"2"})
    assert old.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [old]


def test_nothing_is_left_when_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_files({tmp_path / "a": b"1"})
    assert list(tmp_path.iterdir()) == []


def test_targets_are_looked_at_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FormatError, match="got a folder"):
        write_files({tmp_path / "a": b"1", tmp_path / "folder": b"2"})
    with pytest.raises(FormatError, match=r"none/b: the folder .*none does not exist"):
        write_files({tmp_path / "a": b"1", tmp_path / "none" / "b": b"2"})
    with pytest.raises(FormatError, match="got a device"):
        write_files({tmp_path / "a": b"1", Path("/dev/null"): b"2"})
    assert not (tmp_path / "a").exists()


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be written: File name too long"):
        write_files({tmp_path / ("a" * 300): b"1"})
    with pytest.raises(FormatError, match="cannot be read: File name too long"):
        read_bytes(tmp_path / ("a" * 300))
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_files({link: b"new"})
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_files_get_the_usual_permissions(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    (written,) = write_files({tmp_path / "written": b"1"})
    assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"1")
    path.chmod(0)
    with pytest.raises(FormatError, match="secret: cannot be read: Permission denied"):
        read_bytes(path)


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o440)
    write_files({path: b"new"})
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o440


def test_what_cannot_be_a_target_is_told_without_writing(tmp_path: Path) -> None:
    loop, pipe = tmp_path / "loop", tmp_path / "pipe"
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    for path, message in (
        (loop, "leads back to itself"),
        (pipe, "device or pipe"),
        (Path("-"), "name, got '-'"),
    ):
        with pytest.raises(FormatError, match=message):
            check_targets([path])


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(FormatError, match="sparse: too large: expected at most 500 MB"):
        read_bytes(path)
