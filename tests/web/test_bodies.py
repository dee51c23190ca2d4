"""Requests checked without a server."""

import json
from types import SimpleNamespace

import pytest

from brainai.errors import DataError
from brainai.web import bodies


def test_every_path_in_a_request_is_found():
    value = {"data": [{"path": "a"}, [{"path": "b", "meta": {"path": "c"}}, {"path": 5}], "d"]}
    assert sorted(bodies.paths(value)) == ["a", "b", "c"]


def test_bodies_are_accepted_up_to_the_maximum_depth():
    def nested(depth: int) -> bytes:
        return b'{"data": ' + b"[" * depth + b"]" * depth + b"}"

    assert bodies.parse(nested(bodies.DEPTH))
    with pytest.raises(DataError, match="nested too deeply"):
        bodies.parse(nested(bodies.DEPTH + 1))


def test_the_keys_and_values_of_a_body_are_limited(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_PARTS", 9)
    taken = {"data": [[1, 1], {"a": 1}]}  # object, key, list, list, 1, 1, object, key, 1
    assert len(list(bodies.walk(taken))) == 9
    for more in ({"data": [[1, 1, 1], {"a": 1}]}, {"data": [[1, 1], {"a": 1, "b": 1}]}):
        with pytest.raises(DataError, match="at most 9 keys and values") as caught:
            bodies.parse(json.dumps(more).encode())
        assert caught.value.code == "too_large"


def test_a_long_list_is_refused_before_its_items_are_looked_at():
    with pytest.raises(DataError, match="keys and values"):
        for part in bodies.walk([1] * 1_000_000):
            assert part != 1


def test_a_request_that_names_the_most_files_has_room_for_all_that_clients_say_of_each():
    meta = {"_type": "gradio.FileData"}
    file = dict.fromkeys(("path", "url", "size", "orig_name", "mime_type", "is_stream"), "a")
    body = {"data": [[file | {"meta": meta, "b64": None}] * 15_000, None, None]}
    assert bodies.parse(json.dumps(body).encode()) == body


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (b'{"a": "\\u00e4 \\ud83e\\udde0"}', True),
        (b'{"a": "\\\\u0000"}', True),
        (b'{"a": "\\ud800"}', False),
        (b'{"\\u0000": 1}', False),
    ],
)
def test_lone_surrogates_and_nul_are_refused(text, taken):
    if taken:
        assert bodies.parse(text)
    else:
        with pytest.raises(DataError, match="Expected text"):
            bodies.parse(text)


def function(name: str = "f", fn=len, inputs: int = 0, **others) -> SimpleNamespace:
    hidden = [SimpleNamespace(skip_api=False)] * inputs + [SimpleNamespace(skip_api=True)]
    base = {"cancels": [], "collects_event_data": False, "api_visibility": "public"}
    return SimpleNamespace(api_name=name, fn=fn, inputs=hidden, **{**base, **others})


@pytest.mark.parametrize("index", [2, -1, 10**30, "0", 0.0, True, [], {}, 1])
def test_a_function_is_found_by_its_name_or_by_a_valid_number(index):
    functions = {0: function("a"), 1: function("js only", fn=None)}
    assert bodies.find_function(functions, None, 0).api_name == "a"
    assert bodies.find_function(functions, "a", None).api_name == "a"
    with pytest.raises(DataError) as caught:
        bodies.find_function(functions, "a", index)
    assert caught.value.code == "no_endpoint"


def test_a_function_of_the_page_is_not_found_by_its_name():
    functions = {0: function("answer", api_visibility="private"), 1: function("health")}
    assert bodies.find_function(functions, None, 0).api_name == "answer"
    assert bodies.find_function(functions, "health", None).api_name == "health"
    with pytest.raises(DataError) as caught:
        bodies.find_function(functions, "answer", None)
    assert caught.value.code == "no_endpoint"


def test_inputs_are_counted_and_programs_may_omit_those_of_the_page():
    bodies.check_inputs(function(inputs=2), [1, 2, 3])
    bodies.check_inputs(function(inputs=2), [1, 2], simple=True)
    for data, simple in (([1, 2], False), ([1], True), ({}, True), (None, True)):
        with pytest.raises(DataError, match="Expected"):
            bodies.check_inputs(function(inputs=2), data, simple)


def test_inputs_must_have_the_names_of_the_function():
    def judge(flair, t1c=None):
        return flair, t1c

    bodies.check_names(function(fn=judge), {"flair": 1})
    bodies.check_names(function(fn=judge), {"flair": 1, "t1c": 2})
    for named in ({}, {"t1c": 1}, {"flair": 1, "other": 2}):
        with pytest.raises(DataError, match="Expected the inputs flair, t1c, found others"):
            bodies.check_names(function(fn=judge), named)


def test_a_request_with_too_many_files_is_refused():
    file = {"path": "a", "meta": {"_type": "gradio.FileData"}}
    bodies.check_file_count({"data": [[file] * 15_000]})
    with pytest.raises(DataError, match="at most 15000 files") as caught:
        bodies.check_file_count({"data": [[[file] * 15_000], file]})
    assert caught.value.code == "too_many_files"
