"""Compiling what has been compiled: the same result, found in memory or on disk, whatever happened to it there."""

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import tvm
from support import kernels_tirx
from support.compilers import Here
from support.process import run_python

from tilelang.tt import Device, cache, counters, errors
from tilelang.tt import compile as compile_kernel
from tilelang.tt.service import stages
from tilelang.tt.service.entry import Entry
from tilelang.tt.service.request import Request
from tilelang.tt.service.transport import decode, encode

pytestmark = pytest.mark.stage("cache")


def gemm(**sizes):
    return kernels_tirx.gemm(**sizes)


def compilations():
    return counters["compile"]["in_process"]


def forget():
    """As another process would find it."""
    cache._memory.clear()


def entry_file():
    (path,) = [path for path in cache.directory.rglob("*") if path.is_file()]
    return path


def same(one, other):
    assert one.plan == other.plan
    tvm.ir.assert_structural_equal(one.func, other.func)
    tvm.ir.assert_structural_equal(one.program, other.program)
    return True


def test_a_result_is_found_again():
    kernel = gemm()
    first = compile_kernel(kernel)
    in_memory = compile_kernel(kernel)
    by_key = compile_kernel(gemm())
    forget()
    on_disk = compile_kernel(kernel)
    assert [each.found_in for each in (first, in_memory, by_key, on_disk)] == [None, "memory", "memory", "disk"]
    assert compilations() == 1
    assert all(same(first, each) for each in (in_memory, by_key, on_disk))
    stats = cache.stats()
    assert (stats.hits, stats.memory_hits, stats.disk_hits, stats.misses, stats.stores) == (3, 2, 1, 1, 1)
    assert (stats.entries, stats.bytes) == (1, entry_file().stat().st_size)


DIFFERENT = {
    "size": ((gemm(K=256), None, None), {}),
    "device": ((gemm(), "blackhole_p150", None), {}),
    "device with another grid": ((gemm(), replace(Device.from_name("wormhole_n150"), worker_grid=(8, 7)), None), {}),
    "option": ((gemm(), None, {"schedule_policy": "strided"}), {}),
    "value": ((gemm(), None, {"tile_height": 16}), {}),
    "name": ((gemm().with_attr("global_symbol", "other"), None, None), {}),
}


@pytest.mark.parametrize("arguments", DIFFERENT.values(), ids=DIFFERENT)
def test_what_gives_another_result_is_not_found(arguments):
    compile_kernel(gemm())
    positional, keywords = arguments
    assert compile_kernel(*positional, **keywords).found_in is None


def test_what_gives_the_same_result_is_found():
    kernel = gemm()
    compile_kernel(kernel, "blackhole_p150", {"schedule_policy": "strided", "tile_height": 16})
    options = {"tile_height": 16, "schedule_policy": "strided", "tile_width": None}
    assert compile_kernel(kernel, Device.from_name("blackhole_p150"), options).found_in == "memory"
    assert compile_kernel(tvm.IRModule({"main": kernel}), "blackhole_p150", options).found_in == "memory"
    assert compilations() == 1


def test_a_module_that_has_changed_is_not_taken_for_what_it_was():
    module = tvm.IRModule({"main": gemm()})
    compile_kernel(module)
    module["main"] = gemm(K=256)
    assert compile_kernel(module).found_in is None


def test_a_kernel_that_was_changed_in_place_is_not_taken_for_what_it_was():
    """The host changes in place what nobody else refers to; the cache does."""
    kernel = decode(encode(gemm()))
    compile_kernel(kernel)
    kernel = kernel.with_attr("tt_schedule_policy", "strided")
    assert compile_kernel(kernel).found_in is None


def test_options_that_compare_equal_and_are_not():
    kernel = gemm()
    compile_kernel(kernel, options={"schedule_policy": "block_cyclic", "schedule_block_size": 1})
    with pytest.raises(errors.TTError):
        compile_kernel(kernel, options={"schedule_policy": "block_cyclic", "schedule_block_size": 1.5})
    again = compile_kernel(kernel, options={"schedule_policy": "block_cyclic", "schedule_block_size": 1})
    assert again.found_in == "memory"


def test_without_a_cache():
    kernel = gemm()
    assert compile_kernel(kernel, cache=False).found_in is None
    assert not cache.directory.exists()
    compile_kernel(kernel)
    assert compile_kernel(kernel, cache=False).found_in is None
    assert compilations() == 3


def test_switched_off_on_disk(monkeypatch):
    monkeypatch.setenv("TILELANG_TT_CACHE_DIR", "")
    kernel = gemm()
    compile_kernel(kernel)
    assert compile_kernel(kernel).found_in == "memory"
    forget()
    assert compile_kernel(kernel).found_in is None
    assert cache.directory is None
    assert cache.stats().stores == cache.stats().entries == 0


def test_a_refused_kernel_is_not_cached():
    kernel = gemm(dtype="float64")
    for _ in range(2):
        with pytest.raises(errors.DtypeError):
            compile_kernel(kernel)
    assert cache.stats().entries == 0
    assert cache.stats().misses == 2


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:200] + b"?" + data[201:]]
)
def test_a_corrupt_entry_is_compiled_again(damage):
    kernel = gemm()
    first = compile_kernel(kernel)
    entry_file().write_bytes(damage(entry_file().read_bytes()))
    forget()
    assert same(first, compile_kernel(kernel))
    assert (compilations(), cache.stats().corrupt) == (2, 1)
    forget()
    assert compile_kernel(kernel).found_in == "disk"


def store(key, **changes):
    """An entry with checksums that are right, and that something else than this package has made."""
    fields = json.loads(stages.compile_request(Request.of(gemm(), None, None, None)).to_bytes())
    assert cache.disk.write(key, json.dumps({**fields, **changes}).encode())


