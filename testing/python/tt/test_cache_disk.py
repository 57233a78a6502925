"""Bytes by key in a folder: what is read is what was stored, whatever happens to the files."""

import logging
import os
import stat
import threading
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.process import run_python

from tilelang.tt import counters
from tilelang.tt.service.cache.disk import Disk

pytestmark = pytest.mark.stage("cache")

HEADER = 84


def key_of(name):
    return sha256(str(name).encode()).hexdigest()


def payload_of(key, size=100):
    return (key.encode() * size)[:size]


def path_of(disk, key):
    return disk.folder / key[:2] / key


def files(disk):
    return sorted(path.name for path in disk.folder.rglob("*") if path.is_file())


def count(event):
    return counters["cache"][event]


@pytest.fixture(params=["unnamed", "named"])
def disk(request, tmp_path, monkeypatch):
    if request.param == "named":
        monkeypatch.setattr(Disk, "unnamed", False)
    elif not Disk.unnamed:
        pytest.skip("this system has no files without names")
    return Disk(tmp_path / "cache", 1 << 20)


def test_what_is_stored_is_read(disk):
    keys = [key_of(i) for i in range(20)]
    for size, key in enumerate(keys):
        assert disk.write(key, payload_of(key, size))
    assert [disk.read(key) for key in keys] == [payload_of(key, size) for size, key in enumerate(keys)]
    assert files(disk) == sorted(keys)
    assert disk.usage() == (20, sum(range(20)) + 20 * HEADER)
    assert disk.read(key_of("another")) is None


def test_only_the_owner_may_look(disk):
    key = key_of(0)
    disk.write(key, b"")
    path = path_of(disk, key)
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (disk.folder, path.parent, path)]
    assert modes == [0o700, 0o700, 0o600]


def test_storing_again_writes_nothing(disk):
    key = key_of(0)
    disk.write(key, payload_of(key))
    before = path_of(disk, key).stat()
    assert disk.write(key, payload_of(key))
    after = path_of(disk, key).stat()
    assert after.st_ino == before.st_ino
    assert after.st_mtime_ns > before.st_mtime_ns


def damages():
    flips = st.tuples(st.just("flip"), st.integers(0, HEADER + 99), st.integers(0, 7))
    cuts = st.tuples(st.just("cut"), st.integers(0, HEADER + 99), st.just(0))
    longer = st.tuples(st.just("append"), st.integers(1, 9), st.just(0))
    return st.one_of(flips, cuts, longer)


@settings(max_examples=60)
@given(damage=damages())
def test_damage_is_found(tmp_path, damage):
    disk = Disk(tmp_path, 1 << 20)
    key = key_of(0)
    disk.write(key, payload_of(key))
    kind, at, bit = damage
    data = bytearray(path_of(disk, key).read_bytes())
    if kind == "flip":
        data[at] ^= 1 << bit
    data = data[:at] if kind == "cut" else data + bytes(at) if kind == "append" else data
    path_of(disk, key).write_bytes(data)
    before = count("corrupt")
    assert disk.read(key) is None
    assert count("corrupt") == before + 1
    assert not path_of(disk, key).exists()
    assert disk.write(key, payload_of(key))
    assert disk.read(key) == payload_of(key)


def test_damage_is_mended_by_storing(disk, caplog):
    key = key_of(0)
    disk.write(key, payload_of(key))
    path_of(disk, key).write_bytes(b"")
    assert disk.write(key, payload_of(key))
    assert disk.read(key) == payload_of(key)
    assert [record.getMessage() for record in caplog.records] == [
        f"dropped a corrupt entry, which will be compiled again: {path_of(disk, key)}: found 0 bytes"
    ]


def test_an_entry_under_the_name_of_another_is_dropped(disk):
    one, other = key_of(1), key_of(2)
    disk.write(one, payload_of(one))
    path_of(disk, other).parent.mkdir(exist_ok=True)
    path_of(disk, one).rename(path_of(disk, other))
    assert disk.read(other) is None
    assert files(disk) == []


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_is_dropped(disk, tmp_path, kind):
    key = key_of(0)
    path_of(disk, key).parent.mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"kept")
    if kind == "link":
        path_of(disk, key).symlink_to(tmp_path / "secret")
    else:
        os.mkfifo(path_of(disk, key))
    assert disk.read(key) is None
    assert not os.path.lexists(path_of(disk, key))
    assert (tmp_path / "secret").read_bytes() == b"kept"


def test_a_folder_in_the_place_of_an_entry_stays(disk):
    key = key_of(0)
    path_of(disk, key).mkdir(parents=True)
    assert disk.read(key) is None
    assert not disk.write(key, b"")
    assert path_of(disk, key).is_dir()


def test_least_recently_used_go_first(disk):
    keys = [key_of(i) for i in range(5)]
    disk.limit = 4 * (1000 + HEADER) + 10
    for key in keys[:4]:
        disk.write(key, payload_of(key, 1000))
    assert disk.read(keys[0])  # now it is the last
    disk.write(keys[4], payload_of(keys[4], 1000))
    # 15/16 of the limit hold three.
    assert disk.keys() == [keys[3], keys[0], keys[4]]
    assert count("evictions") == 2


def test_the_folder_stays_near_its_limit(disk):
    disk.limit = 30_000
    sizes = []
    for i in range(200):
        disk.write(key_of(i), payload_of(key_of(i), 500))
        if i % 8 == 0:
            sizes.append(disk.usage()[1])
    assert max(sizes) < 1.25 * disk.limit
    assert min(sizes[13:]) > 0.85 * disk.limit


