"""Plans side by side: ranks, refusals, differences, and the tables that show them."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from support import host, kernels_tirx
from support.host import T
from support.infer import copy_kernel
from test_estimate import N150, P150, matmul

from tilelang.tt import Device, errors, specialize
from tilelang.tt.plan import Plan, Row, compare, figures, make_plan, model, what_if
from tilelang.tt.plan.text import plain

pytestmark = pytest.mark.stage("report")

PROVENANCE = model.Provenance("0", "none", ())
SIZES = {"M": 96, "N": 160, "K": 64, "block_M": 32, "block_N": 32}


def whole(*kernels):
    return Plan(kernels, PROVENANCE)


def test_every_combination_is_a_row():
    found = what_if(
        kernels_tirx.gemm(**SIZES),
        devices=["wormhole_n150", Device.from_name("blackhole_p150").with_grid(2, 2)],
        policies=["contiguous", ("block_cyclic", 2)],
        orders=["column_major", ("swizzled_row", 2)],
        tiles=[(32, 32), (16, 32)],
    )
    rows = {(row.device, row.schedule_policy, row.schedule_order, row.tile) for row in found.rows}
    assert len(rows) == len(found.rows) == 16
    assert {"contiguous", "block_cyclic 2"} == {row.schedule_policy for row in found.rows}
    assert {"column_major", "swizzled_row 2"} == {row.schedule_order for row in found.rows}
    assert found.kernel == "main"


def test_rows_say_what_the_figures_say():
    kernel = kernels_tirx.gemm(**SIZES)
    (row,) = what_if(kernel, cores=[[0, 0, 1, 1]]).rows
    found = figures(make_plan(kernel, cores=[[0, 0, 1, 1]]))
    assert (row.name, row.device, row.error, row.unknown) == ("as it is", "wormhole_n150", None, ())
    assert (row.num_cores, row.num_active_cores, row.imbalance) == (4, 4, 4 / (15 / 4))
    assert (row.dram_read_bytes, row.dram_written_bytes) == (found.dram_read_bytes, found.dram_written_bytes)
    assert row.most_bytes_of_a_core == (found.per_core("read") + found.per_core("written")).max()
    assert row.most_bytes_of_a_bank == (found.per_bank("read") + found.per_bank("written")).max()
    assert row.multicast_saved_bytes == found.multicast_saved_bytes


def test_the_fastest_is_first():
    plans = {"n150": matmul(1024, 1024, 1024, (8, 8), N150), "p150": matmul(1024, 1024, 1024, (8, 8), P150)}
    old = matmul(1024, 1024, 1024, (8, 8), Device.from_name("grayskull_e150"))
    found = compare([("old", old), *plans.items()])
    assert [row.name for row in found.rows] == ["p150", "n150", "old"]
    assert found.rows[-1].microseconds is None


def test_refused_combinations_stay():
    found = what_if(
        copy_kernel(),
        devices=["wormhole_n150", "wormhole_n15"],
        policies=["contiguous", "block_cyclic"],
        orders=["row_major", "swizzled_row"],
        tiles=[(32, 32), (5, 5)],
    )
    refused = [row for row in found.rows if row.error]
    assert (len(found.rows), len(refused)) == (16, 15)
    assert found.rows[0].error is None
    assert {row.error[:5] for row in refused} >= {"TT301"} or all(row.error.startswith("TT") for row in refused)
    last = next(row for row in refused if row.name == "wormhole_n15, block_cyclic, swizzled_row, tiles 5x5")
    assert (last.device, last.schedule_policy, last.schedule_order, last.tile) == (
        "wormhole_n15",
        "block_cyclic",
        "swizzled_row",
        (5, 5),
    )
    assert last.num_cores is None


def test_symbolic_kernels_are_refused_at_once():
    @T.prim_func
    def main(a: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 64), "float32")
        bx = T.launch_thread("blockIdx.x", m)
        A[bx, 0] = T.float32(0)

    with pytest.raises(errors.PlanError, match="TT850"):
        what_if(main, devices=["wormhole_n150"])
    (row,) = what_if(specialize(main, m=7)).rows
    assert row.num_active_cores == 7


def test_unknown_fidelity_is_refused_at_once():
    with pytest.raises(errors.OptionError, match="TT851"):
        what_if(copy_kernel(), fidelity="HiFi1")


def test_table_and_json():
    found = what_if(
        kernels_tirx.gemm(**SIZES), devices=["wormhole_n150", "grayskull_e75"], policies=["contiguous", "spiral"]
    )
    lines = str(found).splitlines()
    assert lines[0] == "main:"
    assert lines[1].split()[:4] == ["plan", "cores", "imbalance", "padding"]
    assert lines[2].startswith("wormhole_n150, contiguous")
    assert "15/64" in lines[2]
    assert lines[2].endswith("us (dram)")
    assert lines[-1].startswith("times are estimates")
    assert any("spiral" in line and "refused: TT" in line for line in lines)
    data = json.loads(found.to_json())
    assert [set(row) for row in data["rows"]] == [set(Row.__dataclass_fields__)] * 4
    assert data["rows"][0]["dram_read_bytes"] == found.rows[0].dram_read_bytes


def test_tables_fit():
    found = what_if(kernels_tirx.gemm(**SIZES), devices=["wormhole_n150", "blackhole_p150"])
    tables = {width: plain(found.lines(width)).splitlines() for width in (80, 120, 200)}
    assert all(max(map(len, lines[1:-1])) <= width for width, lines in tables.items())
    titles = [[*re.split("  +", lines[1].strip())] for lines in tables.values()]
    assert len(titles[0]) < len(titles[1]) < len(titles[2]) == 14
    assert {"plan", "cores", "estimate"} <= {*titles[0]}


def test_what_does_not_fit_a_core_is_marked():
    one = matmul(64, 64, 64, (8, 8), N150)
    launch = replace(
        one.launches[0], on_chip=replace(one.launches[0].on_chip, l1_bytes=2**21, l1_available_bytes=2**20)
    )
    lines = plain(compare([("large", replace(one, launches=(launch,)))]).lines(200)).splitlines()
    assert "  2.0 MiB !  " in lines[2]
    assert lines[3] == "! more than a core has"


def test_progress():
    seen = []

    def progress(combinations):
        for one in combinations:
            yield one
            seen.append(one)

    what_if(copy_kernel(), devices=["wormhole_n150", "blackhole_p150"], progress=progress)
    assert [one["device"] for one in seen] == ["wormhole_n150", "blackhole_p150"]


def test_the_same_plan():
    plan = whole(matmul(64, 64, 64, (8, 8), N150))
    assert not plan.diff(plan)
    assert str(plan.diff(plan)) == "the plans are the same"


def test_differences_by_field():
    old, new = (
        make_plan(kernels_tirx.gemm(**SIZES)),
        make_plan(kernels_tirx.gemm(**{**SIZES, "M": 128}), cores=[[0, 0, 1, 1]]),
    )
    found = old.diff(new)
    changes = {change.where: (change.old, change.new) for change in found.changes}
    assert changes["main: inputs.cores"] == ("((0, 0, 7, 7),)", "((0, 0, 1, 1),)")
    assert changes["main, launch 0: grid"] == ("(5, 3, 1)", "(5, 4, 1)")
    assert changes["main, launch 0: work tiles of cores"] == ("15 runs", "4 runs, of which 15 cores have others")
    assert changes["main, tensor A: num_pages"] == ("6", "8")
    assert changes["main, launch 0, runtime argument grid_y: value"] == ("3", "4")
    assert not any("tensor B" in where for where in changes)
    (comparison,) = found.comparisons
    assert [row.name for row in comparison.rows] == ["first", "second"]
    text = str(found)
    assert "main, tensor A: num_pages: 6 -> 8" in text
    assert "imbalance" in text
    assert json.loads(found.to_json())["changes"][0]["where"] == found.changes[0].where


def test_what_only_one_plan_has():
    one = matmul(64, 64, 64, (8, 8), N150)
    fewer = replace(one, buffers=one.buffers[:2], warnings=(model.PlanWarning("TT610", "mind"),))
    found = whole(one, replace(one, name="other")).diff(whole(fewer))
    assert list(map(str, found.changes)) == [
        "main, tensor T2: only in the first plan",
        "main, warning 0: only in the second plan",
        "kernel other: only in the first plan",
    ]


def test_plans_with_texts_have_no_figures():
    one = matmul(64, 64, 64, (8, 8), N150)
    found = whole(replace(one, shape_variables=("m",))).diff(whole(one))
    first, second = found.comparisons[0].rows
    assert first.error.startswith("TT850")
    assert second.error is None


def test_plan_files_are_compared_without_tvm(tmp_path):
    for name, grid in [("a", (8, 8)), ("b", (4, 4))]:
        whole_plan = Plan(
            (matmul(256, 256, 256, grid, N150),),
            model.Provenance("0", "none", (model.KernelProvenance("main", None, None, ()),)),
        )
        whole_plan.save(tmp_path / f"{name}.json")
    hidden = "sys.modules['tvm'] = None"
    code = (
        # TileLang's own package imports TVM whenever anything in it is imported.
        f"import sys; {'' if host.ON_TILELANG else hidden}\n"
        "from tilelang.tt.plan import Plan\n"
        "print(Plan.load('a.json').diff(Plan.load('b.json')))\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "main: inputs.cores: " in done.stdout, done.stderr
