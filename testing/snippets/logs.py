from tilelang.tt import errors, set_logs
from tilelang.tt.logs import CHANNELS

print(len(CHANNELS), "channels, the first of them", ", ".join(list(CHANNELS)[:3]))
try:
    set_logs("+shedule")
except errors.OptionError as error:
    print(str(error).splitlines()[-1])

# Prints:
# 13 channels, the first of them defaults, schedule, shard
# help: the nearest is schedule
