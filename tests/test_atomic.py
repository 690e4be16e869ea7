"""Files are replaced whole: a failure at any point leaves the old content and no litter."""

import os
import stat

import pytest

from kanx.atomic import open_text, write_bytes, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_arrive_as_given(tmp_path):
    write_text(tmp_path / "a.txt", "größe\r\nline\n")
    assert (tmp_path / "a.txt").read_bytes() == "größe\r\nline\n".encode()
    write_bytes(tmp_path / "a.txt", b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a.txt"]


def test_a_stream_takes_its_place_only_at_the_end(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with open_text(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_keeps_the_old_file(tmp_path, failure):
    path = tmp_path / "report.html"
    path.write_text("good")

    def write():
        with open_text(path) as file:
            file.write("half")
            raise failure

    with pytest.raises(failure):
        write()
    assert path.read_text() == "good"
    assert names(tmp_path) == ["report.html"]


def test_a_failed_rename_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        write_text(tmp_path / "a.txt", "text")
    assert names(tmp_path) == []


def test_a_missing_folder_and_a_folder_in_the_way_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        write_text(tmp_path / "none" / "a.txt", "text")
    with pytest.raises(IsADirectoryError, match="a folder has that name"):
        write_text(tmp_path, "text")


def test_permissions_are_those_of_a_plain_file_or_of_the_old_one(tmp_path):
    plain, ours = tmp_path / "plain", tmp_path / "ours"
    plain.write_text("")
    write_text(ours, "")
    assert stat.S_IMODE(ours.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    ours.chmod(0o640)
    write_text(ours, "again")
    assert stat.S_IMODE(ours.stat().st_mode) == 0o640


def test_a_link_keeps_pointing_at_the_replaced_file(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
