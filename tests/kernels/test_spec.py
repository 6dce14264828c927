"""The spec and its form as arguments of an operator."""

from __future__ import annotations

from dataclasses import fields

from skspike.kernels._spec import SPEC_SCHEMA, NeuronSpec


def test_arguments_and_back():
    spec = NeuronSpec(0.3, None, "decay", True, False, "rectangle", 1.0, 0.07, False, 4)
    assert NeuronSpec(*spec.args()) == spec


def test_the_schema_names_the_fields_in_order():
    names = [argument.split()[-1] for argument in SPEC_SCHEMA.split(", ")]
    assert names == [field.name for field in fields(NeuronSpec)]


def test_rest_and_adaptation():
    soft = NeuronSpec(1.0, None, "leak", False, True, "atan", 2.0)
    assert soft.v_rest == 0.0
    assert not soft.adaptive
    assert NeuronSpec(1.0, -0.5, "leak", False, True, "atan", 2.0, -0.1).adaptive
