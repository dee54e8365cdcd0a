"""One running system for all cases; every selected case starts at once, as many side by side as the services bear."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.safety.case import Case, load_cases
from tests.safety.runner import Runner
from tests.safety.world import World

from jobtrail.account_store import open_accounts
from jobtrail.home import Home, Ports
from jobtrail.system import running_system
from local_stack import free_port

SIDE_BY_SIDE = 8

Results = dict[str, Future[list[str]]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = load_cases()
        metafunc.parametrize("case", cases, ids=[f"{case.clause}-{case.id}" for case in cases])


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Kafka, PostgreSQL, every service and the sandbox, on free ports and in a folder of their own."""
    folder = Path(tempfile.mkdtemp(prefix="jobtrail-safety-"))
    folder.chmod(0o755)  # as root, PostgreSQL runs as another user, who must be able to reach its data
    home, ports = Home(folder), Ports(api=free_port(), sandbox=free_port())
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):
            os.environ.pop(name, None)
        system = stack.enter_context(running_system(home, ports, lambda event: None))
        accounts = stack.enter_context(open_accounts(system.running.database, home.secret_key()))
        api = stack.enter_context(httpx.Client(base_url=system.running.api, timeout=120, trust_env=False))
        sandbox = stack.enter_context(httpx.Client(base_url=system.running.sandbox, timeout=120, trust_env=False))
        yield World(api, sandbox, accounts)


@pytest.fixture(scope="session")
def results(
    world: World, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Results]:
    """What becomes of each selected case."""
    folder = tmp_path_factory.mktemp("catalogues")
    callspecs = [getattr(item, "callspec", None) for item in request.session.items]
    cases: list[Case] = [spec.params["case"] for spec in callspecs if spec is not None and "case" in spec.params]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {case.id: pool.submit(Runner(world, case, folder).run) for case in cases}
        pool.shutdown(wait=True, cancel_futures=True)
