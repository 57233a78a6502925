"""Real kernels: every attribute of every one of them against what a reader of the kernel, and the oracle, say."""

import math
import re

import pytest
from support import host, kernels_tirx, oracle
from support.infer import infer, module, results
from support.kernels import CASES, KERNELS

# Kernels in which no value is ever accumulated: one trip over K, whatever K may be.
ELEMENTWISE = ("elementwise_ragged", "result_first", "vector_add", "unused_param")
# Elementwise too, but on the way a buffer is updated in place, which may look like a sum.
UPDATING = ("in_place", "aliased_abs", "scalar_params")

GEMMS = ("gemm", "gemm_thread_binding", "gemm_cta_id")

pytestmark = [pytest.mark.stage("metadata"), pytest.mark.filterwarnings("ignore::tilelang.tt.errors.FormatWarning")]


def expected_schedules(case, cores=((0, 0, 7, 7),), order="row_major", tile_width=32):
    """What may be found; a kernel whose products are several may have them listed or not."""
    scalars = dict(case.scalars)
    params = [(name, scalars.get(name)) for name in names_of(case)]
    return [
        oracle.schedule_attrs(case.grid, cores, order, kt=kt, products=products, params=params)
        for kt, products in expected_products(case, tile_width)
    ]


def expected_products(case, tile_width):
    unresolved = {"source": "unresolved"}
    if case.contraction:
        return [({"source": "kernel", "value": math.ceil(case.contraction / tile_width)}, ())]
    if case.name in UPDATING:
        return [(oracle.NO_PRODUCT, ()), (unresolved, ())]
    if case.name in ELEMENTWISE:
        return [(oracle.NO_PRODUCT, ())]
    if case.name == "flash_attention":  # Q times K over dim, and weights times V over seq
        return [(unresolved, [math.ceil(extent / tile_width) for extent in (64, 256)]), (unresolved, ())]
    return [(unresolved, ())]


def schedule_of(found):
    """Without the reason for what is not known, whose words do not matter here."""
    kt_tiles = found["tt_runtime_args_schema"][4]
    assert ("reason" in kt_tiles) == (kt_tiles["source"] == "unresolved")
    kt_tiles.pop("reason", None)
    return found


# An access in a loop over a number that the kernel gets, or by an operation that hands out a pointer.
UNPROVEN = ("atomic_add_elements",)


def padding_value(case):
    if case.build in [case.build for case in KERNELS.get("tilelang", ())]:
        return "0"
    return "unknown" if case.name in UNPROVEN else "any"


def decisions(func):
    """All results but those that say how the kernel does its work."""
    found = results(func)
    del found["tt_on_chip"], found["tt_traffic"]
    return found


def expected_buffers(case, names, tile=(32, 32), float16="Float16"):
    params = {param.name: param for param in case.params}
    return [
        oracle.buffer_attrs(
            name,
            index,
            param.dtype,
            param.shape,
            param.access,
            tile,
            padding_value(case),
            data_format=float16 if param.dtype == "float16" else None,
        )
        for index, name in enumerate(names)
        if (param := params.get(name))
    ]


def names_of(case):
    """All parameters in order: scalars stand where the kernel has them."""
    names = [param.name for param in case.params]
    return ["X", "n", "scale", "Y"] if case.scalars else names


@pytest.mark.parametrize("case", CASES)
def test_attributes(case):
    func = infer(case.build())
    found = decisions(func)
    assert found.pop("tt_buffers") == expected_buffers(case, names_of(case))
    assert schedule_of(found) in expected_schedules(case)


@pytest.mark.parametrize("case", CASES)
def test_other_inputs(case):
    """On few cores in another order, with small tiles, and float16 stored as bfloat16."""
    cores = [[1, 2, 3, 3], [0, 0, 0, 1]]
    found = decisions(
        infer(
            case.build(),
            cores=cores,
            core_order="column_major",
            tile_height=16,
            tile_width=16,
            data_format="Float16_b",
        )
    )
    assert found.pop("tt_buffers") == expected_buffers(case, names_of(case), tile=(16, 16), float16="Float16_b")
    assert schedule_of(found) in expected_schedules(case, cores, "column_major", 16)


@pytest.mark.parametrize("language", KERNELS)
def test_renaming_changes_nothing_but_names(language):
    gemm, renamed = (
        results(infer(case.build()))
        for name in ("gemm", "renamed_gemm")
        for case in KERNELS[language]
        if case.name == name
    )
    new_names = {"A": "B", "B": "C", "C": "A"}
    for entry in gemm["tt_buffers"]:
        entry["name"] = new_names[entry["name"]]
    for argument in gemm["tt_runtime_args_schema"]:
        if argument["source"] == "buffer":
            argument["name"] = new_names[argument["name"].removesuffix("_addr")] + "_addr"
    for found in (gemm, renamed):
        for entry in [*found["tt_on_chip"][0]["circular_buffers"], *found["tt_on_chip"][0]["accumulators"]]:
            del entry["name"]
        # TileLang's loop is `k` in one of them and `i` in the other.
        found["tt_traffic"] = re.sub(r"\bi\b", "k", str(found["tt_traffic"]))
    assert renamed == gemm


@pytest.mark.parametrize("case", [case for case in CASES if case.id.split("-")[1] in GEMMS])
def test_one_gemm_in_every_language(case):
    (reference,) = [case for case in kernels_tirx.CASES if case.name == "gemm"]
    assert decisions(infer(case.build())) == decisions(infer(reference.build()))


@pytest.mark.parametrize("case", CASES)
def test_function_and_module_agree(case):
    func = case.build()
    assert results(infer(module(func, "kernel"))["kernel"]) == results(infer(func))


if host.ON_TILELANG:

    @pytest.mark.parametrize("case", KERNELS["tilelang"], ids=lambda case: case.name)
    def test_tirx_twin(case):
        """The TIRx kernel of that name does the same to the same tensors on the same grid."""
        (twin,) = [twin for twin in kernels_tirx.CASES if twin.name == case.name]
        assert (twin.grid, twin.params, twin.scalars) == (case.grid, case.params, case.scalars)


def test_kernels_are_all_there():
    """What the kernels must cover."""
    names = {case.name for case in kernels_tirx.CASES}
    assert names >= {
        "gemm", "gemm_bias_relu", "flash_attention", "row_softmax", "elementwise_ragged", "batched_gemm", "conv2d",
        "dequant_gemm", "result_first", "renamed_gemm",
    }  # fmt: skip
