import gzip
import io
import os
import tarfile
import zipfile

import pytest

from skspike.datasets._extract import extract_archive, extract_inner, is_intact
from skspike.exceptions import DownloadError


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def make_tar(path, members, mode="w:gz", kind=tarfile.REGTYPE):
    with tarfile.open(path, mode) as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(content), kind
            if kind == tarfile.SYMTYPE:
                member.linkname = "/etc"
            file.addfile(member, io.BytesIO(content))
    return path


MAKERS = pytest.mark.parametrize("make", [make_zip, make_tar])


@MAKERS
def test_members_come_out_as_they_went_in(make, tmp_path):
    archive = make(tmp_path / "a", {"a/b/1.bin": b"one", "2.bin": b"", "..3": b"three"})
    extract_archive(archive, tmp_path / "out")
    assert (tmp_path / "out/a/b/1.bin").read_bytes() == b"one"
    assert (tmp_path / "out/2.bin").read_bytes() == b""
    assert (tmp_path / "out/..3").read_bytes() == b"three"


@MAKERS
@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "C:/x", "..\\x", "\\x"])
def test_no_member_leaves_the_folder(make, name, tmp_path):
    archive = make(tmp_path / "a", {"good": b"1", name: b"2"})
    with pytest.raises(DownloadError, match=r"a name outside of the folder"):
        extract_archive(archive, tmp_path / "deep/out")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@MAKERS
def test_an_empty_archive_makes_an_empty_folder(make, tmp_path):
    extract_archive(make(tmp_path / "a", {}), tmp_path / "deep/out")
    assert [*(tmp_path / "deep/out").iterdir()] == []


def test_a_folder_of_any_name_is_left_out(tmp_path):
    archive = make_zip(tmp_path / "a", {"/": b"", "empty/": b"", "../x/": b"", "b/1.bin": b"one"})
    extract_archive(archive, tmp_path / "out")
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert found == ["a", "out", "out/b", "out/b/1.bin"]


def test_inner_archives_give_way_to_their_files(tmp_path):
    innermost = make_zip(tmp_path / "y.zip", {"1.bin": b"one"}).read_bytes()
    inner = make_zip(tmp_path / "x.zip", {"b/y.zip": innermost, "2.bin": b""}).read_bytes()
    for depth, found in {
        1: ["a/x/2.bin", "a/x/b/y.zip", "z.txt"],
        2: ["a/x/2.bin", "a/x/b/y/1.bin", "z.txt"],
        9: ["a/x/2.bin", "a/x/b/y/1.bin", "z.txt"],
    }.items():
        folder = tmp_path / str(depth)
        extract_archive(make_zip(tmp_path / "all", {"a/x.zip": inner, "z.txt": b""}), folder)
        extract_inner(folder, depth)
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert sorted(path.relative_to(folder).as_posix() for path in files) == found


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    tars = make_tar(tmp_path / "tar", {"link": b""}, kind=tarfile.SYMTYPE)
    for archive in (make_zip(tmp_path / "zip", {link: b"/etc"}), tars):
        with pytest.raises(DownloadError, match=r"Got 'link', which is a link or a device"):
            extract_archive(archive, tmp_path / "out")


def test_other_and_damaged_archives_raise(tmp_path):
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(DownloadError, match=r"text' must be a zip or a tar archive"):
        extract_archive(tmp_path / "text", tmp_path / "out")
    content = bytearray(make_zip(tmp_path / "a", {"x": b"content of x"}).read_bytes())
    content[content.index(b"content")] ^= 1
    (tmp_path / "zip").write_bytes(content)
    with pytest.raises(DownloadError, match=r"zip' is damaged: Bad CRC-32"):
        extract_archive(tmp_path / "zip", tmp_path / "out")
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag of encryption
    (tmp_path / "locked").write_bytes(content)
    with pytest.raises(DownloadError, match=r"locked' is damaged: .* is encrypted"):
        extract_archive(tmp_path / "locked", tmp_path / "out")
    tar = make_tar(tmp_path / "c", {"x": os.urandom(50_000)}, mode="w:xz").read_bytes()
    (tmp_path / "xz").write_bytes(tar[:30_000] + bytes(20_000))
    with pytest.raises(DownloadError, match=r"xz' is damaged"):
        extract_archive(tmp_path / "xz", tmp_path / "out")
    tar = make_tar(tmp_path / "b", {"x": bytes(5000)}, mode="w").read_bytes()
    (tmp_path / "tar").write_bytes(tar[:2000])
    with pytest.raises(DownloadError, match=r"tar' is damaged"):
        extract_archive(tmp_path / "tar", tmp_path / "out")


def test_an_archive_tells_whether_it_is_whole(tmp_path):
    content = make_zip(tmp_path / "whole.zip", {"x": b"content of x"}).read_bytes()
    assert is_intact(tmp_path / "whole.zip")
    changed = bytearray(content)
    changed[content.index(b"content")] ^= 1
    packed = gzip.compress(bytes(range(256)) * 20_000)
    (tmp_path / "whole.gz").write_bytes(packed)
    assert is_intact(tmp_path / "whole.gz")
    wrong = [content[:-5], bytes(changed), packed[:-1], packed[:-8] + bytes(8), b"<html>", b""]
    for i, part in enumerate(wrong):
        (tmp_path / "part").write_bytes(part)
        assert not is_intact(tmp_path / "part"), i


@MAKERS
def test_only_what_is_wanted_comes_out(make, tmp_path):
    archive = make(tmp_path / "a", {"a/1.bin": b"one", "b/2.bin": b"two"})
    extract_archive(archive, tmp_path / "out", lambda name: name.startswith("b/"))
    assert [path.name for path in (tmp_path / "out").rglob("*.bin")] == ["2.bin"]
