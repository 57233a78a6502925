"""The host's passes, and what runs them: contexts, instruments, sequences and their options."""

import pytest
from host import ADD_ONE, MATMUL, SIMPLIFY, function, module, tirx, tvm, tvm_ffi
from tvm import s_tir
from tvm.ir.instrument import PassTimingInstrument, pass_instrument
from tvm.ir.transform import PassContext, Sequential, module_pass
from tvm.tirx.transform import prim_func_pass

HEAD = 'def main(A: T.Buffer((16,), "int32")):\n'
# What a pass makes of a function.
REWRITES = {
    "UnrollLoop": (
        "    for i in T.unroll(2):\n        A[i] = i",
        "    A[0] = 0\n    A[1] = 1",
    ),
    "VectorizeLoop": (
        "    for i in T.vectorized(4):\n        A[i] = i",
        "    A[0:4] = T.Ramp(0, 1, 4)",
    ),
    "RemoveNoOp": (
        "    for i in T.serial(4):\n        T.evaluate(0)\n    A[0] = 1",
        "    A[0] = 1",
    ),
    SIMPLIFY: (
        "    for i in T.serial(4):\n        if i < 4:\n            A[i] = i * 2 - i",
        "    for i in T.serial(4):\n        A[i] = i",
    ),
    "ForceNarrowIndexToInt32": (
        "    for i in T.serial(T.int64(4)):\n        A[i] = 1",
        "    for i in T.serial(4):\n        A[i] = 1",
    ),
    "SkipAssert": (
        '    assert A[0] == 1, "no"\n    A[0] = 1',
        "    A[0] = 1",
    ),
    "RemoveAssume": (
        "    T.evaluate(T.assume(A[0] == 1))\n    A[0] = 1",
        "    A[0] = 1",
    ),
}
# Passes that are to leave such a function as it is.
NEUTRAL = [
    "BF16ComputeLegalize",
    "CommonSubexprElim",
    "ConvertSSA",
    "FP8ComputeLegalize",
    "InlinePrivateFunctions",
    "LowerIntrin",
    "PointerValueTypeRewrite",
    "RemoveAssume",
    "RemoveNoOp",
    "StorageRewrite",
    "UnrollLoop",
    "VectorizeLoop",
    "VerifyMemory",
]


def run(name, mod):
    return getattr(tirx.transform, name)()(mod)


# The name of one of them is not the same on all hosts.
@pytest.mark.parametrize("name", REWRITES, ids=lambda name: "Simplify" if name == SIMPLIFY else name)
def test_rewrite(name):
    before, expected = (module(HEAD + body) for body in REWRITES[name])
    tvm.ir.assert_structural_equal(run(name, before), expected)
    tvm.ir.assert_structural_equal(before, module(HEAD + REWRITES[name][0]))


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral(name):
    before = tirx.transform.BindTarget(tvm.target.Target("c", host="c"))(module(ADD_ONE))
    tvm.ir.assert_structural_equal(run(name, before), before)


@pytest.mark.parametrize("name", [*NEUTRAL, "AnnotateEntryFunc", "FlattenBuffer", "MakePackedAPI", "SplitHostDevice"])
def test_info(name):
    info = getattr(tirx.transform, name)().info
    assert str(info.name) == f"tirx.{name}"
    assert int(info.opt_level) == 0
    assert list(info.required) == []


def test_lower_intrin():
    mod = module(HEAD + "    for i in T.serial(16):\n        A[i] = T.floordiv(i - 2, 2)")
    bound = tirx.transform.BindTarget(tvm.target.Target("c", host="c"))(mod)
    value = run("LowerIntrin", bound)["main"].body.body.value
    x = tirx.Var("x", "int32")
    assert not isinstance(value, tirx.FloorDiv)
    assert tvm_ffi.structural_equal(value, (x - 2) >> 1, map_free_vars=True)


def test_flatten_buffer():
    mod = module('def main(A: T.Buffer((4, 4), "int32")):\n    for i in T.serial(4):\n        A[i, 1] = i')
    assert "[i * 4 + 1] = i" in run("FlattenBuffer", mod).script()


def test_narrow_data_type():
    mod = module(HEAD + "    for i in T.serial(T.int64(4)):\n        A[i] = 1")
    assert str(tirx.transform.NarrowDataType(32)(mod)["main"].body.extent) == "4"


def test_annotate_entry_func():
    assert bool(run("AnnotateEntryFunc", module(ADD_ONE))["main"].attrs["tirx.is_entry_func"])


def test_make_packed_api():
    bound = tirx.transform.BindTarget(tvm.target.Target("c", host="c"))(module(ADD_ONE))
    packed = run("MakePackedAPI", bound)["main"]
    assert [str(param.name) for param in packed.params] == ["self_handle", "args", "num_args", "result"]


def test_split_host_device():
    """Without a region for the device there is nothing to split."""
    bound = tirx.transform.BindTarget(tvm.target.Target("opencl", host="c"))(module(ADD_ONE))
    assert [str(var.name_hint) for var in run("SplitHostDevice", bound).functions] == ["main"]


