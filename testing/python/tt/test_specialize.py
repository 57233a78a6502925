"""Giving shape variables their values: the same as writing the kernel with these constants."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import T, tvm
from support.infer import INPUTS, bare, module

from tilelang.tt import apply_tt_defaults, buffer_attrs, errors, infer_default_tt_shard, specialize

pytestmark = pytest.mark.stage("sizes")


@T.prim_func
def symbolic(a: T.handle, b: T.handle, s: T.int32):
    m = T.int32()
    n = T.int64()
    A = T.match_buffer(a, (3, m, n), "bfloat16")
    B = T.match_buffer(b, (m, n * 2 + 5), "float32")
    for bx in T.thread_binding(8, thread="blockIdx.x"):
        if bx < s:
            B[bx, bx] = T.cast(A[0, bx, bx], "float32")


def constant(m, n):
    @T.prim_func
    def symbolic(a: T.handle, b: T.handle, s: T.int32):
        A = T.match_buffer(a, (3, m, n), "bfloat16")
        B = T.match_buffer(b, (m, n * 2 + 5), "float32")
        for bx in T.thread_binding(8, thread="blockIdx.x"):
            if bx < s:
                B[bx, bx] = T.cast(A[0, bx, bx], "float32")

    return symbolic


def planned(func):
    return infer_default_tt_shard(apply_tt_defaults(func))


def results(func):
    return {key: value for key, value in func.attrs.items() if key.startswith("tt_")}


def test_numbers_are_texts_until_their_sizes_are_known():
    assert buffer_attrs(planned(symbolic), "B")["shape"] == ["m", "n * 2 + 5"]
    assert buffer_attrs(planned(symbolic), "B")["tt_num_pages"] == "(m + 31) // 32 * ((n * 2 + 36) // 32)"
    assert buffer_attrs(specialize(planned(symbolic), n=14), "B")["tt_num_pages"] == "(m + 31) // 32 * 2"


@settings(max_examples=25)
@given(m=st.integers(1, 2000), n=st.integers(1, 2000))
def test_specialized_is_concrete(m, n):
    specialized = specialize(planned(symbolic), m=m, n=n)
    tvm.ir.assert_structural_equal(results(specialized), results(planned(constant(m, n))))


def test_order_does_not_matter():
    one = specialize(specialize(planned(symbolic), m=100), n=70)
    tvm.ir.assert_structural_equal(one, planned(specialize(symbolic, n=70, m=100)))


def test_a_function_without_results_gets_none():
    assert not specialize(symbolic, m=3, n=4).attrs.keys() & INPUTS.keys()


def test_other_functions_stay():
    mod = module(planned(symbolic))
    mod["other"] = constant(4, 4)
    out = specialize(mod, m=64)
    assert out["other"].same_as(mod["other"])
    assert buffer_attrs(out["main"], "A")["shape"] == [3, 64, "n"]
    assert buffer_attrs(mod["main"], "A")["shape"] == [3, "m", "n"]


def test_a_scalar_parameter_with_a_value_is_a_parameter_no_more():
    assert len(specialize(symbolic, s=3).params) == 2


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ({"k": 3}, errors.OptionError, "TT520: no kernel has a size k; expected any of: m, n, s"),
        ({"m": 0}, errors.OptionError, "TT521: size m is 0; expected at least 1"),
        ({"m": 2**31}, errors.OptionError, "TT521: size m is 2147483648; expected at most 2147483647, as it is int32"),
        ({"m": 2.5}, errors.ArgumentError, "TT522: size m is float; expected an integer"),
    ],
    ids=["unknown", "zero", "large", "float"],
)
def test_refused_sizes(sizes, error, message):
    with pytest.raises(error) as raised:
        specialize(symbolic, **sizes)
    assert str(raised.value) == message


def test_nothing_is_left_to_give():
    with pytest.raises(errors.OptionError, match="TT520: no kernel has a size m; all sizes are known already"):
        specialize(bare((4, 1, 1)), m=3)


def test_large_sizes_of_a_wide_variable():
    specialized = specialize(planned(symbolic), m=1, n=2**40)
    assert buffer_attrs(specialized, "A")["tt_num_pages"] == 3 * 2**35
