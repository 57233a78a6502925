"""The pass ApplyTTDefaults: an explicit argument before an attribute before the default, key by key."""

import pytest
import tvm
from support.host import T
from support.infer import INPUTS, bare, copy_kernel, infer, module, results, tt_attrs

from tilelang.tt import apply_tt_defaults, errors, infer_default_tt_schedule, infer_default_tt_shard, transform

pytestmark = pytest.mark.stage("defaults")

# One other legal value for each input.
OTHERS = {
    "cores": [[0, 0, 3, 3], [4, 4, 4, 4]],
    "core_order": "column_major",
    "schedule_policy": "strided",
    "schedule_order": "column_major",
    "tile_height": 16,
    "tile_width": 16,
    "data_format": "Float16_b",
}


def test_before_and_after():
    before = copy_kernel()
    tvm.ir.assert_structural_equal(apply_tt_defaults(before), before.with_attrs(INPUTS))
    assert not tt_attrs(bare())
    assert before.attrs is None or "tt_device" not in before.attrs


def test_module_in_module_out():
    @T.prim_func
    def helper(A: T.Buffer((4,), "float32")):
        A[0] = T.float32(0)

    before = tvm.IRModule({"kernel": copy_kernel(), "helper": helper}, attrs={"owner": "me"})
    after = apply_tt_defaults(before)
    expected = tvm.IRModule({"kernel": copy_kernel().with_attrs(INPUTS), "helper": helper}, attrs={"owner": "me"})
    tvm.ir.assert_structural_equal(after, expected)
    assert after["helper"].same_as(before["helper"])


def test_function_in_function_out():
    assert isinstance(apply_tt_defaults(copy_kernel()), tvm.tirx.PrimFunc)


@pytest.mark.parametrize("key", OTHERS)
def test_attribute_stays(key):
    func = apply_tt_defaults(bare(**{f"tt_{key}": OTHERS[key]}))
    assert tt_attrs(func) == {**INPUTS, f"tt_{key}": OTHERS[key]}


@pytest.mark.parametrize("key", OTHERS)
def test_argument_wins_over_default(key):
    assert tt_attrs(apply_tt_defaults(bare(), **{key: OTHERS[key]})) == {**INPUTS, f"tt_{key}": OTHERS[key]}


@pytest.mark.parametrize("key", sorted(set(OTHERS) - {"data_format"}))
def test_argument_wins_over_attribute(key):
    func = apply_tt_defaults(bare(**{f"tt_{key}": OTHERS[key]}), **{key: INPUTS[f"tt_{key}"]})
    assert tt_attrs(func) == INPUTS


def test_argument_wins_over_an_attribute_that_does_not_exist():
    func = bare(tt_core_order="diagonal", tt_schedule_policy=5)
    assert tt_attrs(apply_tt_defaults(func, core_order="row_major", schedule_policy="contiguous")) == INPUTS


@pytest.mark.parametrize("key", [key.removeprefix("tt_") for key in INPUTS])
def test_every_default_can_be_said(key):
    assert tt_attrs(apply_tt_defaults(bare(), **{key: INPUTS[f"tt_{key}"]})) == INPUTS


def test_cores_as_tuples():
    assert tt_attrs(apply_tt_defaults(bare(), cores=((0, 0, 3, 3),)))["tt_cores"] == [[0, 0, 3, 3]]


def test_none_is_no_argument():
    assert tt_attrs(apply_tt_defaults(bare(), core_order=None, cores=None)) == INPUTS


def test_again_changes_nothing():
    once = apply_tt_defaults(copy_kernel(), **OTHERS)
    assert apply_tt_defaults(once).same_as(once)
    assert apply_tt_defaults(once, **OTHERS).same_as(once)


def test_results_stay_while_inputs_do():
    func = infer(copy_kernel())
    assert apply_tt_defaults(func).same_as(func)
    assert apply_tt_defaults(func, core_order="row_major", tile_width=32).same_as(func)


