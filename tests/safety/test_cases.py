"""Every case of tests/safety/*.yaml through the real services and the sandbox."""

from typing import Any

import pytest
from tests.safety.case import Case
from tests.safety.runner import described


def test_case(case: Case, results: dict[str, Any]) -> None:
    differences = results[case.id].result()
    if differences:
        pytest.fail("\n".join([described(case), *differences]), pytrace=False)
