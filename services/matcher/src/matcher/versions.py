"""The version of everything on which the scores of a pair depend, so that no candidate of other code is used."""

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from platforms import registry

_LIBRARIES = ("numpy", "phonenumbers", "rapidfuzz", "scikit-learn", "scipy", "sparse-dot-topn")
_SPELLING = ("company_names", "person_names", "placeholders", "spelling")
"""Modules of the package `platforms` that the rules read names with."""


@cache
def scoring_version() -> str:
    """A hash of the rules' source, of the libraries that they use, and of what the platforms are called."""
    sources = [file for file in (files("matcher") / "domain").iterdir() if file.name.endswith(".py")]
    sources += [files("platforms") / f"{name}.py" for name in _SPELLING]
    sources.append(files("matcher") / "sql" / "known_records.sql")
    content = hashlib.sha256()
    for file in sorted(sources, key=lambda file: file.name):
        content.update(file.read_bytes())
    content.update(repr([(name, version(name)) for name in _LIBRARIES]).encode())
    content.update(repr(sorted((name, one.title) for name, one in registry.platforms().items())).encode())
    return content.hexdigest()[:16]
