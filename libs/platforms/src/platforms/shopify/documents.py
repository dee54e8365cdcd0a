"""The GraphQL documents that we send, each a file in `documents/`; `# import` lines pull in its fragments."""

from functools import cache
from importlib.resources import files

_FOLDER = files("platforms.shopify") / "documents"
_IMPORT = "# import "


def names() -> list[str]:
    """The names of all operations, sorted (the file name without its ending)."""
    return sorted(entry.name.removesuffix(".graphql") for entry in _FOLDER.iterdir() if entry.name.endswith(".graphql"))


@cache
def text(name: str) -> str:
    """The complete document of operation `name`, fragments included, as it travels."""
    own = (_FOLDER / f"{name}.graphql").read_text("utf-8")
    lines = own.splitlines(keepends=True)
    imports = [line.removeprefix(_IMPORT).strip() for line in lines if line.startswith(_IMPORT)]
    body = "".join(line for line in lines if not line.startswith(_IMPORT))
    return "\n".join([body, *((_FOLDER / path).read_text("utf-8") for path in imports)])