def test_lower_blocks():
    lowered = Sequential([s_tir.transform.LowerInitBlock(), s_tir.transform.ConvertBlocksToOpaque()])(module(MATMUL))
    assert "T.init()" not in lowered.script()
    assert "if vk == 0" in lowered.script() or "if k == 0" in lowered.script()


def test_sequence_in_order():
    seen = []

    def noting(name):
        return module_pass(lambda mod, _: seen.append(name) or mod, opt_level=0, name=name)

    Sequential([noting("first"), noting("second")], name="both")(module(ADD_ONE))
    assert seen == ["first", "second"]


def test_function_pass():
    @prim_func_pass(opt_level=0, name="host.tag")
    def tag(func, mod, ctx):
        return func.with_attr("tagged", 1)

    assert str(tag.info.name) == "host.tag"
    assert int(tag(module(ADD_ONE))["main"].attrs["tagged"]) == 1


def test_failing_pass():
    @module_pass(opt_level=0, name="host.fail")
    def fail(mod, ctx):
        raise KeyError("of the pass")

    with pytest.raises(KeyError, match="of the pass"):
        fail(module(ADD_ONE))


def test_optional_pass_is_left_out():
    needs_three = module_pass(lambda mod, _: tvm.IRModule({}), opt_level=3, name="host.three")
    with PassContext(opt_level=2):
        assert len(Sequential([needs_three])(module(ADD_ONE)).functions) == 1
    with PassContext(opt_level=3):
        assert len(Sequential([needs_three])(module(ADD_ONE)).functions) == 0


def test_disabled_pass():
    drop = module_pass(lambda mod, _: tvm.IRModule({}), opt_level=0, name="host.drop")
    with PassContext(disabled_pass=["host.drop"]):
        assert len(Sequential([drop])(module(ADD_ONE)).functions) == 1


def test_default_context():
    context = PassContext.current()
    assert int(context.opt_level) == 2
    assert list(context.required_pass) == []
    assert list(context.disabled_pass) == []
    assert list(context.instruments) == []
    assert dict(context.config) == {}


def test_context_ends():
    with PassContext(opt_level=1, config={"tirx.disable_vectorize": True}) as context:
        assert PassContext.current().same_as(context)
    assert int(PassContext.current().opt_level) == 2


def test_unknown_option():
    with pytest.raises(AttributeError, match=r"Invalid config option 'host.nope' candidates are:"):
        PassContext(config={"host.nope": 1})


def test_wrong_option():
    with pytest.raises(TypeError, match="does not have field `nope`"):
        PassContext(config={"tirx.UnrollLoop": {"nope": 1}})


def test_option_is_used():
    mod = module(HEAD + "    for i in T.serial(2):\n        A[i] = i")
    with PassContext(config={"tirx.UnrollLoop": {"auto_max_step": 16}}):
        unrolled = run("UnrollLoop", mod)
    tvm.ir.assert_structural_equal(unrolled, module(HEAD + REWRITES["UnrollLoop"][1]))


def test_immutable_module():
    with PassContext(config={"testing.immutable_module": True}):
        before = module(ADD_ONE)
        tvm.ir.assert_structural_equal(run("RemoveNoOp", before), before)


def test_instrument():
    @pass_instrument
    class Noting:
        def __init__(self):
            self.seen = []

        def run_before_pass(self, mod, info):
            self.seen.append(("before", str(info.name)))

        def run_after_pass(self, mod, info):
            self.seen.append(("after", str(info.name)))

    noting = Noting()
    with PassContext(instruments=[noting]):
        run("RemoveNoOp", module(ADD_ONE))
    assert noting.seen == [("before", "tirx.RemoveNoOp"), ("after", "tirx.RemoveNoOp")]


def test_instrument_skips():
    @pass_instrument
    class NotThis:
        def should_run(self, mod, info):
            return str(info.name) != "tirx.UnrollLoop"

    before = module(HEAD + REWRITES["UnrollLoop"][0])
    with PassContext(instruments=[NotThis()]):
        tvm.ir.assert_structural_equal(run("UnrollLoop", before), before)


def test_timing():
    timing = PassTimingInstrument()
    with PassContext(instruments=[timing]):
        run("RemoveNoOp", module(ADD_ONE))
        profile = timing.render()
    assert "tirx.RemoveNoOp" in profile


def test_pipelines():
    with pytest.raises(ValueError, match=r"Unknown pre-built pipeline host\.nope"):
        tirx.get_tir_pipeline("host.nope")


def test_wrong_argument():
    with pytest.raises(TypeError, match="NarrowDataType"):
        tirx.transform.NarrowDataType("many")


def test_pass_of_another_object():
    with pytest.raises(TypeError):
        run("RemoveNoOp", 3)


def test_undefined_variables():
    x = tirx.Var("x", "int32")
    body = tirx.Evaluate(x + 1)
    assert [str(var) for var in tirx.analysis.undefined_vars(body, [])] == ["x"]
    assert list(tirx.analysis.undefined_vars(body, [x])) == []


def test_verify_ssa():
    assert tirx.analysis.verify_ssa(function(ADD_ONE))


def test_verify_memory():
    bound = tirx.transform.BindTarget(tvm.target.Target("opencl", host="c"))(module(ADD_ONE))
    with pytest.raises(RuntimeError, match="Did you forget to bind"):
        run("VerifyMemory", bound)
