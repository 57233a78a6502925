"""The device table, devices derived from it, and devices in TOML files and attributes."""

import contextlib
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from support import host, oracle
from support.infer import bare, copy_kernel, infer, module, plain, results, tt_attrs

from tilelang.tt import (
    Device,
    apply_tt_defaults,
    buffer_attrs,
    devices,
    errors,
    infer_default_tt_schedule,
    infer_default_tt_shard,
    schedule_attrs,
)
from tilelang.tt.testing import strategies

pytestmark = pytest.mark.stage("devices")


def test_default_comes_first():
    assert devices()[0].name == "wormhole_n150"


def test_names_are_unique():
    names = [device.name for device in devices()]
    assert len(names) == len(set(names))


def test_devices_are_values():
    assert devices() == devices()
    with pytest.raises(dataclasses.FrozenInstanceError):
        devices()[0].dram_banks = 1


# ---- the table, against numbers that were read from ttnn 0.81.1 and the sources named in device.cc ----

WORMHOLE = {
    "arch": "wormhole_b0",
    "physical_grid": (8, 10),
    "dram_banks": 12,
    "dram_bank_size": 1_073_741_824,
    "dram_base": 1_048_640,
    "usable_dram_bank": 1_072_693_184,
    "dram_alignment": 32,
    "l1_size": 1_499_136,
    "l1_base": 105_824,
    "usable_l1": 1_393_312,
    "l1_alignment": 16,
    "circular_buffers": 32,
    "cb_alignment": 32,
    "clock_mhz": 1000,
    "noc_width": 32,
}
BLACKHOLE = {
    "arch": "blackhole",
    "physical_grid": (14, 10),
    "dram_banks": 8,
    "dram_bank_size": 4_278_190_080,
    "dram_base": 1_048_704,
    "usable_dram_bank": 4_277_141_376,
    "dram_alignment": 64,
    "l1_size": 1_572_864,
    "l1_base": 111_744,
    "usable_l1": 1_461_120,
    "l1_alignment": 16,
    "circular_buffers": 64,
    "cb_alignment": 64,
    "clock_mhz": 1350,
    "noc_width": 64,
}
GRAYSKULL = {
    "arch": "grayskull",
    "physical_grid": (12, 10),
    "dram_banks": 8,
    "dram_bank_size": 1_073_741_824,
    "l1_size": 1_048_576,
    **dict.fromkeys(("dram_base", "usable_dram_bank", "dram_alignment", "l1_base", "usable_l1", "l1_alignment")),
    **dict.fromkeys(("circular_buffers", "cb_alignment", "dst_tiles", "clock_mhz", "noc_width", "dram_mb_per_s")),
}
PRODUCTS = {
    "wormhole_n150": {**WORMHOLE, "worker_grid": (8, 8), "num_workers": 64, "dram_mb_per_s": 288_000},
    "wormhole_n300": {**WORMHOLE, "worker_grid": (8, 8), "dram_mb_per_s": 288_000},
    "wormhole_t3000": {**WORMHOLE, "worker_grid": (8, 8), "dram_mb_per_s": 288_000},
    "wormhole_galaxy": {**WORMHOLE, "worker_grid": (8, 9), "dram_mb_per_s": None},
    "blackhole_p100": {**BLACKHOLE, "worker_grid": (11, 10), "dram_banks": 7, "dram_mb_per_s": 448_000},
    "blackhole_p150": {**BLACKHOLE, "worker_grid": (13, 10), "num_workers": 130, "dram_mb_per_s": 512_000},
    "blackhole_p300": {**BLACKHOLE, "worker_grid": (11, 10), "dram_mb_per_s": None},
    "blackhole_galaxy": {**BLACKHOLE, "worker_grid": (12, 10), "dram_mb_per_s": None},
    "grayskull_e75": {**GRAYSKULL, "worker_grid": (11, 8)},
    "grayskull_e150": {**GRAYSKULL, "worker_grid": (12, 9)},
}


