"""The estimate: its formulas by hand, and published measurements, which it must not exceed."""

import numpy as np
import pytest
from test_plan_traffic import buffer, kernel

from tilelang.tt import Device, errors
from tilelang.tt.plan import Plan, estimate, figures, model

pytestmark = pytest.mark.stage("report")

N150 = Device.from_name("wormhole_n150")
P150 = Device.from_name("blackhole_p150")


def matmul(m, n, k, grid, device, dtype="bfloat16"):
    """As tt-metal computes it: one block of C for each core, all of K at once."""
    rows, columns = -(-m // 32 // grid[1]) * 32, -(-n // 32 // grid[0]) * 32
    shape = (-(-n // columns), -(-m // rows), 1)
    tensors = [buffer((m, k), index=0), buffer((k, n), index=1), buffer((m, n), index=2)]
    transfers = [
        model.Transfer(0, "read", (f"by * {rows}", 0), (rows, k), (), None),
        model.Transfer(1, "read", (0, f"bx * {columns}"), (k, columns), (), None),
        model.Transfer(2, "write", (f"by * {rows}", f"bx * {columns}"), (rows, columns), (), None),
    ]
    product = model.Product(rows, columns, k, (dtype, dtype, "float32"), (), None)
    runs = [model.TileRun(y * grid[0] + x, y * shape[0] + x, 1, 0, 1) for y in range(shape[1]) for x in range(shape[0])]
    cores = ((0, 0, grid[0] - 1, grid[1] - 1),)
    return kernel(shape, runs, tensors, transfers, [product], cores=cores, device=device)


# Source: tt-metal, tech_reports/GEMM_FLOPS/GEMM_FLOPS.md; TFLOPS where it gives no time.
ANCHORS = [
    (N150, (8, 8), 1024, 1024, 1024, "HiFi2", 68.984),
    (N150, (8, 8), 2048, 2048, 2048, "HiFi2", 298.922),
    (N150, (8, 8), 4096, 4096, 4096, "HiFi2", 2008.533),
    (N150, (8, 8), 2048, 2048, 2048, "HiFi4", 332.494),
    (N150, (8, 8), 3072, 3072, 3072, "HiFi4", 2 * 3072**3 / 51.9e6),
    (N150, (8, 8), 2048, 2048, 2048, "HiFi2", 2 * 2048**3 / 76.6e6),
    (N150, (8, 8), 4096, 4096, 4096, "LoFi", 2 * 4096**3 / 148.2e6),
    (P150, (13, 10), 5120, 6656, 6656, "HiFi2", 2 * 5120 * 6656 * 6656 / 281.8e6),
    (P150, (11, 10), 2560, 4224, 4224, "HiFi4", 2 * 2560 * 4224 * 4224 / 142.4e6),
    (P150, (11, 10), 2560, 4224, 4224, "HiFi2", 2 * 2560 * 4224 * 4224 / 268e6),
]


@pytest.mark.parametrize(("device", "grid", "m", "k", "n", "fidelity", "microseconds"), ANCHORS)
def test_never_more_than_measured(device, grid, m, k, n, fidelity, microseconds):
    found = estimate(matmul(m, n, k, grid, device), fidelity=fidelity, multicast=True)
    assert 0.3 * microseconds < found.microseconds < microseconds


def test_table_of_the_page():
    times = [estimate(matmul(n, n, n, (8, 8), N150), multicast=True).microseconds for n in (1024, 2048, 4096)]
    assert [round(time, 1) for time in times] == [21.8, 131.1, 1048.6]


def test_formulas():
    plan = matmul(1024, 1024, 1024, (8, 8), N150)
    found = estimate(plan)
    assert found.compute_cycles == 4 * 4 * 32 * 32
    assert found.noc_cycles == (128 * 1024 + 1024 * 128) * 2 / 32
    assert found.dram_cycles == (64 * 2 * 128 * 1024 * 2 + 1024 * 1024 * 2) / 288
    assert found.total_cycles == found.at_least_cycles == found.dram_cycles
    assert (found.limited_by, found.unknown) == ("dram", ())
    assert found.microseconds == found.total_cycles / 1000
    assert str(found) == "estimate: at least 123,790 cycles = 123.8 us, limited by dram"
    shared = estimate(plan, multicast=True)
    assert shared.dram_cycles == 3 * 1024 * 1024 * 2 / 288
    assert estimate(plan, fidelity="HiFi4").compute_cycles == 2 * found.compute_cycles
    assert estimate(matmul(1024, 1024, 1024, (8, 8), N150, dtype="float32")).compute_cycles == 2 * found.compute_cycles


def test_figures():
    found = figures(matmul(96, 1024, 64, (8, 8), N150))
    assert (found.num_cores, found.num_active_cores, found.imbalance) == (64, 24, 64 / 24)
    assert found.tiles_per_core.tolist() == [1] * 24 + [0] * 40
    assert found.launches[0].tile_products_per_core["HiFi2"].tolist() == [1 * 4 * 2] * 24 + [0] * 40
    assert found.per_core("read").sum() == found.per_bank("read").sum() == found.dram_read_bytes
    assert found.per_core("read", "l1").tolist() == [0] * 64
    assert found.launches[0].buffers[0].distinct_read_bytes == 3 * 2 * 2048
    assert (found.padding_percent, found.l1_bytes) == (0, 0)


def test_launches_follow_each_other():
    once = matmul(1024, 1024, 1024, (8, 8), N150)
    twice = model.Kernel(**{**vars(once), "launches": once.launches * 2})
    assert figures(twice).dram_read_bytes == 2 * figures(once).dram_read_bytes
    assert estimate(twice).total_cycles == 2 * estimate(once).total_cycles


def test_nothing_is_known_of_old_chips():
    found = estimate(matmul(1024, 1024, 1024, (8, 8), Device.from_name("grayskull_e150")))
    assert (found.total_cycles, found.noc_cycles, found.dram_cycles, found.limited_by) == (None,) * 4
    assert found.at_least_cycles == found.compute_cycles == 16384
    assert found.unknown == tuple(f"{name} of grayskull_e150" for name in ("clock_mhz", "noc_width", "dram_mb_per_s"))
    assert str(found).startswith("estimate: unknown (clock_mhz of grayskull_e150; ")


def test_dtypes_of_unknown_fidelity():
    plan = matmul(1024, 1024, 1024, (8, 8), N150, dtype="int8")
    assert estimate(plan).compute_cycles is None
    assert "fidelity" in estimate(plan).unknown[0]
    assert estimate(plan, fidelity="LoFi").compute_cycles == 8192


def test_product_that_is_not_understood():
    product = model.Product(None, None, None, (), (), "the operation f")
    plan = matmul(64, 64, 64, (8, 8), N150)
    (launch,) = plan.launches
    traffic = model.Traffic(launch.traffic.transfers, (product,))
    plan = model.Kernel(**{**vars(plan), "launches": (model.Launch(**{**vars(launch), "traffic": traffic}),)})
    assert figures(plan).unknown == ("a product of matrices: the operation f",)
    assert estimate(plan).compute_cycles is None


def test_unknown_fidelity():
    with pytest.raises(errors.OptionError, match="fidelity is 'HiFi1'") as caught:
        estimate(matmul(64, 64, 64, (8, 8), N150), fidelity="HiFi1")
    assert caught.value.code == "TT851"


def test_figures_at_hand():
    plan = Plan((matmul(64, 64, 64, (8, 8), N150),), model.Provenance("0", "none", ()))
    assert estimate(plan, figures=figures(plan)) == estimate(plan)
    assert isinstance(figures(plan).tiles_per_core, np.ndarray)
