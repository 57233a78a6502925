"""The device table."""

import dataclasses

import pytest

from tilelang.tt import Device, devices


def test_wormhole_n150():
    """The numbers of ttnn 0.81.1: a mock n150 with fast dispatch, its soc descriptor and its NoC parameters."""
    (n150,) = [device for device in devices() if device.name == "wormhole_n150"]
    assert n150 == Device(
        name="wormhole_n150", arch="wormhole_b0", worker_grid=(8, 8), dram_banks=12, dram_alignment=32
    )


def test_default_comes_first():
    assert devices()[0].name == "wormhole_n150"


def test_names_are_unique():
    names = [device.name for device in devices()]
    assert len(names) == len(set(names))


def test_devices_are_values():
    assert devices() == devices()
    with pytest.raises(dataclasses.FrozenInstanceError):
        devices()[0].dram_banks = 1
