from tilelang.tt import transform
from tvm.ir.transform import Pass, Sequential

# A pass of this package is one of the host's own, whichever is installed.
made = transform.InferDefaultTTSchedule()
print(isinstance(made, Pass), made.info.name)
print(isinstance(Sequential([transform.ApplyTTDefaults(), made]), Pass))

# Prints:
# True tt.InferDefaultTTSchedule
# True
