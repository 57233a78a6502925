"""Checks of passes: what holds passes, and whatever does not fails with a message that shows it."""

from support.host import T  # isort: skip  # the host comes before tvm

import inspect
from pathlib import Path

import pytest
import tvm
from support import host
from support.infer import bare, copy_kernel, module
from tvm import tirx
from tvm.ir.instrument import pass_instrument
from tvm.ir.transform import PassContext, Sequential, module_pass

from tilelang.tt import apply_tt_defaults, errors, infer_default_tt_schedule, transform
from tilelang.tt.testing import check_pass, check_rejects
from tilelang.tt.testing._script import diff

pytestmark = pytest.mark.stage("testing")


def add(value):
    @T.prim_func
    def main(A: T.Buffer((8,), "int32"), C: T.Buffer((8,), "int32")):
        bx = T.launch_thread("blockIdx.x", 8)
        C[bx] = A[bx] + value

    return main


@tirx.transform.prim_func_pass(opt_level=0, name="my.Mark")
def mark(func, mod, ctx):
    """Counts how often it was here, up to 2."""
    return func.with_attr("mark", min(int(func.attrs.get("mark", 0)) + 1, 2))


@module_pass(opt_level=0, name="my.Overwrite")
def overwrite(mod, ctx):
    mod["main"] = mod["main"].with_attr("over", 1)
    return mod


def overwrite_in(mod):
    mod["main"] = mod["main"].with_attr("over", 1)
    return mod


def same(mod):
    return mod


def failure(check, *arguments, **options):
    """The message with which a check fails."""
    with pytest.raises(AssertionError) as caught:
        check(*arguments, **options)
    return str(caught.value)


# ---- check_pass ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [add(1), module(add(1)), lambda: add(1), lambda: module(add(1))])
@pytest.mark.parametrize("name", ["main", "expected"])
def test_before_and_expected(before, name):
    """Modules, functions and what builds them; the name of a function alone does not count."""
    expected = add(1).with_attrs({"global_symbol": name, "mark": 1})
    for wanted in (expected, lambda: expected):
        found = check_pass(before, wanted, mark)
        function = found if isinstance(found, tirx.PrimFunc) else found["main"]
        assert function.attrs["mark"] == 1


def test_kind_of_the_result():
    assert isinstance(check_pass(add(1), None, same), tirx.PrimFunc)
    assert isinstance(check_pass(module(add(1)), None, same), tvm.IRModule)


def test_names_of_modules_count():
    other = {"other": add(1).with_attr("global_symbol", "other")}
    assert "same makes something else" in failure(check_pass, module(add(1)), tvm.IRModule(other), same)
    check_pass(tvm.IRModule(other), tvm.IRModule(other), same)


def test_private_functions():
    check_pass(add(1).without_attr("global_symbol"), add(1), same)
    check_pass(add(1), add(1).without_attr("global_symbol"), same)


def test_modules_of_several_functions():
    mod = tvm.IRModule({"one": add(1), "two": add(2)})
    check_pass(mod, tvm.IRModule({name: mod[name].with_attr("mark", 1) for name in ("one", "two")}), mark)
    assert "two" in failure(check_pass, mod, tvm.IRModule({"one": add(1), "two": add(3)}), same)
    failure(check_pass, add(1), mod, same)


@pytest.mark.parametrize("pass_", [apply_tt_defaults, transform.ApplyTTDefaults(), lambda mod: apply_tt_defaults(mod)])
def test_kinds_of_passes(pass_):
    check_pass(copy_kernel(), apply_tt_defaults(copy_kernel()), pass_, idempotent=True, round_trip=True)


def test_something_else():
    assert failure(check_pass, add(1), add(3), same) == (
        'same makes something else, first at <root>.functions[I.GlobalVar("main")].body.body.value.b.value\n'
        "\n"
        "--- expected\n"
        "+++ found\n"
        '     def main(A: T.Buffer((8,), "int32"), C: T.Buffer((8,), "int32")):\n'
        '         bx = T.launch_thread("blockIdx.x", 8)\n'
        "-        C[bx] = A[bx] + 3\n"
        "+        C[bx] = A[bx] + 1"
    )


