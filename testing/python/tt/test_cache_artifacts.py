"""A cache that moves in one file: all of it arrives, or nothing of it."""

import json
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import kernels_tirx

from tilelang.tt import cache, counters, errors, load_cache_artifacts, save_cache_artifacts
from tilelang.tt import compile as compile_kernel
from tilelang.tt.service import origin

pytestmark = pytest.mark.stage("cache")


def gemm(**sizes):
    return kernels_tirx.gemm(**sizes)


def forget():
    cache.clear()
    counters.clear()


@pytest.fixture
def path(tmp_path):
    """Two entries."""
    compile_kernel(gemm())
    compile_kernel(gemm(K=256))
    path = tmp_path / "warm.ttcache"
    save_cache_artifacts(path)
    forget()
    return path


class Parts:
    """A file, taken apart by what the module says of it."""

    def __init__(self, path):
        self.path = path
        with path.open("rb") as file:
            self.header = json.loads(file.readline())
            self.entries = []
            while "key" in (line := json.loads(file.readline())):
                self.entries.append((line, file.read(line["bytes"])))
            self.end = line
            self.rest = file.read()

    def write(self):
        lines = [(self.header, b""), *self.entries, (self.end, b"")]
        self.path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" + data for line, data in lines) + self.rest)

    def replace(self, index, **changes):
        """Change fields of an entry, with checksums that are right."""
        line, data = self.entries[index]
        data = json.dumps({**json.loads(data), **changes}).encode()
        self.entries[index] = ({**line, "bytes": len(data), "sha256": sha256(data).hexdigest()}, data)


def refused(path, code):
    with pytest.raises(errors.CacheError, match=f"{code}: ") as caught:
        load_cache_artifacts(path)
    assert cache.stats().entries == cache.stats().stores == 0
    return str(caught.value)


def test_what_is_saved_is_found_where_it_is_loaded(tmp_path):
    kernels = [gemm(), gemm(K=256)]
    first = [compile_kernel(kernel) for kernel in kernels]
    saved = save_cache_artifacts(tmp_path / "warm")
    assert (saved.entries, list(tmp_path.iterdir())) == (2, [tmp_path / "warm"])
    forget()
    assert load_cache_artifacts(tmp_path / "warm") == saved
    assert cache.stats().entries == 2
    found = [compile_kernel(kernel) for kernel in kernels]
    assert [each.found_in for each in found] == ["disk", "disk"]
    assert [each.plan for each in found] == [each.plan for each in first]
    assert load_cache_artifacts(tmp_path / "warm") == saved  # again


def test_what_a_process_has_used(tmp_path):
    for kernel in (gemm(), gemm(K=256)):
        compile_kernel(kernel)
    cache._memory.clear()  # as another process
    cache._used.clear()
    compile_kernel(gemm())
    compile_kernel(gemm(K=512))
    assert save_cache_artifacts(tmp_path / "used", used_only=True).entries == 2
    assert save_cache_artifacts(tmp_path / "all").entries == 3


def test_without_a_disk_what_a_process_has_used_is_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("TILELANG_TT_CACHE_DIR", "")
    compile_kernel(gemm())
    assert save_cache_artifacts(tmp_path / "used").entries == 1


def test_an_empty_cache(tmp_path):
    assert save_cache_artifacts(tmp_path / "empty").entries == 0
    assert load_cache_artifacts(tmp_path / "empty").entries == 0


def test_entries_of_others_are_left_out(path, tmp_path):
    parts = Parts(path)
    _, data = parts.entries[0]
    entry = {**json.loads(data), "key": "ab" * 32, "origin": {**origin.origin(), "tilelang-tt": "0.0.1"}}
    cache.disk.write("ab" * 32, json.dumps(entry).encode())
    compile_kernel(gemm())
    assert save_cache_artifacts(tmp_path / "mine").entries == 1