@pytest.mark.parametrize("key", OTHERS)
def test_results_drop_with_a_changed_input(key):
    func = infer(copy_kernel())
    changed = apply_tt_defaults(func, **{key: OTHERS[key]})
    assert results(func)
    assert not results(changed)
    assert results(infer_default_tt_shard(infer_default_tt_schedule(changed))) == results(
        infer(copy_kernel(), **{key: OTHERS[key]})
    )


def test_results_drop_where_an_attribute_was_changed_by_hand():
    """Without the pass nobody could tell; with it the passes recompute from what is there."""
    func = infer(copy_kernel()).with_attr("tt_cores", [[0, 0, 0, 0]])
    assert infer_default_tt_schedule(apply_tt_defaults(func)).attrs["tt_num_cores"] == 1


def test_own_attributes_stay():
    func = apply_tt_defaults(bare(unrelated="here", tt_device="wormhole_n150"))
    assert (func.attrs["unrelated"], func.attrs["global_symbol"]) == ("here", "main")


@pytest.mark.parametrize("name", ["device_name", "tiles", "order"])
def test_unknown_argument(name):
    with pytest.raises(TypeError, match=name):
        apply_tt_defaults(bare(), **{name: 1})
    with pytest.raises(errors.ArgumentError, match=f"unknown input {name}; expected any of: device, cores"):
        transform.ApplyTTDefaults(**{name: 1})


def test_module_is_not_changed():
    mod = module(copy_kernel())
    before = mod["main"]
    infer(mod, **OTHERS)
    assert mod["main"].same_as(before)
    assert "tt_device" not in (before.attrs or {})


DETAILS = [
    ("schedule_policy", "block_cyclic", "contiguous", "schedule_block_size"),
    ("schedule_order", "swizzled_row", "column_major", "swizzle_panel"),
]


@pytest.mark.parametrize(("choice", "user", "other", "detail"), DETAILS)
def test_detail_of_a_choice(choice, user, other, detail):
    """A block size and a panel are inputs like others, as long as what uses them is chosen."""
    func = apply_tt_defaults(bare(), **{choice: user, detail: 4})
    assert tt_attrs(func) == {**INPUTS, f"tt_{choice}": user, f"tt_{detail}": 4}
    assert apply_tt_defaults(func).same_as(func)
    assert apply_tt_defaults(func, **{choice: user}).same_as(func)
    assert tt_attrs(apply_tt_defaults(func, **{detail: 5}))[f"tt_{detail}"] == 5
    by_attribute = bare(**{f"tt_{detail}": 4})
    assert tt_attrs(apply_tt_defaults(by_attribute, **{choice: user})) == tt_attrs(func)


@pytest.mark.parametrize(("choice", "user", "other", "detail"), DETAILS)
def test_detail_goes_with_its_choice(choice, user, other, detail):
    func = infer(bare(), **{choice: user, detail: 4})
    assert tt_attrs(apply_tt_defaults(func, **{choice: other})) == {**INPUTS, f"tt_{choice}": other}


@pytest.mark.parametrize(("choice", "user", "other", "detail"), DETAILS)
def test_detail_without_its_choice(choice, user, other, detail):
    calls = [
        lambda: apply_tt_defaults(bare(), **{detail: 4}),
        lambda: apply_tt_defaults(bare(), **{choice: other, detail: 4}),
        lambda: apply_tt_defaults(bare(**{f"tt_{choice}": other, f"tt_{detail}": 4})),
        lambda: infer_default_tt_schedule(bare(**{**INPUTS, f"tt_{detail}": 4})),
    ]
    for call in calls:
        with pytest.raises(errors.OptionError, match=f"attribute tt_{choice}: .* of 4; expected none, as only"):
            call()
    with pytest.raises(errors.OptionError, match=f"attribute tt_{choice}: .* expected a {detail} of at least 1"):
        apply_tt_defaults(bare(), **{choice: user})
