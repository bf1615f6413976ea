"""Archives are read in place, within limits, and whatever is not read is named."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.sources import archives
from seqgen.sources.archives import DUPLICATE, Budget, Member, is_archive, list_members

Files = dict[str, bytes]
FILES: Files = {"b.txt": b"second\n" * 100, "a/one.txt": b"first\n", "c.txt": b"", "a/two.md": b"x" * 200_000}
TARS = {
    ".tar": "w",
    ".tar.gz": "w:gz",
    ".tgz": "w:gz",
    ".tar.bz2": "w:bz2",
    ".tbz2": "w:bz2",
    ".tar.xz": "w:xz",
    ".txz": "w:xz",
}
ALL = (".zip", *TARS)
SINGLE: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def entry(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


def make(suffix: str, files: Files, folder: Path = Path()) -> Path:
    path = folder / f"letters{suffix}"
    if suffix in TARS:
        with tarfile.open(path, TARS[suffix]) as tar:  # type: ignore[call-overload]
            for name, data in files.items():
                tar.addfile(entry(name, len(data)), io.BytesIO(data))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
            for name, data in files.items():
                package.writestr(name, data)
    return path


def members(path: Path) -> tuple[list[Member], list[tuple[str, str]]]:
    """The members, and what was left out."""
    left_out: list[tuple[str, str]] = []
    return list_members(path, path.name, lambda name, reason: left_out.append((name, reason))), left_out


def read(path: Path) -> dict[str, bytes]:
    found, left_out = members(path)
    assert left_out == []
    return {member.name.removeprefix(f"{path.name}!"): content(member) for member in found}


def content(member: Member) -> bytes:
    with member.open() as file:
        return file.read()


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as error:
        read(path)
    assert error.value.where is not None
    assert error.value.where.startswith(path.name)
    assert error.value.hint
    return error.value


@pytest.mark.parametrize("suffix", ALL)
def test_what_was_packed_is_read(suffix: str) -> None:
    path = make(suffix, FILES)
    found, left_out = members(path)
    assert left_out == []
    assert {member.name: member.size for member in found} == {
        f"letters{suffix}!{name}": len(data) for name, data in FILES.items()
    }
    for _ in range(3):  # a corpus is read in several passes
        assert {member.name.partition("!")[2]: content(member) for member in found} == FILES
    assert list(Path().iterdir()) == [path]


@pytest.mark.parametrize("suffix", SINGLE)
def test_a_compressed_file_is_one_member_without_the_suffix(suffix: str) -> None:
    path = Path(f"book.txt{suffix}")
    path.write_bytes(SINGLE[suffix](b"a story\n" * 50_000))
    (member,), left_out = members(path)
    assert (member.name, member.size, left_out) == (f"book.txt{suffix}!book.txt", None, [])
    assert content(member) == content(member) == b"a story\n" * 50_000
    (deep,) = list_members(path, f"shelf/book.txt{suffix}", lambda name, reason: None)
    assert deep.name == f"shelf/book.txt{suffix}!book.txt"


def test_two_halves_of_a_gzip_file_are_one_text() -> None:
    Path("book.txt.gz").write_bytes(gzip.compress(b"one ") + gzip.compress(b"two"))
    assert read(Path("book.txt.gz")) == {"book.txt": b"one two"}


def test_members_are_sorted_but_those_of_a_compressed_tar_lie_as_they_were_packed() -> None:
    for suffix in (".zip", ".tar"):
        assert list(read(make(suffix, FILES))) == sorted(FILES)
    for suffix in (".tgz", ".tar.bz2", ".tar.xz"):
        assert list(read(make(suffix, FILES))) == list(FILES)


@pytest.mark.parametrize("suffix", ALL)
def test_members_can_be_read_in_any_order_and_a_bit_at_a_time(suffix: str) -> None:
    found, _ = members(make(suffix, FILES))
    other, _ = members(make(suffix, {"z": b"other" * 100_000}, Path("..")))
    files = [member.open() for member in (*reversed(found), *other)]
    joined = [b""] * len(files)
    for _ in range(20):
        joined = [text + file.read(30_000) for text, file in zip(joined, files, strict=True)]
    for file in files:
        file.close()
    names = [member.name.partition("!")[2] for member in reversed(found)]
    assert dict(zip(names, joined, strict=False)) == FILES
    assert joined[-1] == b"other" * 100_000


def test_a_compressed_tar_is_expanded_once_in_each_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"{index}.txt": os.urandom(500) for index in range(300)}
    path = make(".tgz", files)
    expanded = 0

    class Counted(gzip.GzipFile):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal expanded
            data = super().read(size)
            expanded += len(data)
            return data

        def seek(self, offset: int, whence: int = 0) -> int:
            nonlocal expanded
            if whence == 0:
                at = self.tell()
                expanded += offset - at if offset >= at else offset
            return super().seek(offset, whence)

    monkeypatch.setattr(gzip, "open", lambda path: Counted(path))
    found, _ = members(path)
    assert expanded > 300 * 1024
    for _ in range(3):
        expanded = 0
        assert [content(member) for member in found] == list(files.values())
        assert expanded < 300 * 1024 * 1.1


def test_only_the_archive_that_was_read_last_stays_open() -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("only Linux shows what is open")
    gc.collect()
    before = len(list(descriptors.iterdir()))
    listed = []
    for index in range(12):
        Path(f"{index}").mkdir()
        found, _ = members(make((".zip", ".tgz", ".tar")[index % 3], FILES, Path(f"{index}")))
        listed.append(found)
        assert content(found[0]) == FILES[found[0].name.partition("!")[2]]
    assert len(list(descriptors.iterdir())) <= before + 1
    listed.clear()
    del found
    gc.collect()
    assert len(list(descriptors.iterdir())) <= before


@pytest.mark.parametrize("name", ["a.zip", "A.ZIP", "b/c.tar.gz", "c.tgz", "d.txt.gz", "e.xz", "f.bz2", "g.tar"])
def test_an_archive_is_known_by_its_suffix(name: str) -> None:
    assert is_archive(name)


@pytest.mark.parametrize("name", ["zip", ".zip", "folder/.gz", "a.zip/b.txt", "a.docx", "a.tar.txt"])
def test_other_names_are_no_archives(name: str) -> None:
    assert not is_archive(name)


@pytest.mark.parametrize("suffix", ALL)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../up.txt", "its name leads out of the archive"),
        ("a/../../up.txt", "its name leads out of the archive"),
        ("/etc/passwd", "its name leads out of the archive"),
        ("C:/up.txt", "its name leads out of the archive"),
        ("..\\up.txt", "its name leads out of the archive"),
        ("inner.zip", "archive in an archive"),
        ("deep/inner.txt.gz", "archive in an archive"),
        ("empty/", "folder"),
    ],
)
def test_a_member_that_cannot_be_meant_is_left_out_by_name(suffix: str, name: str, reason: str) -> None:
    path = make(suffix, {"a.txt": b"good", **({} if reason == "folder" else {name: b"bad"})})
    if reason == "folder" and suffix == ".zip":
        path = make(suffix, {name: b"", "a.txt": b"good"})
    elif reason == "folder":
        with tarfile.open(path, TARS[suffix]) as tar:  # type: ignore[call-overload]
            tar.addfile(entry(name, kind=tarfile.DIRTYPE))
            tar.addfile(entry("a.txt", 4), io.BytesIO(b"good"))
    found, left_out = members(path)
    assert [content(member) for member in found] == [b"good"]
    assert [(each.rstrip("/"), why) for each, why in left_out] == [(f"letters{suffix}!{name}".rstrip("/"), reason)]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "not a regular file"),
        (tarfile.FIFOTYPE, "not a regular file"),
        (tarfile.GNUTYPE_SPARSE, "sparse file"),
        (b"?", None),
    ],
)
def test_links_and_devices_in_a_tar_are_left_out(kind: bytes, reason: str | None) -> None:
    with tarfile.open("letters.tar", "w") as tar:
        tar.addfile(entry("odd", kind=kind))
        tar.addfile(entry("a.txt", 4), io.BytesIO(b"good"))
    found, left_out = members(Path("letters.tar"))
    assert content(found[0]) == b"good"
    assert left_out == [("letters.tar!odd", reason or "not a regular file")]


@pytest.mark.parametrize(("mode", "reason"), [(stat.S_IFLNK, "link"), (stat.S_IFIFO, "not a regular file")])
def test_links_and_devices_in_a_zip_are_left_out(mode: int, reason: str) -> None:
    odd = zipfile.ZipInfo("odd")
    odd.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile("letters.zip", "w") as package:
        package.writestr(odd, "/etc/passwd")
    assert members(Path("letters.zip")) == ([], [("letters.zip!odd", reason)])


def test_an_encrypted_member_is_left_out() -> None:
    path = make(".zip", {"a.txt": b"secret"})
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    path.write_bytes(data)
    assert members(path) == ([], [("letters.zip!a.txt", "encrypted")])


def test_an_unknown_compression_is_left_out() -> None:
    path = make(".zip", {"a.txt": b"text"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 10] = 99
    path.write_bytes(data)
    assert members(path) == ([], [("letters.zip!a.txt", "packed in an unknown way (method 99)")])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_compression_of_a_zip_is_read(method: int) -> None:
    with zipfile.ZipFile("letters.zip", "w", method) as package:
        package.writestr("a.txt", b"many words " * 30_000)
    assert read(Path("letters.zip")) == {"a.txt": b"many words " * 30_000}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tgz"])
def test_of_two_members_of_one_name_the_last_is_read(suffix: str) -> None:
    twice = [("a.txt", b"old"), ("b.txt", b"other"), ("./a.txt", b"new")]
    path = Path(f"letters{suffix}")
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as package:
            for name, data in twice:
                package.writestr(name, data)
    else:
        with tarfile.open(path, TARS[suffix]) as tar:  # type: ignore[call-overload]
            for name, data in twice:
                tar.addfile(entry(name, len(data)), io.BytesIO(data))
    found, left_out = members(path)
    assert {member.name: content(member) for member in found} == {
        f"letters{suffix}!a.txt": b"new",
        f"letters{suffix}!b.txt": b"other",
    }
    assert [reason for _, reason in left_out] == [DUPLICATE]


@pytest.mark.parametrize("suffix", [*ALL, *(f".txt{suffix}" for suffix in SINGLE)])
@pytest.mark.parametrize("data", [b"", b"This is a text.\n" * 100, bytes(range(256)) * 8])
def test_a_fake_archive_is_an_error(suffix: str, data: bytes) -> None:
    path = Path(f"letters{suffix}")
    path.write_bytes(data)
    with pytest.raises(DataError, match="not "):
        members(path)


@pytest.mark.parametrize("suffix", ALL)
def test_an_archive_that_is_cut_short_is_an_error_wherever_it_is_cut(suffix: str) -> None:
    path = make(suffix, {"a.txt": os.urandom(700), "b.txt": os.urandom(600)})
    whole = path.read_bytes()
    packed = len(whole) if suffix != ".tar" else 512 + 1024 + 512 + 1024 + 512  # the end mark is followed by more zeros
    for length in range(0, packed, 61 if suffix != ".tar" else 32):
        path.write_bytes(whole[:length])
        refused(path)


@pytest.mark.parametrize("suffix", SINGLE)
def test_a_compressed_file_that_is_cut_short_is_an_error(suffix: str) -> None:
    path = Path(f"book.txt{suffix}")
    whole = SINGLE[suffix](os.urandom(1000))
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        refused(path)


def test_a_flipped_bit_in_a_member_is_an_error_that_names_it() -> None:
    with zipfile.ZipFile("letters.zip", "w") as package:
        package.writestr("a.txt", b"a" * 1000)
        package.writestr("b.txt", b"b" * 200_000)
    data = bytearray(Path("letters.zip").read_bytes())
    data[data.index(b"bbbbb") + 100_000] ^= 1
    Path("letters.zip").write_bytes(data)
    found, _ = members(Path("letters.zip"))
    assert content(found[0]) == b"a" * 1000
    with pytest.raises(DataError, match=r"letters\.zip!b\.txt.*CRC"):
        content(found[1])


def test_a_flipped_bit_in_a_compressed_tar_is_an_error() -> None:
    path = make(".tgz", {"a.txt": os.urandom(5000)})
    data = bytearray(path.read_bytes())
    data[2500] ^= 1
    path.write_bytes(data)
    assert "CRC" in refused(path).what


def test_a_damaged_header_in_the_middle_of_a_tar_is_no_end_of_it() -> None:
    path = make(".tar", {"a.txt": b"a", "b.txt": b"b", "c.txt": b"c"})
    data = bytearray(path.read_bytes())
    data[data.index(b"b.txt")] ^= 1
    path.write_bytes(data)
    assert "byte 1024" in refused(path).what


def test_what_follows_the_end_of_a_tar_is_named() -> None:
    path = make(".tar", {"a.txt": b"a"})
    path.write_bytes(path.read_bytes() * 2)
    found, left_out = members(path)
    assert len(found) == 1
    assert left_out == [("letters.tar", "more data after the end mark of the archive")]


def test_an_archive_that_is_cut_while_it_is_read_is_an_error() -> None:
    path = make(".tar", {"a.txt": b"a" * 300_000})
    (member,), _ = members(path)
    with member.open() as file:
        assert len(file.read(70_000)) == 70_000
        os.truncate(path, 200_000)
        with pytest.raises(DataError, match=r"ends at byte .* of 300000"):
            file.read()


def test_an_archive_that_changes_between_two_passes_is_an_error() -> None:
    path = make(".tar", FILES)
    found, _ = members(path)
    path.write_bytes(path.read_bytes() + b"\0")
    members(make(".zip", FILES))
    with pytest.raises(DataError, match="changed"):
        content(found[0])


def test_an_archive_that_is_gone_is_an_error() -> None:
    path = make(".zip", FILES)
    found, _ = members(path)
    members(make(".tar", FILES))
    path.unlink()
    with pytest.raises(DataError, match="No such file"):
        content(found[0])


@pytest.mark.parametrize("suffix", ALL)
def test_too_many_members_are_an_error(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    assert "more than 3 files" in refused(make(suffix, dict.fromkeys("abcd", b""))).what
    assert len(read(make(suffix, dict.fromkeys("abc", b"")))) == 3


@pytest.mark.parametrize("suffix", ALL)
def test_too_many_bytes_are_an_error_before_any_is_read(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_EXPANDED", 1 << 20)
    path = make(suffix, {"a": b"x" * 600_000, "b": b"y" * 600_000})
    with pytest.raises(DataError, match=r"more than 0\.000977 GiB\nIf you trust it, unpack it yourself"):
        members(path)


def huge_directory(size: int, large: bool) -> bytes:
    """The end of a zip that says how large the list of its files is."""
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 0xFFFFFFFF if large else size, 0, 0)
    if not large:
        return end
    return (
        struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, 0)
        + struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
        + end
    )


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("comment", [b"", b"PK\5\6" * 100])
def test_a_list_of_files_that_is_too_large_is_not_taken_into_memory(
    large: bool, comment: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("a.zip")
    monkeypatch.setattr(zipfile, "ZipFile", lambda file: pytest.fail("it was opened"))
    path.write_bytes(bytes(100) + huge_directory(archives.MAX_DIRECTORY + 1, large) + comment)
    assert "its list of files is larger than 160 MiB" in refused(path).what
    path.write_bytes(bytes(100) + huge_directory(archives.MAX_DIRECTORY, large))
    with pytest.raises(pytest.fail.Exception, match="it was opened"):
        read(path)


def test_what_is_packed_too_well_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_EXPANSION", 1 << 16)
    for suffix in (".zip", ".tgz", ".tar.bz2", ".tar.xz"):
        assert "250 times" in refused(make(suffix, {"a": bytes(4 << 20)})).what
    for suffix in SINGLE:
        path = Path(f"book.txt{suffix}")
        path.write_bytes(SINGLE[suffix](bytes(4 << 20)))
        (member,), _ = members(path)
        with pytest.raises(DataError, match="250 times"):
            content(member)


def test_a_member_that_is_left_out_counts_for_a_compressed_tar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_EXPANSION", 1 << 16)
    refused(make(".tgz", {"a.zip": bytes(4 << 20), "b.txt": b"b"}))  # it must be expanded to come to the next


def test_reading_again_does_not_use_up_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_EXPANDED", 1 << 17)
    for suffix in ALL:
        found, _ = members(make(suffix, {"a": os.urandom(70_000)}))
        for _ in range(5):
            assert len(content(found[0])) == 70_000


def test_a_zip_that_declares_less_than_it_holds_is_an_error() -> None:
    path = make(".zip", {"a.txt": b"a" * 5000})
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 10)
    path.write_bytes(data)
    found, _ = members(path)
    with pytest.raises(DataError, match=r"letters\.zip!a\.txt"):
        content(found[0])


def test_a_tar_that_leads_backwards_or_claims_a_huge_record_is_an_error() -> None:
    start = entry("a").tobuf() + entry("b").tobuf()
    for size, kind in ((-1024, tarfile.REGTYPE), (-1024, tarfile.XHDTYPE), (1 << 40, tarfile.XHDTYPE)):
        data = entry("c", size, kind).tobuf(tarfile.GNU_FORMAT)
        for before in (b"", start):
            Path("letters.tar").write_bytes(before + data + bytes(10240))
            refused(Path("letters.tar"))
    Path("letters.tar").write_bytes(start + entry("c", -1024).tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    assert "backwards" in refused(Path("letters.tar")).what


def test_a_huge_record_of_a_tar_is_not_taken_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_HEADER", 1 << 16)
    info = entry("a.txt", 4)
    for length, good in ((50_000, True), (100_000, False)):
        info.pax_headers = {"comment": "x" * length}
        with tarfile.open("letters.tgz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
            tar.addfile(info, io.BytesIO(b"good"))
        if good:
            assert read(Path("letters.tgz")) == {"a.txt": b"good"}
        else:
            assert "a record of 100" in refused(Path("letters.tgz")).what


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_python_expands_without_a_bound_is_taken_in_small_bits(
    method: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    plain = zipfile.ZipExtFile.read

    def noted(self: zipfile.ZipExtFile, size: int = -1) -> bytes:
        sizes.append(size)
        return plain(self, size)

    with zipfile.ZipFile("letters.zip", "w", method) as package:
        package.writestr("a.txt", bytes(1 << 20))
    monkeypatch.setattr(zipfile.ZipExtFile, "read", noted)
    assert len(read(Path("letters.zip"))["a.txt"]) == 1 << 20
    assert 0 < min(sizes) <= max(sizes) <= 4096


def test_a_budget_is_not_given_back_by_reading_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_EXPANDED", 100)
    budget = Budget("letters.zip", 10)
    for part, position in (("a", 60), ("a", 60), ("b", 40), ("a", 5)):
        budget.count(part, position)
    with pytest.raises(DataError, match="more than"):
        budget.count("b", 41)


@given(data=st.data(), suffix=st.sampled_from([*ALL, ".txt.gz", ".txt.xz", ".txt.bz2"]))
@settings(max_examples=150)
def test_a_mutated_archive_is_read_or_refused(data: st.DataObject, suffix: str) -> None:
    path = Path(f"letters{suffix}")
    if suffix in ALL:
        make(suffix, {"a.txt": b"first text\n" * 9, "b.txt": b"second text\n" * 9})
    else:
        path.write_bytes(SINGLE[suffix.removeprefix(".txt")](b"first text\n" * 9))
    mutated = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, min(len(mutated), 2048) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(mutated)
    try:
        for member in members(path)[0]:
            content(member)
    except DataError as error:
        assert error.hint
