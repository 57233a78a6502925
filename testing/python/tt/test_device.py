"""The device table, devices derived from it, and devices in TOML files and attributes."""

import dataclasses

import pytest

from tilelang.tt import Device, devices, errors


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
    **dict.fromkeys(("circular_buffers", "cb_alignment", "dst_tiles", "clock_mhz", "noc_width")),
}
PRODUCTS = {
    "wormhole_n150": {**WORMHOLE, "worker_grid": (8, 8), "num_workers": 64},
    "wormhole_n300": {**WORMHOLE, "worker_grid": (8, 8)},
    "wormhole_t3000": {**WORMHOLE, "worker_grid": (8, 8)},
    "wormhole_galaxy": {**WORMHOLE, "worker_grid": (8, 9)},
    "blackhole_p100": {**BLACKHOLE, "worker_grid": (11, 10), "dram_banks": 7},
    "blackhole_p150": {**BLACKHOLE, "worker_grid": (13, 10), "num_workers": 130},
    "blackhole_p300": {**BLACKHOLE, "worker_grid": (11, 10)},
    "blackhole_galaxy": {**BLACKHOLE, "worker_grid": (12, 10)},
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


def test_dst_tiles_of_grayskull():
    with pytest.raises(errors.DeviceError, match="grayskull_e75: dst_tiles is not known"):
        Device.from_name("grayskull_e75").max_dst_tiles()
