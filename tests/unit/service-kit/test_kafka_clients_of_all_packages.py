"""Every Kafka client is made from the connection's settings: none reaches only clusters without users and TLS."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
# They hold the settings, or start a broker of their own on loopback.
ALLOWED = {
    "libs/service-kit/src/service_kit/kafka_security.py",
    "libs/service-kit/src/service_kit/settings.py",
    "libs/local-stack/src/local_stack/kafka_server.py",
    "libs/local-stack/src/local_stack/kafka_access.py",
}


def own_addresses(tree: ast.Module) -> Iterator[int]:
    """Lines that configure a client by hand, or hand on the bare address."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value == "bootstrap.servers":
            yield node.lineno
        if isinstance(node, ast.Call):
            passed = [*node.args, *(keyword.value for keyword in node.keywords)]
            if any(isinstance(each, ast.Attribute) and each.attr == "kafka_bootstrap_servers" for each in passed):
                yield node.lineno


def test_no_module_configures_a_client_by_hand() -> None:
    sources = [path for folder in ("libs", "services", "cli") for path in (ROOT / folder).glob("**/src/**/*.py")]
    assert len(sources) > 100
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for path in sources
        if (lines := list(own_addresses(ast.parse(path.read_text("utf-8")))))
    }
    assert found.keys() == ALLOWED, found
