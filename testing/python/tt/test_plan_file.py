"""A plan as a file: the same after a round trip, the same bytes in every process, and nothing else is read."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from support import host
from support.examples import ROOT
from support.plans import LARGEST, SAMPLE, plans

from tilelang.tt import errors
from tilelang.tt.plan import file, model

pytestmark = pytest.mark.stage("plan")

TEXT = file.to_json(SAMPLE)


def refuse(text, message):
    """The text is refused with exactly this message, in which what follows an ellipsis does not matter."""
    with pytest.raises(errors.PlanError) as caught:
        file.from_json(text, "my.json")
    beginning, found, _ = message.partition("...")
    assert str(caught.value).startswith(beginning) if found else str(caught.value) == message


def spoilt(old, new):
    """The text with its first occurrence of some words replaced."""
    assert old in TEXT
    return TEXT.replace(old, new, 1)


@settings(max_examples=40)
@given(plans())
def test_survives_a_round_trip(plan):
    assert file.from_json(file.to_json(plan)) == plan


def test_sample_survives_a_file(tmp_path):
    path = tmp_path / "a.plan.json"
    file.save(SAMPLE, path)
    assert file.load(path) == file.load(str(path)) == SAMPLE
    assert path.read_bytes() == TEXT.encode()


def test_text_is_for_people():
    lines = TEXT.splitlines()
    assert lines[:6] == [
        "{",
        '  "format": "tt.plan",',
        '  "version": 1,',
        '  "kernels": [',
        "    {",
        '      "name": "matmul",',
    ]
    assert '            {"core": 1, "start": 2, "length": 2, "stride": 0, "repeat": 1},' in lines
    assert '        "cores": [[0, 0, 1, 0], [0, 1, 0, 1]],' in lines
    assert '          "name": "größe/~A",' in lines
    assert TEXT.endswith("\n}\n")


def test_fields_stand_in_the_order_of_the_records():
    kernel = json.loads(TEXT)["kernels"][0]
    assert list(kernel) == [*model.Kernel.__dataclass_fields__]
    assert list(kernel["buffers"][0]) == [*model.Buffer.__dataclass_fields__]


def test_order_of_fields_does_not_matter_when_read():
    assert file.from_json(json.dumps(json.loads(TEXT), sort_keys=True)) == SAMPLE


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_every_process_writes_the_same_bytes(seed):
    code = (
        "import sys; from support.plans import SAMPLE; from tilelang.tt.plan import file; "
        "sys.stdout.buffer.write(file.to_json(SAMPLE).encode())"
    )
    paths = {"PYTHONPATH": str(ROOT / "testing" / "python" / "tt"), "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env={**os.environ, **paths}, capture_output=True, check=True
    )
    assert done.stdout == TEXT.encode()


def test_save_replaces_a_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    file.save(SAMPLE, path)
    assert path.read_text(encoding="utf-8") == TEXT
    assert os.listdir(tmp_path) == ["a.json"]


def test_save_follows_a_link(tmp_path):
    path, link = tmp_path / "a.json", tmp_path / "link.json"
    link.symlink_to(path)
    file.save(SAMPLE, link)
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8") == TEXT


def test_refused_save_loses_nothing(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    (kernel,) = SAMPLE.kernels
    bad = replace(SAMPLE, kernels=(replace(kernel, name=None),))
    with pytest.raises(errors.PlanError, match="TT808: plan: /kernels/0/name: found null; expected a string"):
        file.save(bad, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_failed_save_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(source, target):
        raise OSError("disk is gone")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk is gone"):
        file.save(SAMPLE, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_what_is_no_number_of_python_is_not_saved():
    np = pytest.importorskip("numpy")
    (kernel,) = SAMPLE.kernels
    bad = replace(SAMPLE, kernels=(replace(kernel, shape_variables=(np.int64(1),)),))
    with pytest.raises(errors.PlanError, match="/kernels/0/shape_variables/0: found int64; expected a string"):
        file.to_json(bad)


@pytest.mark.skipif(host.ON_TILELANG, reason="TileLang imports its own TVM before anything of this package runs")
def test_loading_imports_neither_a_host_nor_numpy(tmp_path):
    file.save(SAMPLE, tmp_path / "a.json")
    code = (
        "import sys; from tilelang.tt.plan import Plan; Plan.load('a.json'); "
        "print({'tvm', 'tvm_ffi', 'numpy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        file.load(tmp_path / "none.json")


def test_file_is_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"format": "\xff')
    with pytest.raises(errors.PlanError) as caught:
        file.load(path)
    message = "found the byte 0xff, which is no UTF-8; expected text in UTF-8"
    assert str(caught.value) == f"TT801: {path}:1:13: {message}"


CUT = "; the text ends too early, so the file may be cut off"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"TT800: my.json:1:1: Expecting value; expected JSON{CUT}"),
        (" \n", f"TT800: my.json:2:1: Expecting value; expected JSON{CUT}"),
        ('{"format":\n "tt.pl', f"TT800: my.json:2:2: Unterminated string starting at; expected JSON{CUT}"),
        ('{"format": 1}\n}', "TT800: my.json:2:1: Extra data; expected JSON"),
        ("{'a': 1}", "TT800: my.json:1:2: Expecting property name enclosed in double quotes; expected JSON"),
        ("\ufeff{}", "TT800: my.json:1:1: Unexpected UTF-8 BOM..."),
        (b'{\n"\xc3\xa9\xe9"', "TT801: my.json:2:3: found the byte 0xe9, which is no UTF-8; expected text in UTF-8"),
        ("[" * 200_000, "TT802: my.json: values are nested too deeply; expected at most some ten levels"),
        ("[1]", 'TT803: my.json:1:1: found an array of 1; expected an object with "format": "tt.plan"'),
        ("{}", 'TT803: my.json:1:1: found an object; expected an object with "format": "tt.plan"'),
        ('\n {"format": 7}', 'TT803: my.json:2:2: found "format": 7; expected an object with "format": "tt.plan"'),
    ],
    ids=range(11),
)
def test_no_plan(text, message):
    refuse(text, message)


def test_every_truncation_is_refused_as_one():
    for end in range(0, len(TEXT) - 2, 37):
        with pytest.raises(errors.PlanError, match="cut off") as caught:
            file.from_json(TEXT[:end])
        assert caught.value.code == "TT800"


@pytest.mark.parametrize("version", ["0", "2", '"1"', "1.0", "true", "null", "[1]"])
def test_other_versions(version):
    found = "an array of 1" if version == "[1]" else version
    refuse(
        spoilt('"version": 1', f'"version": {version}'),
        f"TT804: my.json:3:14: /version: found version {found}; this package reads version 1: make the plan again "
        "from its kernel, or install the tilelang-tt that made it",
    )


def test_another_version_is_told_before_its_fields():
    refuse('{"format": "tt.plan", "version": 2, "cores": []}', "TT804: my.json:1:34: /version: found version 2;...")


FIRST = '"start": 0,'
RUN = "/kernels/0/launches/0/tile_runs/0"
LAUNCH = "/kernels/0/launches/1"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"format": ',
            '"format": "tt.plan", "format": ^',
            "TT805: /format: found two fields of that name; expected one",
        ),
        (FIRST, '"start": 1, "start": ^0,', f"TT805: {RUN}/start: found two fields of that name; expected one"),
        (
            FIRST,
            '"start": 0, "a/b~c": ^[],',
            f"TT806: {RUN}/a~1b~0c: found a field of that name; expected core, start,...",
        ),
        (FIRST, '"strat": ^0,', f'TT806: {RUN}/strat: found a field of that name; did you mean "start"?'),
        (
            '^{"core": 0, "start": 0,',
            '^{"core": 0,',
            f"TT807: {RUN}: found no start; expected all fields, null where there...",
        ),
        (
            '{\n  "format": "tt.plan",\n  "version": 1,',
            '^{\n  "format": "tt.plan",',
            "TT807: found no version; expected all fields,...",
        ),
        (FIRST, '"start": ^1.0,', f"TT808: {RUN}/start: found 1.0; expected an integer"),
        (FIRST, '"start": ^NaN,', f"TT808: {RUN}/start: found NaN; expected an integer"),
        (FIRST, '"start": ^-Infinity,', f"TT808: {RUN}/start: found -Infinity; expected an integer"),
        (FIRST, '"start": ^1e99,', f"TT808: {RUN}/start: found 1e+99; expected an integer"),
        (FIRST, '"start": ^true,', f"TT808: {RUN}/start: found true; expected an integer"),
        (FIRST, '"start": ^{},', f"TT808: {RUN}/start: found an object; expected an integer"),
        ('"matmul"', "^null", "TT808: /kernels/0/name: found null; expected a string"),
        ("[5, 1, 1]", '^"5"', 'TT808: /kernels/0/launches/0/grid: found "5"; expected an array'),
        (
            "[5, 1, 1]",
            "[5, ^null, 1]",
            "TT808: /kernels/0/launches/0/grid/1: found null; expected an integer or a text...",
        ),
        (
            '"fp32_dest_acc_en": false',
            '"fp32_dest_acc_en": ^0',
            "TT808: /kernels/0/launches/0/on_chip/accumulators/0/...",
        ),
        (FIRST, '"start": ^-1,', f"TT809: {RUN}/start: found -1; expected 0 to {LARGEST}"),
        (FIRST, f'"start": ^{2**63},', f"TT809: {RUN}/start: found {2**63}; expected 0 to {LARGEST}"),
        (FIRST, f'"start": ^-{"9" * 5000},', f"TT809: {RUN}/start: found -9..."),
        (
            '{"core": 1, "start": 2, "length": 2',
            '{"core": 1, "start": 2, "length": ^0',
            f"TT809: /kernels/0/launches/0/tile_runs/1/length: found 0; expected 1 to {LARGEST}",
        ),
        (
            '"schedule_order": "swizzled_row"',
            '"schedule_order": ^"swizled_row"',
            'TT810: /kernels/0/inputs/schedule_order: found "swizled_row"; expected one of: "row_major", '
            '"column_major", "swizzled_row", "swizzled_column"; did you mean "swizzled_row"?',
        ),
        (
            '"num_tiles": "(m + 31) // 32"',
            '"num_tiles": ^"(m + 31) / 32"',
            f'TT811: {LAUNCH}/num_tiles: found "(m + 31) / 32", which is no size: expected the end at column 10',
        ),
        (
            '"num_tiles": "(m + 31) // 32"',
            '"num_tiles": ^"m // 0"',
            f'TT811: {LAUNCH}/num_tiles: found "m // 0", which is no size: division by 0; expected at least 1',
        ),
        (
            '"num_tiles": "(m + 31) // 32"',
            '"num_tiles": ^"k + core_id"',
            f'TT812: {LAUNCH}/num_tiles: found "k" in "k + core_id"; expected m',
        ),
        (
            '"count": "m // 32 - core_id"',
            '"count": ^"m // 32 - core"',
            f'TT812: {LAUNCH}/tile_range/count: found "core" in "m // 32 - core"; expected core_id, m',
        ),
        ("[5, 1, 1]", "^[5, 1]", "TT813: /kernels/0/launches/0/grid: found an array of 2; expected 3 items"),
        (
            '"scope": "per_core"',
            r'"scope": ^"\ud83d"',
            "TT810: /kernels/0/launches/0/runtime_arguments/0/scope: found...",
        ),
        (
            '"name": "start_id"',
            r'"name": ^"\ud83d"',
            r'TT801: /kernels/0/launches/0/runtime_arguments/0/name: found "\ud83d", half of a character;...',
        ),
        (
            '"num_tiles": 5',
            r'"num_tiles": ^"\ud83d"',
            r'TT801: /kernels/0/launches/0/num_tiles: found "\ud83d", half of...',
        ),
    ],
)
def test_spoilt_in_one_place(old, new, message):
    """The caret stands where the message points to."""
    code, _, rest = message.partition(": ")
    text = spoilt(old.replace("^", ""), new)
    before = text.partition("^")[0]
    place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    refuse(text.replace("^", ""), f"{code}: my.json:{place}: {rest}")


def test_device_that_cannot_be():
    text = spoilt('"l1_size_bytes": 1499136', '"l1_size_bytes": 1')
    refuse(text, "TT814: my.json:7:17: /kernels/0/device: device mine: field l1_base is...")


def without(pointer):
    """The text without the items of an array."""
    value = json.loads(TEXT)
    node = value
    *path, last = [int(key) if key.isdigit() else key for key in pointer.split("/")[1:]]
    for key in path:
        node = node[key]
    node[last] = []
    return json.dumps(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (without("/kernels"), "/kernels: found an array of 0; expected 1 or more items"),
        (without("/kernels/0/launches"), "/kernels/0/launches: found an array of 0; expected 1 or more items"),
        (
            without("/kernels/0/launches/0/tile_runs"),
            "/launches/0: found neither of tile_runs and tile_range; expected one",
        ),
        (without("/kernels/0/inputs/cores"), "/kernels/0/launches/0/tile_runs/0/core: found 0; expected below 0"),
        (
            without("/kernels/0/launches/0/on_chip/circular_buffers"),
            "/accumulators/0/circular_buffer: found 1; expected below 0, the number of circular buffers",
        ),
        (
            without("/provenance/kernels"),
            "/provenance/kernels: found other kernels; expected those of the plan: matmul",
        ),
        (
            without("/kernels/0/warnings"),
            "/provenance/kernels/0/warning_sources: found 1 items; expected one for each of 0 warnings",
        ),
    ],
    ids=range(7),
)
def test_parts_that_contradict_each_other(text, message):
    with pytest.raises(errors.PlanError) as caught:
        file.from_json(text)
    assert message in str(caught.value)
    assert caught.value.code in ("TT813", "TT815")


def test_kernels_have_different_names():
    with pytest.raises(errors.PlanError, match='TT815: plan: /kernels/1/name: found a second kernel "matmul"'):
        file.to_json(replace(SAMPLE, kernels=SAMPLE.kernels * 2))


def test_both_runs_and_formulas():
    (kernel,) = SAMPLE.kernels
    fixed, symbolic = kernel.launches
    both = replace(fixed, tile_range=symbolic.tile_range)
    with pytest.raises(errors.PlanError, match="TT815: plan: /kernels/0/launches/0: found both of tile_runs and"):
        file.to_json(replace(SAMPLE, kernels=(replace(kernel, launches=(both,)),)))
