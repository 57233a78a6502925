"""One GEMM for four devices: how its work splits over the cores of each, and where its tensors lie."""

from pathlib import Path

from gemm import gemm

from tilelang.tt import (
    Device,
    apply_tt_defaults,
    buffer_attrs,
    infer_default_tt_schedule,
    infer_default_tt_shard,
    schedule_attrs,
)

DEVICES = (
    "wormhole_n150",
    "wormhole_n300",
    Device.from_name("blackhole_p150").with_harvested(columns=2),
    Device.from_toml(Path(__file__).with_name("corner.toml")),
)


def main():
    print("device          cores  work tiles on the busiest  DRAM banks  pages of A in the fullest")
    kernel = gemm()
    for device in DEVICES:
        kernel = infer_default_tt_shard(infer_default_tt_schedule(apply_tt_defaults(kernel, device=device)))
        device = Device.of(kernel)
        schedule, a = schedule_attrs(kernel), buffer_attrs(kernel, "A")
        busiest = max(count for _, count in schedule["tt_tiles_per_core"])
        pages = -(-a["tt_num_pages"] // a["tt_num_banks"])
        columns, rows = device.worker_grid
        print(f"{device.name:14}  {columns:2}x{rows:2}  {busiest:25}  {a['tt_num_banks']:10}  {pages:25}")


if __name__ == "__main__":
    main()