def test_every_product_is_here():
    assert [device.name for device in devices()] == list(PRODUCTS)


@pytest.mark.parametrize("name", PRODUCTS)
def test_product(name):
    device = Device.from_name(name)
    assert {key: getattr(device, key) for key in PRODUCTS[name]} == PRODUCTS[name]


@pytest.mark.parametrize(
    ("fp32_accumulation", "full_sync", "tiles"),
    [(False, False, 8), (True, False, 4), (False, True, 16), (True, True, 8)],
)
@pytest.mark.parametrize("name", ["wormhole_n150", "blackhole_p150"])
def test_dst_tiles(name, fp32_accumulation, full_sync, tiles):
    device = Device.from_name(name)
    assert device.max_dst_tiles(fp32_accumulation=fp32_accumulation, full_sync=full_sync) == tiles


def test_field_that_nobody_has_is_refused():
    with pytest.raises(errors.DeviceError, match="grayskull_e75: dst_tiles is not known") as raised:
        Device.from_name("grayskull_e75").max_dst_tiles()
    assert raised.value.code == "TT314"


@pytest.mark.parametrize("device", devices(), ids=lambda device: device.name)
def test_tiles_and_formats(device):
    assert set(device.tile_shapes) == set(oracle.TILE_SHAPES)
    assert ("Fp8_e4m3" in device.data_formats) == (device.arch == "blackhole")
    assert {"Float32", "Float16_b", "Bfp8_b"} < set(device.data_formats)


# ---- worker grids: compute_with_storage_grid_size() of mock devices in ttnn 0.81.1, and its core descriptors ----

GRIDS = [  # a product, what is harvested, the dispatch, the worker grid
    ("wormhole_n150", {"rows": 1}, "row", (8, 8)),
    ("wormhole_n150", {"rows": 1}, "column", (7, 9)),
    ("wormhole_n150", {"rows": 1}, "ethernet", (8, 8)),
    ("wormhole_n150", {"rows": 1}, "slow", (8, 9)),
    ("wormhole_n300", {"rows": 2}, "ethernet", (8, 8)),
    ("wormhole_n300", {"rows": 2}, "row", (8, 7)),
    ("wormhole_n300", {"rows": 2}, "column", (7, 8)),
    ("wormhole_n300", {"rows": 2}, "slow", (8, 8)),
    ("wormhole_galaxy", {"rows": 0}, "row", (8, 9)),
    ("wormhole_galaxy", {"rows": 0}, "column", (7, 10)),
    ("wormhole_galaxy", {"rows": 0}, "ethernet", (8, 10)),
    ("wormhole_galaxy", {"rows": 0}, "slow", (8, 10)),
    ("blackhole_p150", {"columns": 0}, "column", (13, 10)),
    ("blackhole_p150", {"columns": 1}, "column", (12, 10)),
    ("blackhole_p150", {"columns": 2}, "column", (11, 10)),
    ("blackhole_p150", {"columns": 0}, "slow", (14, 10)),
    ("blackhole_p150", {"columns": 1}, "slow", (13, 10)),
    ("blackhole_p150", {"columns": 2}, "slow", (12, 10)),
    ("blackhole_p100", {"columns": 2}, "slow", (12, 10)),
    ("grayskull_e75", {"rows": 2}, "column", (11, 8)),
    ("grayskull_e150", {"rows": 0}, "row", (12, 9)),
]


@pytest.mark.parametrize(("name", "harvested", "dispatch", "grid"), GRIDS)
def test_worker_grid(name, harvested, dispatch, grid):
    by_steps = Device.from_name(name).with_harvested(**harvested).with_dispatch(dispatch)
    at_once = Device.from_name(name).replace(
        dispatch=dispatch,
        harvested_columns=harvested.get("columns", 0),
        harvested_rows=harvested.get("rows", 0),
    )
    assert by_steps == at_once
    assert by_steps.worker_grid == grid