def test_the_newest_entry_stays(disk):
    disk.limit = 1000
    for key in (key_of(1), key_of(2)):
        disk.write(key, payload_of(key, 999))
        assert disk.keys() == [key]


def test_other_files_are_left_alone(disk):
    key = key_of(0)
    disk.write(key, b"")
    shard = path_of(disk, key).parent
    others = [disk.folder / "notes.txt", shard / "notes.txt", shard / key_of(1)[::-1], disk.folder / "zz" / key]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    disk.limit = 1
    disk.evict()
    disk.clear()
    assert disk.usage() == (0, 0)
    assert [path.read_text() for path in others] == ["mine"] * 4


def test_entries_larger_than_the_limit_are_not_stored(disk, caplog):
    disk.limit = 99
    for key in (key_of(1), key_of(2)):
        assert not disk.write(key, payload_of(key))
    assert files(disk) == []
    assert count("failed_stores") == 2
    # Said once.
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "found 100 bytes; expected at most 99" in caplog.text


def test_full_disk(tmp_path):
    printed = run_python(
        """
        import os, resource, sys
        from pathlib import Path
        from tilelang.tt import counters
        from tilelang.tt.service.cache.disk import Disk

        resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
        found = []
        for unnamed in (Disk.unnamed, False):
            disk = Disk(Path("cache"), 1 << 20)
            disk.unnamed = unnamed
            found += [disk.write("ab" * 32, bytes(1000)), disk.read("ab" * 32)]
        print(found, [path for path in Path("cache").rglob("*") if path.is_file()], counters["cache"])
        """,
        tmp_path,
    )
    # TileLang's log goes to stdout too.
    assert printed.splitlines()[-1] == "[False, None, False, None] [] Counter({'failed_stores': 2})"


def test_a_folder_that_cannot_be_made(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    disk = Disk(tmp_path / "file" / "cache", 1 << 20)
    assert disk.read(key_of(0)) is None
    assert not disk.write(key_of(0), b"")
    assert disk.usage() == (0, 0)
    disk.clear()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_only_read(disk):
    key, another = key_of(1), key_of(2)
    disk.write(key, payload_of(key))
    for folder in (path_of(disk, key).parent, disk.folder):
        folder.chmod(0o500)
    assert disk.read(key) == payload_of(key)
    assert not disk.write(another, b"")
    for folder in (disk.folder, path_of(disk, key).parent):
        folder.chmod(0o700)


def test_what_a_killed_writer_has_left_is_removed(tmp_path):
    printed = run_python(
        """
        import os, signal, subprocess, sys
        from pathlib import Path
        from tilelang.tt.service.cache.disk import Disk

        writer = '''
        import os, signal
        from pathlib import Path
        from tilelang.tt.service.cache.disk import Disk

        disk = Disk(Path("cache"), 1 << 20)
        disk.unnamed = False
        os.link = lambda *_: (print("writing", flush=True), signal.pause())
        disk.write("ab" * 32, b"")
        '''
        import textwrap
        child = subprocess.Popen([sys.executable, "-P", "-c", textwrap.dedent(writer)], stdout=subprocess.PIPE)
        child.stdout.readline()
        disk = Disk(Path("cache"), 1 << 20)
        left = lambda: len([path for path in Path("cache").rglob("*") if path.is_file()])
        disk.evict()
        print(left())
        child.kill()
        child.wait()
        print(left())
        disk.evict()
        print(left())
        """,
        tmp_path,
    )
    assert printed == "1\n1\n0\n"


def test_a_good_entry_is_not_taken_for_the_damaged_one_before(disk, monkeypatch):
    """While one process finds damage, another mends it."""
    key = key_of(0)
    disk.write(key, payload_of(key))
    path_of(disk, key).write_bytes(b"damaged")
    remove = disk._remove

    def mended_meanwhile(*arguments, **keywords):
        path_of(disk, key).unlink()
        Disk(disk.folder, 1 << 20).write(key, payload_of(key))
        monkeypatch.undo()
        return remove(*arguments, **keywords)

    monkeypatch.setattr(disk, "_remove", mended_meanwhile)
    assert disk.read(key) is None
    assert disk.read(key) == payload_of(key)


def test_an_entry_that_is_used_meanwhile_is_not_evicted(disk):
    disk.limit = 2 * (1000 + HEADER)
    keys = [key_of(i) for i in range(2)]
    for key in keys:
        disk.write(key, payload_of(key, 1000))
    file = sorted(disk._files())[0]
    disk.read(file.path.name)
    disk._evict(file)
    assert disk.usage()[0] == 2


def test_threads_share_a_folder(disk):
    keys = [key_of(i) for i in range(30)]
    wrong = []

    def work():
        for key in keys:
            disk.write(key, payload_of(key))
            wrong.extend(key for found in [disk.read(key)] if found != payload_of(key))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert files(disk) == sorted(keys)


def test_no_descriptor_is_left_open(disk):
    folder = Path("/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd")
    key = key_of(0)
    before = len(list(folder.iterdir()))
    disk.write(key, b"")
    path_of(disk, key).write_bytes(b"")
    disk.read(key)
    disk.write(key, b"")
    disk.read(key)
    disk.evict()
    disk.clear()
    assert len(list(folder.iterdir())) == before