@pytest.mark.parametrize(
    "changes", [{"plan": "{}"}, {"func": "{}"}, {"program": "nothing"}, {"func": "[" * 100}], ids=str
)
def test_an_entry_that_cannot_be_decoded_is_compiled_again(changes):
    kernel = gemm()
    expected = compile_kernel(kernel, cache=False)
    store(expected.key, **changes)
    compiled = compile_kernel(kernel)
    assert compiled.found_in == "disk"
    assert same(expected, compiled)
    assert cache.stats().corrupt == 1
    forget()
    assert same(expected, compile_kernel(kernel))
    assert cache.stats().corrupt == 1


@pytest.mark.parametrize("changes", [{"plan": 1}, {"more": ""}, {"seconds": {"plan": "1"}}, {"seconds": []}], ids=str)
def test_an_entry_with_other_fields_is_compiled_again(changes):
    kernel = gemm()
    store(Request.of(kernel, None, None, None).key, **changes)
    assert compile_kernel(kernel).found_in is None
    assert cache.stats().corrupt == 1


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b"\xff", b"[" * 100_000, b'{"key": 1}'])
def test_bytes_that_are_no_entry(data):
    with pytest.raises(ValueError):  # noqa: PT011
        Entry.from_bytes(data)


def test_an_entry_crosses_as_bytes():
    entry = stages.compile_request(Request.of(gemm(), None, None, None))
    assert Entry.from_bytes(entry.to_bytes()) == entry


def test_a_disk_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TILELANG_TT_CACHE_DIR", str(tmp_path / "file"))
    kernel = gemm()
    assert compile_kernel(kernel).plan
    assert compile_kernel(kernel).found_in == "memory"
    assert cache.stats().failed_stores == 1


def test_threads_compile_once():
    kernels = [gemm() for _ in range(4)]
    found = []
    threads = [
        threading.Thread(target=lambda kernel=kernel: found.append(compile_kernel(kernel).found_in))
        for kernel in kernels
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == [None, "memory", "memory", "memory"]
    assert compilations() == 1


def test_a_refusal_lets_the_next_thread_in(monkeypatch):
    request = Request.of(gemm(), None, None, None)

    def refuse(_):
        raise errors.refusal("TT901", "refused")

    with pytest.raises(errors.InternalError):
        cache.fetch(request, refuse)
    assert cache.fetch(request, stages.compile_request)[1] is None


def test_the_last_results_are_in_memory(monkeypatch):
    monkeypatch.setattr(cache._memory._by_call, "_limit", 2)
    monkeypatch.setattr(cache._memory._by_key, "_limit", 2)
    one, two, three = gemm(), gemm(K=256), gemm(K=512)
    for kernel in (one, two, three):
        compile_kernel(kernel)
    assert [compile_kernel(kernel).found_in for kernel in (three, two, one)] == ["memory", "memory", "disk"]


def test_clear():
    kernel = gemm()
    compile_kernel(kernel)
    cache.clear()
    assert cache.stats().entries == 0
    assert compile_kernel(kernel).found_in is None


def test_a_forked_child_goes_on(tmp_path):
    printed = run_python(
        """
        import os, threading
        from tilelang.tt import cache, counters

        held = threading.Event()
        def hold():
            with cache._alone("key"), counters._lock:
                held.set()
                threading.Event().wait()
        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        child = os.fork()
        if not child:
            with cache._alone("key"):
                counters.count("cache", "misses")
            os._exit(counters["cache"]["misses"])
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        tmp_path,
    )
    assert printed == "1\n"


@pytest.mark.parametrize("text", ["", "0", "-1", "10 MB", "1.5G", "1T", "0x10", "9" * 30, "10m"])
def test_a_size_that_is_none(monkeypatch, text):
    monkeypatch.setenv("TILELANG_TT_CACHE_SIZE", text)
    with pytest.raises(errors.OptionError, match="TT960: found TILELANG_TT_CACHE_SIZE="):
        compile_kernel(gemm())
    assert compilations() == 0


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("4096", 4096), ("3K", 3072), ("5M", 5 << 20), ("2G", 2 << 30)])
def test_a_size(monkeypatch, text, size):
    monkeypatch.setenv("TILELANG_TT_CACHE_SIZE", text)
    assert cache.limit == size


def test_the_default_place(monkeypatch, tmp_path):
    monkeypatch.delenv("TILELANG_TT_CACHE_DIR")
    monkeypatch.delenv("TILELANG_TT_CACHE_SIZE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    folder = "Library/Caches" if sys.platform == "darwin" else ".cache"
    assert cache.directory == tmp_path / folder / "tilelang-tt"
    assert cache.limit == 1 << 30
    if sys.platform != "darwin":
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the specification says to ignore
        assert cache.directory == tmp_path / ".cache" / "tilelang-tt"
        monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
        assert cache.directory == Path("/elsewhere/tilelang-tt")


def test_the_figures_as_text():
    compile_kernel(gemm())
    stats = cache.stats()
    assert str(stats).splitlines()[:2] == [
        "hits 0 (0 in memory, 0 on disk), misses 1",
        "stored 1, not stored 0, evicted 0, corrupt 0",
    ]
    assert stats.to_dict()["misses"] == 1


def test_what_was_compiled_in_the_background_is_found():
    kernel = gemm()
    assert compile_kernel(kernel, mode="async", pool=Here()).wait().found_in is None
    assert compile_kernel(kernel).found_in == "memory"
    forget()
    found = compile_kernel(kernel, mode="async", pool=Here()).wait()
    assert (found.found_in, found.stats.background_started) == ("disk", 0)
    assert compile_kernel(kernel, mode="async", pool=Here()).ready
    assert compile_kernel(kernel, mode="async", pool=Here(), cache=False).wait().found_in is None