def test_a_derived_device_keeps_the_rest():
    p150 = Device.from_name("blackhole_p150")
    derived = p150.with_harvested(columns=2)
    assert dataclasses.replace(derived, harvested_columns=0, worker_grid=(13, 10)) == p150
    assert p150.with_grid(11, 10).harvested_columns == 0
    assert p150.with_grid(np.int64(11), 10).worker_grid == (11, 10)
    assert p150.replace(dram_banks=np.int32(7)) == p150.replace(dram_banks=7)
    assert p150.replace() == p150


def test_a_derived_device_may_forget_a_number():
    assert Device.from_name("wormhole_n150").replace(l1_base=None).usable_l1 is None


# ---- refusals: a field, its value, the code, and what the message says ----

N150 = Device.from_name("wormhole_n150")
GRID_LEFT = "at most 8x8: what is left of a physical grid of 8x10 with 0 columns and 1 rows harvested"
REFUSALS = [
    ({"name": ""}, "TT306", 'field name is ""; expected 1 to 64 letters'),
    ({"name": "two words"}, "TT306", 'field name is "two words"'),
    ({"name": 5}, "TT306", "field name is 5"),
    ({"arch": "wormhole"}, "TT306", "expected one of: grayskull, wormhole_b0, blackhole; did you mean wormhole_b0?"),
    ({"dispatch": "eth"}, "TT306", "expected one of: row, column, ethernet, slow; did you mean ethernet?"),
    ({"dispatch": None}, "TT305", "device wormhole_n150: field dispatch is missing"),
    ({"worker_grid": (8, 9)}, "TT309", f"field worker_grid is [8, 9]; expected {GRID_LEFT}"),
    ({"worker_grid": (9, 1)}, "TT309", "field worker_grid is [9, 1]"),
    ({"worker_grid": (0, 1)}, "TT306", "expected [columns, rows], integers from 1 to 64"),
    ({"worker_grid": (-1, 1)}, "TT306", "field worker_grid is [-1, 1]"),
    ({"worker_grid": (5,)}, "TT306", "field worker_grid is [5]"),
    ({"worker_grid": (5.0, 3)}, "TT306", "a list of more than integers"),
    ({"worker_grid": (True, 3)}, "TT306", "a list of more than integers"),
    ({"worker_grid": 5}, "TT306", "field worker_grid is 5"),
    ({"physical_grid": (65, 10)}, "TT306", "integers from 1 to 64"),
    ({"physical_grid": (8, 2)}, "TT309", "of the physical grid of 8x2 cores harvesting and dispatch leave none"),
    ({"dram_banks": 0}, "TT306", "field dram_banks is 0; expected an integer of at least 1"),
    ({"dram_banks": True}, "TT306", "field dram_banks is of type bool"),
    ({"dram_banks": 12.0}, "TT306", "field dram_banks is of type float"),
    ({"dram_banks": "12"}, "TT306", 'field dram_banks is "12"'),
    ({"dram_banks": 2**63}, "TT306", "field dram_banks is an integer beyond 64 bits"),
    ({"dram_base": -1}, "TT306", "expected an integer of at least 0"),
    ({"dram_alignment": 48}, "TT306", "field dram_alignment is 48; expected a power of two"),
    ({"dst_tiles": 6}, "TT306", "field dst_tiles is 6; expected a multiple of 4"),
    ({"l1_base": 1499136}, "TT306", "field l1_base is 1499136; expected less than l1_size, 1499136"),
    ({"dram_bank_size": 1048640}, "TT306", "field dram_base is 1048640; expected less than dram_bank_size"),
    ({"harvested_rows": -1}, "TT306", "expected an integer of at least 0"),
    ({"harvested_rows": 3}, "TT308", "0 columns and 3 rows harvested; expected 0 to 2 rows and no columns"),
    ({"harvested_columns": 1}, "TT308", "expected 0 to 2 rows and no columns on wormhole_b0"),
    ({"dram_bank": 12}, "TT304", 'unknown device field "dram_bank"; expected one of: name, arch'),
    ({"self": 12}, "TT304", 'unknown device field "self"'),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "message"), REFUSALS, ids=lambda value: str(value)[:24])
