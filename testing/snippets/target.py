from tilelang.tt.backend import make_target

target = make_target("wormhole_n150")
print(target.kind.name, list(target.keys))

# Prints:
# ext_dev ['tenstorrent']
