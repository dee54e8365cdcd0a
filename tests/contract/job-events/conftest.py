import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def asyncapi_schema(npm_package: Callable[[str, str], Path]) -> dict[str, Any]:
    """AsyncAPI's own JSON Schema of a 3.1 document."""
    packed = npm_package("@asyncapi/specs", "6.11.1") / "schemas" / "3.1.0-without-$id.json"
    return json.loads(packed.read_text("utf-8"))