def test_refused(changes, code, message):
    with pytest.raises(errors.DeviceError) as raised:
        N150.replace(**changes)
    assert raised.value.code == code
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "change", "code", "message"),
    [
        ("blackhole_p150", {"harvested_rows": 1}, "TT308", "expected 0 to 2 columns and no rows on blackhole"),
        ("blackhole_p150", {"dispatch": "row"}, "TT307", '"row" is not known to work on blackhole'),
        ("blackhole_p150", {"dispatch": "ethernet"}, "TT307", "expected one of: column, slow"),
        ("grayskull_e150", {"dispatch": "slow"}, "TT307", "expected one of: row"),
        ("grayskull_e75", {"dispatch": "row"}, "TT307", "expected one of: column"),
    ],
)
def test_refused_by_architecture(name, change, code, message):
    with pytest.raises(errors.DeviceError) as raised:
        Device.from_name(name).replace(**change)
    assert raised.value.code == code
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("n300", "wormhole_n300"),
        ("N150", "wormhole_n150"),
        ("p150a", "blackhole_p150"),
        ("wormhole-n150", "wormhole_n150"),
        ("grayskul_e57", "grayskull_e75"),
        ("galaxy", "wormhole_galaxy"),
        ("h100", "blackhole_p100"),
    ],
)
def test_unknown_name_suggests_the_nearest(name, nearest):
    with pytest.raises(errors.DeviceError) as raised:
        Device.from_name(name)
    known = ", ".join(PRODUCTS)
    assert str(raised.value) == f'TT303: unknown device "{name}"; expected one of: {known}; did you mean {nearest}?'


@pytest.mark.parametrize("name", ["", "gpu", "x" * 1000, "\N{SNOWMAN}"])
def test_unknown_name_that_is_near_to_none(name):
    with pytest.raises(errors.DeviceError, match=r"unknown device .*grayskull_e150$"):
        Device.from_name(name)


@pytest.mark.parametrize("name", [None, 150, ["wormhole_n150"]])
def test_a_name_is_text(name):
    with pytest.raises(errors.DeviceError, match=r"TT303: found .*; expected the name of a device"):
        Device.from_name(name)


# ---- TOML files ----


@pytest.fixture
def read(tmp_path):
    """Reads a device from a text."""

    def read_text(text):
        path = tmp_path / "board.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Device.from_toml(path)

    return read_text


def test_small_device_from_a_base(read):
    device = read('base = "wormhole_n150"\nname = "corner"\nworker_grid = [5, 3]\n')
    assert device == N150.replace(name="corner", worker_grid=(5, 3))
    assert device.num_workers == 15


def test_harvested_device_from_a_base(read):
    """Without a worker grid of its own it has the one that is left, not the base's."""
    assert read('base = "blackhole_p150"\nharvested_columns = 2').worker_grid == (11, 10)


def test_device_of_its_own(read):
    device = read(
        'name = "lab"\narch = "wormhole_b0"\nphysical_grid = [5, 4]\nharvested_columns = 0\nharvested_rows = 0\n'
        'dispatch = "row"\ndram_banks = 12\ndram_alignment = 32\n'
    )
    assert device.worker_grid == (5, 3)
    assert device.l1_size is None


@pytest.mark.parametrize("device", devices(), ids=lambda device: device.name)
def test_toml_round_trip_of_the_table(device, read):
    assert read(device.to_toml()) == device


def test_path_may_be_text(tmp_path):
    (tmp_path / "n150.toml").write_text(N150.to_toml())
    assert Device.from_toml(str(tmp_path / "n150.toml")) == N150