def test_something_else_in_an_attribute():
    """A long line is shown by its parts."""
    before = apply_tt_defaults(copy_kernel())
    after = infer_default_tt_schedule(before)
    tiles = [[*pair] for pair in after.attrs["tt_tiles_per_core"]]
    expected = after.with_attrs({"tt_num_tiles": 7, "tt_tiles_per_core": [*tiles[:5], [5, 2], *tiles[6:]]})
    shown = failure(check_pass, before, expected, transform.InferDefaultTTSchedule())
    assert shown.startswith("tt.InferDefaultTTSchedule makes something else, first at <root>.")
    assert shown.splitlines()[2:] == [
        "--- expected",
        "+++ found",
        '             "tt_num_active_cores": 6,',
        '             "tt_num_cores": 64,',
        '-            "tt_num_tiles": 7,',
        '+            "tt_num_tiles": 6,',
        '             "tt_runtime_args_schema": [',
        "                 {",
        "                 [3, 1],",
        "                 [4, 1],",
        "-                [5, 2],",
        "+                [5, 1],",
        "                 [0, 0],",
        "                 [0, 0],",
    ]


def test_something_where_nothing_was_expected():
    assert '+        T.func_attr({\n+            "mark": 1,\n+        })' in failure(check_pass, add(1), None, mark)


def test_what_the_scripts_do_not_say():
    """A loop over int64 prints like one over int32, with the sugar of the script and without."""

    def loop(dtype):
        index, A = tirx.Var("i", dtype), tirx.decl_buffer((8,), "int32", name="A")
        body = tirx.BufferStore(A, tirx.IntImm("int32", 0), [index])
        return tirx.PrimFunc([A], tirx.For(index, tirx.IntImm(dtype, 0), tirx.IntImm(dtype, 8), 0, body))

    shown = failure(check_pass, loop("int32"), loop("int64"), same)
    assert "int64" in shown


def test_long_differences_are_cut():
    def stores(values):
        A = tirx.decl_buffer((100,), "int32", name="A")
        return tirx.PrimFunc([A], tirx.SeqStmt([tirx.BufferStore(A, value, [i]) for i, value in enumerate(values)]))

    shown = failure(check_pass, stores(range(100)), stores(range(1, 101)), same)
    assert len(shown.splitlines()) == 2 + 60 + 1
    assert shown.endswith("more lines")


def test_idempotent():
    check_pass(add(1).with_attr("mark", 1), add(1).with_attr("mark", 2), mark, idempotent=True)
    shown = failure(check_pass, add(1), add(1).with_attr("mark", 1), mark, idempotent=True)
    assert shown.startswith("my.Mark makes something else of its own result, first at ")
    assert '-            "mark": 1,\n+            "mark": 2,' in shown


def test_round_trip():
    """A variable of an attribute is another one after it was parsed, or none."""
    check_pass(add(1), None, same, round_trip=True)
    func = add(1).with_attr("mark", tirx.Var("x", "int32") + 1)
    shown = failure(check_pass, func, None, same, round_trip=True)
    assert "after it was printed" in shown


@pytest.mark.parametrize("pass_", [overwrite, overwrite_in])
def test_a_pass_that_changes_its_input(pass_):
    shown = failure(check_pass, add(1), add(1).with_attr("over", 1), pass_)
    name = "my.Overwrite" if pass_ is overwrite else "overwrite_in"
    assert shown.startswith(f"{name} has changed the module that it was given\n\n--- before\n+++ after\n")
    assert '+            "over": 1,' in shown


def test_a_pass_within_that_changes_its_input():
    passes = Sequential([mark, overwrite], name="my.Passes")
    shown = failure(check_pass, add(1), add(1).with_attrs({"mark": 1, "over": 1}), passes)
    assert shown == "my.Passes has changed a module: Immutable module has been modified in pass: my.Overwrite"


def test_no_module_comes_out():
    assert failure(check_pass, add(1), None, lambda mod: 3) == "<lambda> gives int; expected an IRModule"
    assert failure(check_pass, add(1), None, lambda mod: None) == "<lambda> gives NoneType; expected an IRModule"


def test_what_the_pass_raises():
    with pytest.raises(errors.GridError, match="TT202"):
        check_pass(copy_kernel(grid=(0, 1, 1)), None, apply_tt_defaults)


