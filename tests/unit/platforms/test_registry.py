"""The registered platforms: what they declare, and that packages from outside are found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from job_events.job_types import JOB_TYPES, PLATFORMS
from platforms.errors import InvalidAccount
from platforms.registry import channels, hub, platform, platforms


def test_nhanh_is_the_hub_and_shopify_a_channel() -> None:
    assert list(platforms()) == ["nhanh", "shopify"]
    assert hub() is platform("nhanh")
    assert channels() == {"shopify": platform("shopify")}
    assert set(PLATFORMS) == set(platforms())


def test_an_unknown_platform_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidAccount, match=r"^platform: must be one of nhanh, shopify$"):
        platform("lazada")


def test_each_platform_can_pull_what_its_job_types_say() -> None:
    pulls = {(one.platform, one.kind): name for name, one in JOB_TYPES.items() if one.platform is not None}
    assert pulls == {
        ("nhanh", "product"): "PULL_NHANH_PRODUCTS",
        ("nhanh", "customer"): "PULL_NHANH_CUSTOMERS",
        ("shopify", "product"): "PULL_SHOPIFY_PRODUCTS",
        ("shopify", "customer"): "PULL_SHOPIFY_CUSTOMERS",
    }
    assert all(kind in platform(str(name)).pulls for name, kind in pulls)


def _in_another_process(path: Path, code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout


def test_reading_the_registry_imports_no_client() -> None:
    code = "import sys; from platforms.registry import platforms; platforms(); print(*sys.modules)"
    imported = set(_in_another_process(Path(), code).split())
    assert {"platforms.nhanh", "platforms.shopify"} <= imported
    assert not imported & {"httpx", "psycopg", "platforms.nhanh.client", "platforms.shopify.client"}


def test_a_package_from_outside_registers_its_platform(tmp_path: Path) -> None:
    info = tmp_path / "stone_shop-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stone-shop\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[jobtrail.platforms]\nstone-shop = stone_shop:PLATFORM\n")
    (tmp_path / "stone_shop.py").write_text(
        "from dataclasses import replace\nfrom platforms.shopify import PLATFORM\n"
        "PLATFORM = replace(PLATFORM, name='stone-shop')\n"
    )
    code = (
        "import json; from job_events.job_types import JOB_TYPES; from platforms.registry import channels\n"
        "print(json.dumps([list(channels()), [n for n, t in JOB_TYPES.items() if t.platform == 'stone-shop']]))"
    )
    found, types = json.loads(_in_another_process(tmp_path, code))
    assert found == ["shopify", "stone-shop"]
    assert types == ["PULL_STONE_SHOP_PRODUCTS", "PULL_STONE_SHOP_CUSTOMERS"]