BASE = b'base = "wormhole_n150"\n'


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (b"name = ", "TT315", "board.toml:1:8: Invalid value; expected TOML"),
        (BASE + b"worker_grid = [5, 3", "TT315", "board.toml:2:20: Unclosed array; expected TOML"),
        (BASE + b"worker_grid == [5, 3]", "TT315", "board.toml:2:14: Invalid value; expected TOML"),
        (b"name = 'a'\nname = 'b'", "TT315", "board.toml:2:11: Cannot overwrite a value; expected TOML"),
        (b"\xff\xfe", "TT315", "board.toml: 'utf-8' codec can't decode"),
        (b"a = " + b"[" * 100_000, "TT315", "board.toml: "),
        (b"a = 1" + b"0" * 10_000, "TT315", "board.toml: "),
        (b"", "TT305", "board.toml: device without a name: field name is missing"),
        (b"base = 'wormhole_n51'", "TT303", "board.toml: unknown device"),
        (b"base = 5", "TT303", "board.toml: found 5; expected the name of a device"),
        (BASE + b"dram_bank = 5", "TT304", "board.toml: unknown device field \"dram_bank\""),
        (BASE + b"[l1]\nsize = 5", "TT304", "board.toml: unknown device field \"l1\"; expected one of: name"),
        (BASE + b"worker_grid = [9, 8]", "TT309", "board.toml: device wormhole_n150: field worker_grid is [9, 8]"),
        (BASE + b"worker_grid = '5x3'", "TT306", "field worker_grid is \"5x3\"; expected [columns, rows]"),
        (BASE + b"worker_grid = {x = 5, y = 3}", "TT306", "field worker_grid is of type dict"),
        (BASE + b"dram_banks = 1979-05-27", "TT306", "field dram_banks is of type date"),
        (BASE + b"dram_banks = nan", "TT306", "field dram_banks is of type float"),
        (BASE + b"dram_banks = true", "TT306", "field dram_banks is of type bool"),
        (N150.to_toml().replace("arch = ", "# ").encode(), "TT305", "device wormhole_n150: field arch is missing"),
    ],
)  # fmt: skip
def test_file_is_refused(text, code, message, read):
    with pytest.raises(errors.DeviceError) as raised:
        read(text)
    assert raised.value.code == code
    assert message in str(raised.value)


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        Device.from_toml(tmp_path / "none.toml")


# ---- the attribute tt_device ----


def planned(device, **inputs):
    return infer(bare((100, 7, 1), [("A", (100, 100), "bfloat16")]), device=device, **inputs)


@pytest.mark.parametrize("device", devices(), ids=lambda device: device.name)
def test_a_device_of_the_table_is_written_as_its_name(device):
    func = apply_tt_defaults(bare(), device=device)
    assert func.attrs["tt_device"] == device.name
    assert plain(func.attrs["tt_cores"]) == [[0, 0, device.worker_grid[0] - 1, device.worker_grid[1] - 1]]
    assert Device.of(func) == device
    tvm.ir.assert_structural_equal(func, apply_tt_defaults(bare(), device=device.name))


def test_a_derived_device_is_written_as_its_fields():
    device = Device.from_name("grayskull_e75").with_grid(5, 3)
    func = infer_default_tt_schedule(apply_tt_defaults(bare((100, 1, 1)), device=device))
    assert plain(func.attrs["tt_device"]) == {
        "name": "grayskull_e75",
        "arch": "grayskull",
        "physical_grid": [12, 10],
        "harvested_columns": 0,
        "harvested_rows": 2,
        "dispatch": "column",
        "worker_grid": [5, 3],
        "dram_banks": 8,
        "dram_bank_size": 2**30,
        "l1_size": 2**20,
    }
    assert Device.of(func) == device
    assert schedule_attrs(func) == {**oracle.schedule_attrs((100, 1, 1), [[0, 0, 4, 2]]), "tt_core_grid": [5, 3]}


