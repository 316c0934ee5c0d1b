import errno
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from loop_studio.errors import DataFolderUnusable, Invalid, NotFound
from loop_studio.storage import files as files_module
from loop_studio.storage.files import FileStore, new_key


def test_put_keeps_the_bytes_and_their_hash(files: FileStore) -> None:
    key = new_key(".png")
    stored = files.put(key, b"picture")
    assert stored.sha256 == hashlib.sha256(b"picture").hexdigest()
    assert stored.size == 7
    with files.open(key) as file:
        assert file.read() == b"picture"


def test_put_takes_chunks(files: FileStore) -> None:
    stored = files.put("a/b.bin", iter([b"pic", b"ture"]))
    assert (stored.sha256, stored.size) == (hashlib.sha256(b"picture").hexdigest(), 7)


def test_keys_are_random_and_spread(files: FileStore) -> None:
    keys = {new_key(".png") for _ in range(100)}
    assert len(keys) == 100
    assert all(files.path(key).suffix == ".png" for key in keys)


@pytest.mark.parametrize(
    "key",
    ["", "..", "../x", "a/../b", "/etc/passwd", "a//b", "a/./b", ".hidden", "a/.b", "a\\b", "a\0b",
     "a/", "x\n", "x" * 300],
)  # fmt: skip
def test_keys_that_lead_elsewhere_are_refused(files: FileStore, key: str) -> None:
    for use in (files.path, files.open, files.delete, lambda key: files.put(key, b"")):
        with pytest.raises(Invalid, match="is not a file key"):
            use(key)


def test_a_failing_source_leaves_nothing_and_keeps_the_older_file(files: FileStore) -> None:
    files.put("a/b.bin", b"older")

    def half() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        files.put("a/b.bin", half())
    assert [path.name for path in files.path("a/b.bin").parent.iterdir()] == ["b.bin"]
    assert files.open("a/b.bin").read() == b"older"


class FullDisk:
    """A file on which only three bytes fit."""

    def __init__(self, path: Path) -> None:
        self.file = io.open(path, "wb")  # noqa: SIM115, UP020  (closed below; Path.open is patched)

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        self.file.write(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_sentence_and_nothing_is_half_written(
    files: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files_module.Path, "open", lambda path, _mode: FullDisk(path))
        with pytest.raises(DataFolderUnusable, match="The disk is full; free some space"):
            files.put("a/b.bin", b"picture")
    assert list(files.path("a").iterdir()) == []


def test_keys_lists_whole_files_only(files: FileStore) -> None:
    assert list(files.keys()) == []
    files.put("a/b.bin", b"1")
    files.put("c/d.bin", b"2")
    (files.root / "a" / ".b.bin.00.partial").write_bytes(b"crashed")
    assert sorted(files.keys()) == ["a/b.bin", "c/d.bin"]
    assert files.drop_partials(older_than_s=3600) == 0
    assert files.drop_partials(older_than_s=-1) == 1
    assert sorted(files.keys()) == ["a/b.bin", "c/d.bin"]


def test_delete_is_repeatable_and_a_missing_file_is_not_found(files: FileStore) -> None:
    files.put("a/b.bin", b"1")
    files.delete("a/b.bin")
    files.delete("a/b.bin")
    with pytest.raises(NotFound, match="no longer in the data folder"):
        files.open("a/b.bin")
