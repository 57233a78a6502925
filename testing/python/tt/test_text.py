"""A plan as text: the numbers of the plan, aligned, in lines that fit."""

import re
from dataclasses import replace

import pytest
from support import kernels_tirx
from support.host import T
from support.infer import copy_kernel

from tilelang.tt.plan import make_plan
from tilelang.tt.plan.text import Column, Piece, describe, lines, plain, table

pytestmark = pytest.mark.stage("report")

COPY = """\
main on wormhole_n150

grid        11 x 16 x 1 = 176 work tiles, row_major
schedule    contiguous, 64 of 64 cores have work: 48 run 3, 16 run 2
imbalance   3 on the busiest core, 2.75 on average: 8.3% of core time is idle
L1          0 of 1,393,312 bytes (0.0%), in 0 of 32 circular buffers
each core   start_id, count
all cores   grid_x = 11, grid_y = 16, kt_tiles = 1, A_addr, C_addr

Work tiles of each core
     0  1  2  3  4  5  6  7
  0  3  3  3  3  3  3  3  3
  1  3  3  3  3  3  3  3  3
  2  3  3  3  3  3  3  3  3
  3  3  3  3  3  3  3  3  3
  4  3  3  3  3  3  3  3  3
  5  3  3  3  3  3  3  3  3
  6  2  2  2  2  2  2  2  2
  7  2  2  2  2  2  2  2  2

tensor  access  format     shape     padded to  layout            pages  banks      bytes  padding
A       read    Float16_b  1000x700  1024x704   dram_interleaved    704     12  1,441,792       2%
C       write   Float16_b  1000x700  1024x704   dram_interleaved    704     12  1,441,792       2%"""


def copy_plan(shape=(1000, 700), dtype="bfloat16", grid=(11, 16, 1), **inputs):
    return make_plan(copy_kernel(shape, dtype, grid), **inputs)


def test_a_plan():
    assert describe(copy_plan()) == COPY
    assert str(copy_plan()) == COPY


def core_map(text):
    """The rows of the map of the first launch."""
    rows = text.partition("Work tiles of each core\n")[2].partition("\n\n")[0].splitlines()
    return [line.split() for line in rows]


POLICIES = [
    {},
    {"schedule_policy": "strided", "core_order": "column_major"},
    {"schedule_policy": "block_cyclic", "schedule_block_size": 3, "device": "blackhole_p150"},
    {"schedule_policy": "rectangular", "cores": [[1, 1, 3, 2]]},
    {"cores": [[1, 1, 3, 2], [5, 5, 6, 7]]},
    {"cores": [[2, 0, 2, 3], [0, 0, 0, 0]], "core_order": "column_major"},
]


@pytest.mark.parametrize("inputs", POLICIES, ids=str)
@pytest.mark.parametrize("grid", [(11, 16, 1), (1, 1, 1), (3, 2, 5)], ids=str)
def test_core_map(inputs, grid):
    """Every core where it is, with the work tiles that its runs have."""
    plan = copy_plan(grid=grid, **inputs)
    kernel = plan.kernel()
    launch = kernel.launches[0]
    cores = []
    for x0, y0, x1, y1 in kernel.inputs.cores:
        found = [(x, y) for y in range(y0, y1 + 1) for x in range(x0, x1 + 1)]
        cores += found if kernel.inputs.core_order == "row_major" else sorted(found)
    work = dict.fromkeys(cores, 0)
    for run in launch.tile_runs:
        work[cores[run.core]] += run.length * run.repeat
    columns, rows = kernel.device.worker_grid
    head, *body = core_map(str(plan))
    assert head == [str(x) for x in range(columns)]
    assert body[:rows] == [[str(y), *(str(work.get((x, y), "-")) for x in range(columns))] for y in range(rows)]
    assert (len(body) == rows) == (len(work) == columns * rows)
    assert sum(work.values()) == launch.num_tiles


def test_roles():
    """What has colours colours by these: shares of the most, idle cores, and cores of others."""
    plan = copy_plan(grid=(11, 1, 1), schedule_policy="block_cyclic", schedule_block_size=8, cores=[[0, 0, 3, 0]])
    roles = {piece.text.strip(): piece.role for line in lines(plan) for piece in line if piece.role}
    assert {key: roles[key] for key in ("8", "-")} == {"8": "heat4", "-": "unused"}
    assert roles["main"] == "title"
    idle = {piece.text.strip() for line in lines(plan) for piece in line if piece.role == "idle"}
    assert idle == {"0"}
    assert {piece.role for line in lines(copy_plan()) for piece in line} >= {"heat3", "heat4", "label", "head"}


@pytest.mark.parametrize("width", [80, 100, 140])
def test_width(width):
    text = describe(copy_plan(device="blackhole_p150"), width)
    assert max(map(len, text.splitlines())) <= width


def test_large_counts_stay_short():
    text = describe(copy_plan(grid=(4096, 4096, 4)))
    assert core_map(text)[1][1:] == ["1048k"] * 8
    assert max(map(len, text.splitlines())) <= 100


def test_symbolic():
    @T.prim_func
    def rows(a: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 64), "bfloat16")
        bx = T.launch_thread("blockIdx.x", (m + 31) // 32)
        for i, j in T.grid(32, 64):
            if bx * 32 + i < m:
                A[bx * 32 + i, j] = T.bfloat16(1)

    text = str(make_plan(rows))
    launch = make_plan(rows).kernel().launches[0]
    assert text.startswith("rows on wormhole_n150, for any m\n")
    assert "grid        (m + 31) // 32 x 1 x 1 = (m + 31) // 32 work tiles" in text
    assert f"\n  start     {launch.tile_range.start}\n  count     {launch.tile_range.count}\n" in text
    assert "Work tiles of each core" not in text
    assert re.search(r"^A +write +Float16_b +mx64 +", text, re.MULTILINE)


def test_several_kernels_and_warnings():
    plan = copy_plan((64,), "float16")
    text = describe(replace(plan, kernels=plan.kernels * 2))
    assert text.count("main on wormhole_n150\n") == 2
    assert text.count("\n\nwarning: TT406: kernel `main` stores ") == 2 * len(plan.kernel().warnings) > 0


@pytest.mark.parametrize("case", kernels_tirx.CASES, ids=lambda case: case.name)
def test_every_tensor_and_argument_is_there(case):
    plan = make_plan(case.build())
    text = str(plan)
    for kernel in plan.kernels:
        for buffer in kernel.buffers:
            assert re.search(rf"^{re.escape(buffer.name)} .*{re.escape(buffer.data_format)}", text, re.MULTILINE)
        for launch in kernel.launches:
            assert all(argument.name in text for argument in launch.runtime_arguments)
            assert all(buffer.name in text for buffer in launch.on_chip.circular_buffers)


COLUMNS = (Column("name"), Column("number", right=True, rank=1), Column("note", rank=2))
ROWS = [["a", "1", "short"], ["longer", "22,222", Piece("long note", "warning")]]


def test_table():
    assert plain(table(COLUMNS, ROWS)).splitlines() == [
        "name    number  note",
        "a            1  short",
        "longer  22,222  long note",
    ]
    assert [*table(COLUMNS, ROWS)][2][2] == Piece("long note  ", "warning")


@pytest.mark.parametrize(("width", "shown"), [(25, 3), (24, 2), (14, 2), (13, 1), (1, 1)])
def test_columns_that_do_not_fit(width, shown):
    assert {len(line) for line in table(COLUMNS, ROWS, width)} == {shown}


def test_empty_table():
    assert plain(table(COLUMNS, [])) == "name  number  note"
