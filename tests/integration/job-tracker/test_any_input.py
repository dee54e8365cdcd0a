"""Whatever is asked of the API, it answers: with what was asked for, or with a problem that says what was wrong."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.api_answers import answers

from platforms.migrate import migrate as migrate_accounts

ENDLESS = "/stream"
WITHOUT_INPUT = {"/healthz", "/readyz", "/freshness", "/metrics"}  # as GET
LONGEST_URL = 60_000  # bytes; what is longer never comes to the API: uvicorn's parser refuses it by itself


def takes_input(operation: Any) -> bool:
    return operation.method != "get" or operation.path not in WITHOUT_INPUT


@pytest.fixture
def url(system: Any, stream: Any, start_api: Any, wait_until: Any) -> str:
    """An API at work, with a few jobs behind it."""
    migrate_accounts(system.database_url)
    address, _ = start_api()
    system.send(stream.jobs(20))
    system.projector()
    system.projector(part="items")
    wait_until(lambda: answers(f"{address}/readyz"), "the API does not become ready")
    return address


@pytest.mark.parametrize("most", [2, pytest.param(8, marks=pytest.mark.long)])
def test_good_and_bad_questions_are_answered(url: str, most: int) -> None:
    """Both made from the API's own description of itself."""
    # Here, since it is large and every test process reads this file.
    import schemathesis
    from schemathesis.core.result import Ok

    asked, wrong = 0, list[str]()

    def judge(case: Any) -> None:
        nonlocal asked
        answer = case.call()
        if len(answer.request.url) > LONGEST_URL:
            return
        asked += 1
        told = answer.headers["content-type"][0]
        if answer.status_code >= 500 or (answer.status_code >= 400 and told != "application/problem+json"):
            wrong.append(f"{answer.status_code} as {told}: {case.as_curl_command()}\n{answer.text[:500]}")

    several = settings(
        max_examples=most,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # a failure shows its request as it was
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        for mode in schemathesis.GenerationMode:
            if operation.path != ENDLESS and (mode.is_positive or takes_input(operation)):
                several(given(case=operation.as_strategy(generation_mode=mode))(judge))()
    assert not wrong, "\n".join(wrong)
    assert asked > 30 * most