def test_devices_of_one_name_do_not_mix():
    """What is remembered of one device must not be given for another that shares its name."""
    kernel = bare((4, 4, 1), [("A", (8, 3), "bfloat16")])
    for alignment in (32, 8192, 32):
        func = infer(kernel, device=N150.replace(dram_alignment=alignment))
        assert buffer_attrs(func, "A")["tt_aligned_page_size"] == max(alignment, 2048)
    for columns in (8, 3, 8):
        assert schedule_attrs(planned(N150.with_grid(columns, 8)))["tt_num_cores"] == columns * 8


def test_what_is_not_known_is_refused_by_name():
    e150 = Device.from_name("grayskull_e150")
    func = infer_default_tt_schedule(
        apply_tt_defaults(bare((4, 4, 1), [("A", (8, 3), "bfloat16")]), device="grayskull_e150")
    )
    assert func.attrs["tt_num_cores"] == 108
    with pytest.raises(errors.DeviceError, match="device grayskull_e150: dram_alignment is not known") as raised:
        infer_default_tt_shard(func)
    assert raised.value.code == "TT314"
    assert buffer_attrs(
        infer_default_tt_shard(apply_tt_defaults(func, device=e150.replace(dram_alignment=32))), "A"
    )["tt_aligned_page_size"] == 2048  # fmt: skip


@pytest.mark.stage("defaults")
def test_cores_follow_the_device():
    """Cores that are all of a device's are all of the next one's."""
    func = planned("wormhole_n150")
    for device in (N150.with_grid(5, 3), "blackhole_p150", Device.from_name("blackhole_p150").with_grid(11, 10)):
        func = apply_tt_defaults(func, device=device)
        grid = Device.of(func).worker_grid
        assert plain(func.attrs["tt_cores"]) == [[0, 0, grid[0] - 1, grid[1] - 1]]
    assert not results(func)


@pytest.mark.stage("defaults")
def test_chosen_cores_stay():
    func = apply_tt_defaults(bare(), cores=[[0, 0, 3, 3]])
    assert plain(apply_tt_defaults(func, device="blackhole_p150").attrs["tt_cores"]) == [[0, 0, 3, 3]]
    func = apply_tt_defaults(bare())
    assert plain(apply_tt_defaults(func, device="blackhole_p150", cores=[[0, 0, 7, 7]]).attrs["tt_cores"]) == [
        [0, 0, 7, 7]
    ]
    with pytest.raises(errors.DeviceError, match="leaves the 5x3 worker grid of wormhole_n150"):
        apply_tt_defaults(apply_tt_defaults(bare(), cores=[[0, 0, 6, 6]]), device=N150.with_grid(5, 3))


@pytest.mark.stage("defaults")
def test_again_changes_nothing():
    func = planned(N150.with_grid(5, 3))
    assert apply_tt_defaults(func).same_as(func)
    assert apply_tt_defaults(func, device=N150.with_grid(5, 3)).same_as(func)


FIELDS = N150.with_grid(5, 3).to_dict()


