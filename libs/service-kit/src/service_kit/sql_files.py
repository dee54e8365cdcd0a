"""SQL by name: each statement of a `.sql` file follows a line `-- name: its_name`."""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries(package: str, file_name: str) -> dict[str, LiteralString]:
    """The statements of `sql/<file_name>` inside `package`, by name. Raises ValueError for a name that stands twice."""
    parts = _NAME.split((files(package) / "sql" / file_name).read_text("utf-8"))
    if len(set(parts[1::2])) != len(parts[1::2]):
        raise ValueError(f"{package} {file_name}: a statement's name stands twice")
    # The text is part of the package and never user input, which is what LiteralString stands for.
    return {name: cast("LiteralString", body.strip()) for name, body in zip(parts[1::2], parts[2::2], strict=True)}
