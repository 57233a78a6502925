from tilelang.tt import Device, devices

print(", ".join(device.name for device in devices()[:3]), "and", len(devices()) - 3, "more")
n150 = Device.from_name("wormhole_n150")
print(n150.worker_grid, "workers,", n150.dram_banks, "banks,", n150.l1_size, "bytes of L1 each")

# Prints:
# wormhole_n150, wormhole_n300, wormhole_t3000 and 7 more
# (8, 8) workers, 12 banks, 1499136 bytes of L1 each
