"""A copy of a function with other globals."""

import inspect

import pytest

from loss_plugins.adapters.detr.rebound import rebound

SCALE = 2


def scaled(number, /, plus=1, *, times=3):
    """A number, scaled."""
    return SCALE * number * times + plus


def scaled_inside(numbers):
    return sorted(numbers, key=lambda each: SCALE * each)


def calls_scaled(number):
    return scaled(number)


class Scaled:
    factor = 1

    def method(self, number):
        return SCALE * number * self.factor


class Half(Scaled):
    factor = 0.5

    def method(self, number):
        return super().method(number) + SCALE


def test_the_copy_reads_the_new_value_and_the_function_its_own():
    copy = rebound(scaled, SCALE=10)
    assert (copy(1), scaled(1), SCALE) == (31, 7, 2)


def test_defaults_signature_and_name_are_the_function_s():
    copy = rebound(scaled, SCALE=10)
    assert copy(1, 5, times=2) == 25
    assert inspect.signature(copy) == inspect.signature(scaled)
    assert (copy.__name__, copy.__doc__, copy.__module__) == (scaled.__name__, scaled.__doc__, scaled.__module__)
    assert inspect.unwrap(copy) is copy


def test_methods_keep_super_and_functions_inside_read_the_new_value():
    assert rebound(Half.method, SCALE=10)(Half(), 3) == 2 * 3 * 0.5 + 10
    assert rebound(scaled_inside, SCALE=-1)([1, 2]) == [2, 1]


def test_a_function_called_by_it_keeps_its_own():
    assert rebound(calls_scaled, scaled=lambda number: number)(4) == 4
    assert rebound(calls_scaled, scaled=scaled)(1) == 7


def test_a_name_that_the_function_does_not_read_is_refused():
    with pytest.raises(ValueError, match=r"scaled of .* reads no global 'SCAEL'; allowed: SCALE; did you mean 'SCALE'"):
        rebound(scaled, SCAEL=1)
    with pytest.raises(ValueError, match="reads no global 'factor'"):
        rebound(Scaled.method, factor=1)  # an attribute is no global


@pytest.mark.parametrize("function", [len, Scaled().method, Scaled], ids=["builtin", "bound", "class"])
def test_what_has_no_globals_of_its_own_is_refused(function):
    with pytest.raises(TypeError, match="allowed: a function written in Python"):
        rebound(function, SCALE=1)