def test_a_file_that_cannot_be_written_leaves_the_old_one(path, monkeypatch):
    before = path.read_bytes()

    def fail(**_):
        raise OSError("no")
        yield

    monkeypatch.setattr(cache, "entries", fail)
    with pytest.raises(OSError, match="no"):
        save_cache_artifacts(path)
    assert path.read_bytes() == before
    assert [each for each in path.parent.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize(
    "text", ["", "kernels", "[]", "{}", "[" * 4000, "\0" * 9000, '{"format": "other"}\n'], ids=repr
)
def test_other_files(tmp_path, text):
    (tmp_path / "file").write_text(text)
    refused(tmp_path / "file", "TT961")


def test_another_version_of_the_format(path):
    parts = Parts(path)
    parts.header["version"] = 2
    parts.write()
    assert "found version 2" in refused(path, "TT961")
    parts.header |= {"version": 1, "origin": None}
    parts.write()
    refused(path, "TT961")


@pytest.mark.parametrize("part", ["host", "tilelang-tt", "code"])
def test_another_origin(path, part):
    parts = Parts(path)
    expected = parts.header["origin"][part]
    parts.header["origin"][part] = "other"
    parts.write()
    assert f"{part}: found 'other', expected '{expected}'" in refused(path, "TT963")


def with_line(**changes):
    def edit(parts):
        line, data = parts.entries[1]
        parts.entries[1] = ({**line, **changes}, data)

    return edit


def with_entry(**changes):
    return lambda parts: parts.replace(1, **changes)


DAMAGES = {
    "path as a key": with_line(key="../../../etc/passwd"),
    "key that is no text": with_line(key=7),
    "key of another": with_line(key="ab" * 32),
    "huge length": with_line(bytes=1 << 62),
    "negative length": with_line(bytes=-1),
    "length that is no number": with_line(bytes="1"),
    "other checksum": with_line(sha256="0" * 64),
    "more fields": with_line(path="/etc/passwd"),
    "plan": with_entry(plan="{}"),
    "kernel": with_entry(func="nothing"),
    "program": with_entry(program='{"root_index": 0, "nodes": []}'),
    "name": with_entry(name="other"),
    "field": with_entry(more="1"),
    "origin": with_entry(origin={}),
    "no end": lambda parts: parts.end.clear(),
    "fewer entries": lambda parts: parts.entries.pop(),
    "an entry twice": lambda parts: parts.entries.append(parts.entries[0]),
    "bytes after the end": lambda parts: setattr(parts, "rest", b"\n"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_files(path, damage):
    parts = Parts(path)
    damage(parts)
    parts.write()
    message = refused(path, "TT962")
    assert "entry 1" in message or "entry 2" in message or "after the end" in message


def test_a_file_that_lacks_its_last_byte(path):
    path.write_bytes(path.read_bytes()[:-1])
    refused(path, "TT962")


@settings(max_examples=40)
@given(data=st.data())
def test_no_damage_is_overlooked(path, data):
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        damaged = whole[:at]
    else:
        damaged = whole[:at] + bytes([whole[at] ^ 1 << data.draw(st.integers(0, 7))]) + whole[at + 1 :]
    other = path.with_name("damaged")
    other.write_bytes(damaged)
    with pytest.raises(errors.CacheError, match=r"TT96[123]: "):
        load_cache_artifacts(other)
    assert cache.stats().entries == 0


def test_no_cache_to_load_into(path, monkeypatch):
    monkeypatch.setenv("TILELANG_TT_CACHE_DIR", "")
    with pytest.raises(errors.CacheError, match="TT964: found no folder to load"):
        load_cache_artifacts(path)


def test_more_than_the_cache_may_have(path, monkeypatch):
    monkeypatch.setenv("TILELANG_TT_CACHE_SIZE", "100K")
    refused(path, "TT965")


def test_a_cache_that_cannot_be_written(path, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TILELANG_TT_CACHE_DIR", str(tmp_path / "file"))
    assert "cannot be written; 0 of 2 entries were loaded" in refused(path, "TT965")


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_cache_artifacts(tmp_path / "nothing")
