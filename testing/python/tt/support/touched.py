"""Which elements of its tensors a kernel touches: every work tile, thread, loop and access, one by one."""

from itertools import product
from operator import add, floordiv, ge, gt, le, lshift, lt, mod, mul, rshift, sub

READ, WRITE = 1, 2
OPERATORS = {
    "Add": add, "Sub": sub, "Mul": mul, "FloorDiv": floordiv, "FloorMod": mod, "Div": floordiv, "Mod": mod,
    "Min": min, "Max": max, "LT": lt, "LE": le, "GT": gt, "GE": ge,
    "LShift": lshift, "RShift": rshift, "EQ": lambda a, b: a == b, "NE": lambda a, b: a != b,
    "And": lambda a, b: bool(a and b), "Or": lambda a, b: bool(a or b),
}  # fmt: skip


class Interpreter:
    """Runs a kernel for its indices: what it computes is not known, and nothing may depend on it."""

    def __init__(self, func):
        self.func = func
        self.buffers = {}  # parameter index by the buffer's memory
        self.shapes = {}
        for index, param in enumerate(func.params):
            buffer = getattr(func, "buffer_map", {}).get(param, param)
            shape = getattr(buffer, "shape", None)
            shape = getattr(getattr(buffer, "ty", None), "shape", None) if shape is None else shape
            if shape is not None:
                self.buffers[self.memory(buffer)] = index
                self.shapes[index] = [int(extent) for extent in shape]
        self.env = {}
        self.cells = {}
        self.touched = {}  # (work tile, parameter, READ or WRITE) -> elements
        self.block = {"x": 0, "y": 0, "z": 0}
        self.threads = [1, 1, 1]

    @staticmethod
    def memory(buffer):
        return hash(buffer.data if type(buffer).__name__ == "Buffer" else buffer)

    def run(self):
        self.stmt(self.func.body)
        return self.touched

    def touch(self, buffer, box, access):
        index = self.buffers.get(self.memory(buffer))
        if index is None:
            return
        if len(box) != len(self.shapes[index]):
            box = box[: len(self.shapes[index])]  # of a tensor without dimensions
        inside = [range(max(0, first), min(first + n, size))
                  for (first, n), size in zip(box, self.shapes[index], strict=True)]  # fmt: skip
        tile = tuple(self.block[axis] for axis in "xyz")
        for bit in (READ, WRITE):
            if access & bit:
                self.touched.setdefault((tile, index, bit), set()).update(product(*inside))

    # Statements.

    def stmt(self, node):
        name = type(node).__name__
        if name == "SeqStmt":
            self.sequence(list(node.seq))
        elif name == "For":
            self.loop(node)
        elif name == "AttrStmt" and node.attr_key == "thread_extent":
            self.bind_thread(node.node.var, node.node.thread_tag, int(self.expr(node.value)), node.body)
        elif name in ("AttrStmt", "DeclBuffer", "AllocBuffer", "LetStmt"):
            if getattr(node, "body", None) is not None:
                self.stmt(node.body)
        elif name == "IfThenElse":
            if self.expr(node.condition):
                self.stmt(node.then_case)
            elif node.else_case is not None:
                self.stmt(node.else_case)
        elif name == "Bind":
            self.bind(node)
        elif name == "SBlockRealize":
            self.realize(node)
        elif name == "BufferStore":
            value = self.expr(node.value)
            box = [(self.expr(index), 1) for index in node.indices]
            self.touch(node.buffer, box, WRITE)
            self.cells[self.memory(node.buffer), tuple(first for first, _ in box)] = value
        elif name == "Evaluate":
            self.expr(node.value)
        else:
            raise NotImplementedError(name)

    def sequence(self, parts):
        for position, part in enumerate(parts):
            if type(part).__name__ == "ScopeIdDefStmt":
                self.scope(getattr(part, "def"), parts[position + 1 :])
                return
            self.stmt(part)

    def scope(self, scope, rest):
        """What follows runs for every value of the indices; TIRx numbers its scopes."""
        kernel_cta = int(scope.scope) == 1
        for values in product(*(range(self.expr(extent)) for extent in scope.extents or [1] * len(scope.def_ids))):
            for axis, var, value in zip("xyz", scope.def_ids, values, strict=False):
                self.env[hash(var)] = value
                if kernel_cta:
                    self.block[axis] = value
            self.sequence(rest)

    def loop(self, node):
        extent = self.expr(node.extent)
        if node.thread_binding is not None:
            self.bind_thread(node.loop_var, node.thread_binding.thread_tag, int(extent), node.body)
            return
        first, step = self.expr(node.min), self.expr(getattr(node, "step", None) or 1)
        for i in range(0, extent, step):
            self.env[hash(node.loop_var)] = first + i
            self.stmt(node.body)

    def bind_thread(self, var, tag, extent, body):
        for i in range(extent):
            self.env[hash(var)] = i
            if tag.startswith("blockIdx."):
                self.block[tag[-1]] = i
            self.stmt(body)

    def bind(self, node):
        call = node.value
        if getattr(getattr(call, "op", None), "name", "") == "tl.launch_thread_idx":
            self.env[hash(node.var)] = None
        else:
            self.env[hash(node.var)] = self.expr(node.value)

    def realize(self, node):
        for axis, value in zip(node.block.iter_vars, node.iter_values, strict=True):
            self.env[hash(axis.var)] = self.expr(value)
        if not self.expr(node.predicate):
            return
        if node.block.init is not None:
            self.stmt(node.block.init)
        self.stmt(node.block.body)

    # Expressions: a number, or None where it is not one that indices depend on.

    def expr(self, node):
        if isinstance(node, (bool, int)):
            return node
        name = type(node).__name__
        if name == "IntImm":
            return int(node.value)
        if name in ("FloatImm", "StringImm"):
            return None
        if name in ("Var", "SizeVar"):
            return self.env.get(hash(node))
        if name in OPERATORS:
            a, b = self.expr(node.a), self.expr(node.b)
            return None if a is None or b is None else OPERATORS[name](a, b)
        if name == "Not":
            a = self.expr(node.a)
            return None if a is None else not a
        if name in ("BufferLoad", "TensorLoad"):
            buffer = getattr(node, "buffer", None)
            buffer = node.source if buffer is None else buffer
            at = [self.expr(index) for index in node.indices]
            self.touch(buffer, [(first, 1) for first in at], READ)
            return self.cells.get((self.memory(buffer), tuple(at)))
        if name == "Cast":
            return self.expr(node.value)
        if name == "Select":
            return self.expr(node.true_value if self.expr(node.condition) else node.false_value)
        if name == "Call":
            return self.call(node)
        for operand in (getattr(node, "a", 0), getattr(node, "b", 0)):
            self.expr(operand)
        return None

    def call(self, node):
        op = getattr(node.op, "name", "")
        if op.endswith("if_then_else"):
            condition, yes, no = node.args
            taken = self.expr(condition)
            if taken is None:  # it depends on what is computed
                self.expr(yes), self.expr(no)
                return None
            return self.expr(yes if taken else no)
        if op.startswith("tl.tileop."):
            for arg in node.args:
                self.region(arg, op)
            return None
        if op == "tl.access_ptr":
            load, _, mask = node.args
            self.touch(load.buffer, [(self.expr(index), 1) for index in load.indices], int(mask))
            return None
        values = [self.expr(arg) for arg in node.args]
        if op.endswith("shift_right") and None not in values:
            return values[0] >> values[1]
        return None

    def region(self, arg, op):
        if getattr(getattr(arg, "op", None), "name", "") != "tl.region":
            return
        load, mask, *extents = arg.args
        box = [(self.expr(i), self.expr(n)) for i, n in zip(load.indices, extents, strict=True)]
        access = READ | WRITE if "atomic" in op and int(mask) & WRITE else int(mask)
        self.touch(load.buffer, box, access)


def touched(func):
    """``(work tile, parameter, 1 for reads and 2 for writes)`` -> the elements, as tuples of indices."""
    return Interpreter(func).run()
