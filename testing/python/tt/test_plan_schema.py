"""The published schema says what loading takes, by the word of an independent validator."""

import copy
import json
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support import kernels_tirx
from support.examples import ROOT
from support.plans import SAMPLE, plans

from tilelang.tt import _native, errors
from tilelang.tt._records import shape_of
from tilelang.tt.plan import Plan, file, make_plan, schema

pytestmark = pytest.mark.stage("plan")

SCHEMA = schema()
VALIDATOR = Draft202012Validator(SCHEMA)
VALUE = json.loads(file.to_json(SAMPLE))
# What the schema says too; texts of sizes it says in part; all else needs more than one place.
IN_SCHEMA = {"TT803", "TT804", "TT806", "TT807", "TT808", "TT809", "TT810", "TT813"}
IN_PART = {"TT811"}


def code_of(value):
    """With which code loading refuses a value; None where it takes it."""
    try:
        file.from_json(json.dumps(value))
    except errors.PlanError as error:
        return error.code
    return None


def agree(value):
    code = code_of(value)
    assert code in IN_PART or VALIDATOR.is_valid(value) == (code not in IN_SCHEMA), code


def containers(value, at=()):
    """Paths of all objects and arrays."""
    if isinstance(value, dict | list):
        yield at
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from containers(inner, (*at, key))


PATHS = list(containers(VALUE))
# Not 1.0, which is an integer of JSON Schema and none of a plan.
JUNK = st.sampled_from(
    [None, True, False, 0, 1, -1, 2**63, 2**63 - 1, 1.5, "", "m", "m //", "(m", "row_major", [], {}, [1], [0, 0]]
)


def test_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_sample_is_valid():
    VALIDATOR.validate(VALUE)


@pytest.mark.parametrize("case", kernels_tirx.CASES, ids=lambda case: case.name)
def test_plans_of_kernels_are_valid(case):
    plan = make_plan(case.build())
    VALIDATOR.validate(json.loads(plan.to_json()))
    assert Plan.from_json(plan.to_json()) == plan


@settings(max_examples=20)
@given(plans())
def test_whatever_is_saved_is_valid(plan):
    VALIDATOR.validate(json.loads(file.to_json(plan)))


@settings(max_examples=300)
@given(st.data())
def test_loading_and_schema_agree_on_spoilt_plans(data):
    value = copy.deepcopy(VALUE)
    node = value
    for key in data.draw(st.sampled_from(PATHS)):
        node = node[key]
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    action = data.draw(st.sampled_from(["add", *(["drop", "change", "copy"] if keys else [])]))
    key = data.draw(st.sampled_from(keys)) if action != "add" else None
    if action == "drop":
        del node[key]
    elif action == "change":
        node[key] = data.draw(JUNK)
    elif action == "copy":
        node[key] = copy.deepcopy(node[data.draw(st.sampled_from(keys))])
    elif isinstance(node, dict):
        node[data.draw(st.sampled_from(["name", "extra", "", "core"]))] = data.draw(JUNK)
    else:
        node.append(data.draw(JUNK))
    agree(value)


@pytest.mark.parametrize("value", [None, 1, "tt.plan", [], {}, {"format": "tt.plan"}, {**VALUE, "version": 2}], ids=str)
def test_loading_and_schema_agree_on_the_whole(value):
    agree(value)


def nodes(value):
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def test_objects_are_closed_and_complete():
    objects = [node for node in nodes(SCHEMA) if node.get("type") == "object"]
    assert len(objects) == len(SCHEMA["$defs"]) - 1  # the whole is one; sizes and offsets are none
    for node in objects:
        assert node["additionalProperties"] is False
        assert node["required"] == list(node["properties"])


def test_every_field_is_described():
    for name, node in {"the whole": SCHEMA, **SCHEMA["$defs"]}.items():
        assert node["description"], name
        for field, inner in node.get("properties", {}).items():
            assert re.fullmatch(r"[^:]\S.*\.", inner["description"]), (name, field)
            assert "``" not in inner["description"]


def test_numbers_are_integers_within_64_bits():
    types = [node["type"] for node in nodes(SCHEMA) if isinstance(node.get("type"), str)]
    assert set(types) == {"object", "array", "integer", "string", "boolean", "null"}
    for node in nodes(SCHEMA):
        if node.get("type") == "integer":
            assert node["minimum"] in (-(2**63), 0, 1)
            assert node["maximum"] == 2**63 - 1


def test_every_definition_is_used():
    text = json.dumps(SCHEMA)
    assert [name for name in SCHEMA["$defs"] if f'"#/$defs/{name}"' not in text] == []


def test_bytes_have_a_unit():
    for definition in SCHEMA["$defs"].values():
        for name, node in definition.get("properties", {}).items():
            if re.match(r"Bytes\b", node["description"]):
                assert "bytes" in name.split("_")


def test_records_without_a_schema():
    @dataclass
    class Measured:
        number: complex

    with pytest.raises(NotImplementedError, match="complex"):
        shape_of(Measured)


def test_schema_is_new_at_every_call():
    schema()["$defs"].clear()
    assert schema() == SCHEMA


OPERANDS = st.sampled_from(
    ["m", "n_1", "0", "12", "9" * 30, "min", "max", "(", ")", ",", "+", "-", "*", "//", "%", "/", " ", "é", "1m"]
)


@given(st.lists(OPERANDS, max_size=9).map("".join))
def test_pattern_takes_every_size(text):
    try:
        _native.simplify(text, {})
    except errors.TTError:
        return
    assert re.search(SCHEMA["$defs"]["Size"]["oneOf"][1]["pattern"], text)


@pytest.mark.parametrize(
    "text", ["", "m n", "m +", "1 2", "m / 2", "m ** 2", "2m", "f(m)", "m\t+ 1", "x.y", "[m]", "m; n"]
)
def test_pattern_refuses_what_is_no_size(text):
    assert not re.search(SCHEMA["$defs"]["Size"]["oneOf"][1]["pattern"], text)


def test_published_schema_and_page_are_up_to_date():
    done = subprocess.run([sys.executable, "-P", str(ROOT / "tools" / "plan_schema.py"), "--check"], check=False)
    assert done.returncode == 0