@pytest.mark.parametrize("wrong", [[1], "main", lambda: 3])
def test_refuses_what_is_no_module(wrong):
    for arguments in ((wrong, None), (add(1), wrong)):
        with pytest.raises(errors.ArgumentError, match="TT101"):
            check_pass(*arguments, same)
    with pytest.raises(errors.ArgumentError, match="TT101"):
        check_rejects(wrong, same, code="TT202")


@pass_instrument
class Recorder:
    def __init__(self):
        self.ran = []

    def run_before_pass(self, mod, info):
        self.ran.append(info.name)


def test_within_the_current_context():
    """Instruments, options and passes that are switched off stay what they are."""
    seen, recorder = [], Recorder()

    @module_pass(opt_level=0, name="my.Look")
    def look(mod, ctx):
        seen.append((ctx.opt_level, list(ctx.disabled_pass), dict(ctx.config.items())))
        return mod

    with PassContext(3, disabled_pass=["my.Mark"], instruments=[recorder], config={"tirx.disable_vectorize": True}):
        check_pass(add(1), None, Sequential([mark, look]))
    assert seen == [(3, ["my.Mark"], {"tirx.disable_vectorize": True, "testing.immutable_module": True})]
    assert "my.Look" in recorder.ran


# ---- check_rejects ---------------------------------------------------------------------------------------------------


def empty():
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32")):
        for bx in T.thread_binding(0, thread="blockIdx.x"):
            for by in T.thread_binding(4, thread="blockIdx.y"):
                A[bx, by] = T.float32(0)

    return main


LINE = next(
    inspect.getsourcelines(empty)[1] + number
    for number, line in enumerate(inspect.getsourcelines(empty)[0])
    if "for bx" in line
)
FILE = Path(__file__)
PLACE = f"{FILE}:{LINE}:9" if host.HAS_SPANS else "a place in the source that is not known"


@pytest.mark.parametrize("at", [None, "0", 'thread_binding(0, thread="blockIdx.x")', "(0,"])
@pytest.mark.parametrize("kernel", [empty(), module(empty()), empty])
def test_a_refusal(kernel, at):
    error = check_rejects(kernel, apply_tt_defaults, code="TT202", at=at, match=r"is 0; expected at least \d")
    assert type(error) is errors.GridError
    assert error.code == "TT202"


def test_a_refusal_of_another_code_is_not_shown_by_its_traceback():
    with pytest.raises(AssertionError) as caught:
        check_rejects(empty, apply_tt_defaults, code="TT203")
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_an_error_that_is_no_refusal_is_shown_by_its_traceback():
    def broken(mod):
        raise KeyError("deep inside")

    with pytest.raises(AssertionError) as caught:
        check_rejects(empty, broken, code="TT202")
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("at", [LINE, f"{FILE.name}:{LINE}", f"{FILE}:{LINE}", f"{FILE}:{LINE}:9"])
def test_the_place_in_the_source(at):
    if host.HAS_SPANS:
        check_rejects(empty, apply_tt_defaults, code="TT202", at=at)
    else:
        shown = failure(check_rejects, empty, apply_tt_defaults, code="TT202", at=at)
        assert f"at: expected {at!r}; found '0' at a place in the source that is not known" in shown


if host.ON_TILELANG:
    import tilelang.language as L

    def empty_tilelang_kernel():
        @L.prim_func
        def main(A: L.Tensor((6, 4), "float32")):
            with L.Kernel(6, 0, threads=32) as (bx, by):
                A[bx, by] = 0.0

        return main

    def test_the_line_of_a_tilelang_kernel():
        lines, first = inspect.getsourcelines(empty_tilelang_kernel)
        (line,) = [first + number for number, text in enumerate(lines) if "L.Kernel" in text]
        check_rejects(empty_tilelang_kernel, apply_tt_defaults, code="TT202", at=f"{FILE.name}:{line}")
        failure(check_rejects, empty_tilelang_kernel, apply_tt_defaults, code="TT202", at=line - 1)


@pytest.mark.parametrize(
    "at", ["1", "thread_binding(", "by in", "T.float32", LINE + 1, LINE - 1, "infer.py:9", f"x{FILE.name}:{LINE}"]
)
def test_another_place(at):
    shown = failure(check_rejects, empty, apply_tt_defaults, code="TT202", at=at)
    assert shown.startswith(f"apply_tt_defaults refuses it otherwise\n  at: expected {at!r}; found '0' at {PLACE}\n\n")
    assert "    GridError: TT202: kernel `main`: grid extent x (blockIdx.x) is 0" in shown