@pytest.mark.stage("defaults")
@pytest.mark.parametrize(
    ("attribute", "code", "message"),
    [
        ("n150", "TT303", 'attribute tt_device: unknown device "n150"'),
        (5, "TT302", "attribute tt_device is not the name of a device or the map of its fields"),
        ([5, 3], "TT302", "attribute tt_device is not the name of a device or the map of its fields"),
        ({}, "TT305", "attribute tt_device: device without a name: field name is missing"),
        ({**FIELDS, "dram_bank": 1}, "TT304", 'attribute tt_device: unknown device field "dram_bank"'),
        ({5: 3}, "TT304", "attribute tt_device: the name of a device field is no text"),
        ({**FIELDS, "dram_banks": True}, "TT306", "field dram_banks is no integer, text or list"),
        ({**FIELDS, "dram_banks": 1.5}, "TT306", "field dram_banks is no integer, text or list"),
        ({**FIELDS, "dram_banks": -1}, "TT306", "field dram_banks is -1; expected an integer of at least 1"),
        ({**FIELDS, "dram_banks": [1]}, "TT306", "field dram_banks is [1]"),
        ({**FIELDS, "worker_grid": [[5], 3]}, "TT306", "field worker_grid is a list of more than integers"),
        ({**FIELDS, "worker_grid": [5, 30]}, "TT309", "field worker_grid is [5, 30]; expected at most 8x8"),
        ({**FIELDS, "arch": "x"}, "TT306", 'field arch is "x"; expected one of: grayskull, wormhole_b0, blackhole'),
        ({key: value for key, value in FIELDS.items() if key != "arch"}, "TT305", "field arch is missing"),
    ],
)  # fmt: skip
def test_attribute_is_refused(attribute, code, message):
    func = apply_tt_defaults(bare()).with_attr("tt_device", attribute)
    for refuse in (apply_tt_defaults, infer_default_tt_schedule, infer_default_tt_shard):
        with pytest.raises(errors.TTError) as raised:
            refuse(func)
        assert raised.value.code == code
        assert message in str(raised.value)


# ---- any device ----

NUMBERS = [field.name for field in dataclasses.fields(Device) if field.default is None]


@st.composite
def derived_devices(draw):
    """Devices of any numbers, beside those that users draw."""
    device = draw(strategies.devices(partial=True))
    changes = {}
    for key in draw(st.lists(st.sampled_from(NUMBERS), max_size=4)):
        number = st.integers(1, 2**62)
        number = st.integers(0, 62).map(lambda power: 2**power) if key.endswith("_alignment") else number
        number = st.integers(1, 2**60).map(lambda quarter: 4 * quarter) if key == "dst_tiles" else number
        number = st.just(0) if key.endswith("_base") else number
        number = st.integers(2**40, 2**62) if key in ("l1_size", "dram_bank_size") else number
        changes[key] = draw(st.none() | number)
    return device.replace(name=draw(st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)), **changes)


@given(derived_devices())
def test_every_derived_device_survives_a_file(device):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "device.toml"
        path.write_text(device.to_toml())
        assert Device.from_toml(path) == device


@given(derived_devices())
@settings(max_examples=30)
def test_every_derived_device_survives_the_ir(device):
    func = infer_default_tt_schedule(apply_tt_defaults(bare((100, 7, 1)), device=device))
    assert Device.of(func) == device
    assert schedule_attrs(func)["tt_core_grid"] == list(device.worker_grid)
    read = tvm.ir.load_json(tvm.ir.save_json(module(func)))["main"]
    assert Device.of(read) == device
    assert tt_attrs(infer_default_tt_schedule(read)) == tt_attrs(func)


if not host.ON_TILELANG:

    @given(derived_devices())
    @settings(max_examples=20)
    def test_every_derived_device_survives_a_script(device):
        func = infer_default_tt_schedule(apply_tt_defaults(copy_kernel(), device=device))
        read = tvm.script.from_source(func.script())
        assert Device.of(read) == device
        assert tt_attrs(infer_default_tt_schedule(read)) == tt_attrs(func)


TOML_WORDS = st.sampled_from(
    [
        'base = "wormhole_n150"\n',
        "worker_grid = ",
        "[5, 3]\n",
        "[",
        "]",
        "{",
        "}",
        "=",
        "\n",
        '"',
        "'''",
        "name",
        "[[a]]\n",
    ]
    + [f"{key} = " for key in FIELDS]
    + [f"{value!r}\n".replace("'", '"') for value in FIELDS.values()]
)


@given(st.lists(TOML_WORDS | st.text(max_size=3), max_size=12).map("".join) | st.binary(max_size=60))
def test_garbage_in_a_file_is_refused(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "device.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        with contextlib.suppress(errors.DeviceError):
            assert isinstance(Device.from_toml(path), Device)
