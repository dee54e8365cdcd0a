"""An option that wants a JSON object refuses everything else in one sentence."""

from typing import Any

import httpx
import pytest

from jobtrail.options import json_object

WRONG = {
    "not a number": '{"a":NaN}',
    "half a pair in a name": '{"\\ud800":1}',
    "half a pair in a value": '{"a":"\\udc80"}',
    "beyond a double": '{"a":1e999}',
    "too many digits": '{"a":' + "1" * 5000 + "}",
    "too deep": '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
    "bytes that are no text": '{"a":"\udcff"}',
    "a list": "[1]",
    "no JSON": "{a:1}",
    "nothing": "",
}


COMMANDS = [
    ["jobs", "start", "PRODUCT_SYNC", "--account", "lan-shop", "--params"],
    ["accounts", "add", "lan-shop", "nhanh", "--settings"],
    ["accounts", "settings", "lan-shop", "--set"],
]


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("command", COMMANDS, ids=["params", "settings", "set"])
def test_a_wrong_value_is_refused_in_a_sentence(api: Any, run: Any, command: list[str], text: str) -> None:
    api(lambda _: httpx.Response(202, json={"job_id": "job-1"}))
    ended = run(*command, text)
    assert ended.code == 1
    assert ended.err.startswith(command[-1]) and ended.err.count("\n") == 1


@pytest.mark.parametrize("depth", [100, 400, 900, 990])
def test_what_can_be_read_can_be_sent_or_is_refused(api: Any, run: Any, depth: int) -> None:
    api(lambda _: httpx.Response(202, json={"job_id": "job-1"}))
    ended = run(
        "jobs", "start", "PRODUCT_SYNC", "--account", "a", "--params", '{"a":' + "[" * depth + "]" * depth + "}"
    )
    assert ended.code == 0 or "nests too deeply" in ended.err


def test_an_object_is_taken_as_it_is() -> None:
    assert json_object('{"a": 1.5, "b": [null, "\\ud83d\\ude00"]}', "--params") == {"a": 1.5, "b": [None, "😀"]}


def test_an_account_of_bytes_that_are_no_text_is_refused_in_a_sentence(api: Any, run: Any) -> None:
    api(lambda _: httpx.Response(202, json={"job_id": "job-1"}))
    for command in (["start", "PRODUCT_SYNC"], ["list"]):
        ended = run("jobs", *command, "--account", "\udcff")
        assert (ended.code, ended.err) == (1, "The request holds bytes that are not UTF-8\n")