def test_no_place():
    shown = failure(check_rejects, copy_kernel(), lambda mod: tvm.IRModule(3), match="", at="bx")
    assert "at: expected 'bx'; found no place" in shown


def test_several_mistakes():
    func = apply_tt_defaults(bare(buffers=[("A", (4, 0), "float32"), ("B", (4,), "float64"), ("C", (4, 0), "int32")]))
    run = transform.InferDefaultTTShard()
    check_rejects(func, run, code=["TT404", "TT410"], match="dimension 1 has extent 0")
    shown = failure(check_rejects, func, run, code="TT410")
    assert "\n  code: expected TT410; found TT410, TT404, TT410\n" in shown
    assert "code: expected TT404, TT410, TT501; found" in failure(
        check_rejects, func, run, code=("TT404", "TT410", "TT501")
    )


def test_a_refusal_of_something_else():
    shown = failure(
        check_rejects, empty, apply_tt_defaults, code="TT203", at="by", match="is 7", error=errors.ShapeError
    )
    assert shown.splitlines()[:5] == [
        "apply_tt_defaults refuses it otherwise",
        "  class: expected ShapeError; found GridError",
        "  code: expected TT203; found TT202",
        f"  at: expected 'by'; found '0' at {PLACE}",
        "  match: expected 'is 7'; found nothing like it",
    ]


def test_no_refusal():
    shown = failure(check_rejects, add(1), mark, code="TT202", at="bx", match="is 0")
    first, _, *script = shown.splitlines()
    assert first == "my.Mark takes it; expected TTError TT202 at 'bx' that matches 'is 0'. What came out:"
    assert '            "mark": 1,' in script
    assert failure(check_rejects, add(1), lambda mod: 3, error=(KeyError, OSError)) == (
        "<lambda> takes it; expected KeyError or OSError. What came out:\n\n3"
    )


def refuse(error):
    def refuse(mod):
        raise error

    return refuse


def test_errors_of_others():
    for options in ({"error": KeyError}, {"match": "no s.ch"}, {"match": "such", "error": (OSError, KeyError)}):
        error = check_rejects(add(1), refuse(KeyError("no such name")), **options)
        assert type(error) is KeyError
    shown = failure(check_rejects, add(1), refuse(KeyError("no such name")), code="TT202")
    assert "\n  class: expected TTError; found KeyError\n  code: expected TT202; found none\n" in shown
    assert type(check_rejects(add(1), refuse(AssertionError("no")), error=AssertionError)) is AssertionError


def test_where_another_error_comes_from():
    """The error itself is the cause of the failure, with its traceback."""
    with pytest.raises(AssertionError) as caught:
        check_rejects(add(1), refuse(KeyError("x")), code="TT202")
    assert type(caught.value.__cause__) is KeyError


def test_a_refused_kernel_has_not_changed():
    def change_and_refuse(mod):
        overwrite_in(mod)
        raise ValueError("no")

    shown = failure(check_rejects, add(1), change_and_refuse, match="no")
    assert shown.startswith("change_and_refuse has changed the module that it was given\n\n--- before\n+++ after\n")


@pytest.mark.parametrize("options", [{}, {"at": "bx"}, {"code": ()}, {"code": ""}])
def test_refuses_a_check_of_nothing(options):
    with pytest.raises(errors.OptionError, match=r"TT948: nothing says which error is expected"):
        check_rejects(empty, apply_tt_defaults, **options)


def test_refuses_an_unknown_code():
    for code in ("TT2022", "202", ["TT202", "TT20"]):
        with pytest.raises(errors.OptionError, match="TT111"):
            check_rejects(empty, apply_tt_defaults, code=code)


# ---- the scripts -----------------------------------------------------------------------------------------------------


def test_diff_of_equal_modules():
    assert diff(module(add(1)), module(add(1)), "one", "other") == ""


def test_values_that_are_no_literals():
    """Attributes that are expressions are shown as they print."""
    shown = failure(check_pass, add(1).with_attr("x", tirx.IntImm("int64", 5)), add(1).with_attr("x", 6), same)
    assert "T.int64(5)" in shown
