from tilelang.tt import Device, errors

try:
    Device.from_name("wormhole_n15")
except errors.DeviceError as error:
    print(str(error).partition("; expected")[0])

# Prints:
# TT303: unknown device "wormhole_n15"
