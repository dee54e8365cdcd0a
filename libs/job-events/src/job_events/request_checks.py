"""What is checked of a request where it enters, besides what each of its readers checks.

A request that was accepted by an earlier version is still run; so these rules are none of the readers'.
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from job_events.errors import InvalidRequest
from job_events.events import Then
from job_events.job_params import PullParams, RevertParams
from job_events.job_types import read_params
from job_events.strict import read_strictly

# Ids are strings in Jobtrail and integers at Nhanh.
NhanhId = Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern=r"\A[0-9]{1,19}\Z")]
UnixTime = Annotated[int, Meta(ge=0)]
FilterText = Annotated[str, Meta(min_length=1, max_length=512)]


class PriceRange(Struct, frozen=True):
    """Prices in dong; an end that is absent is open."""

    from_: Annotated[float, Meta(ge=0)] | None = field(default=None, name="from")
    to: Annotated[float, Meta(ge=0)] | None = None


class NhanhProductFilters(Struct, frozen=True, rename="camel"):
    """The documented filters of Nhanh's `/product/list`. Times are Unix seconds. No list is empty: it would mean all.

    `gpid`: -1 standalone, -2 parent, 1 child, 2 parent and standalone, 3 child and standalone.
    """

    ids: Annotated[tuple[NhanhId, ...], Meta(min_length=1, max_length=100)] | None = None
    name: FilterText | None = None
    parent_id: int | Annotated[str, Meta(pattern=r"\A-?[0-9]{1,19}\Z")] | None = None
    gpid: Literal[-2, -1, 1, 2, 3] | None = None
    category_ids: Annotated[tuple[NhanhId, ...], Meta(min_length=1)] | None = None
    brand_ids: Annotated[tuple[NhanhId, ...], Meta(min_length=1)] | None = None
    status: Annotated[tuple[int, ...], Meta(min_length=1)] | None = None
    price: PriceRange | None = None
    imei: FilterText | None = None
    updated_at_from: UnixTime | None = None
    updated_at_to: UnixTime | None = None


class NhanhCustomerFilters(Struct, frozen=True, rename="camel"):
    """The filters of Nhanh's `/customer/list`; `id` is not documented, but works.

    `type`: 1 retail, 2 wholesale, 3 agent.
    """

    ids: Annotated[tuple[NhanhId, ...], Meta(min_length=1, max_length=100)] | None = None
    id: NhanhId | None = None
    mobile: FilterText | None = None
    type: Literal[1, 2, 3] | None = None
    last_bought_date_from: date | None = None
    last_bought_date_to: date | None = None
    updated_at_from: UnixTime | None = None
    updated_at_to: UnixTime | None = None


FILTERS: dict[str, type[Struct]] = {
    "PULL_NHANH_PRODUCTS": NhanhProductFilters,
    "PULL_NHANH_CUSTOMERS": NhanhCustomerFilters,
}
"""The filters that a type of pull takes; a pull that is not here takes none, but a `query`."""


def read_steps(then: Sequence[dict[str, Any]]) -> tuple[Then, ...]:
    """The steps of a chain as a caller sends them.

    Raises:
        InvalidRequest: a field of any step is unknown, missing or wrong.
    """
    return read_strictly(list(then), tuple[Then, ...], "then")


def check_params(type_name: str, params: object, path: str = "params") -> None:
    """Check the type and parameters of a job that is asked for; `path` ends in `params` and names them.

    Raises:
        InvalidRequest: as `read_params`, and for filters that the platform does not know.
    """
    try:
        read = read_params(type_name, params)
    except InvalidRequest as error:
        raise InvalidRequest(path.removesuffix("params") + error.field, error.reason) from None
    if isinstance(read, PullParams):
        _check_pull(type_name, read, path)
    if isinstance(read, RevertParams):
        check_address(read.job_id, f"{path}.job_id")


def check_steps(then: Sequence[Then], path: str = "then") -> None:
    """The same for all steps that follow. It comes after `check_then`, which bounds them.

    Raises:
        InvalidRequest
    """
    for index, step in enumerate(then):
        check_params(step.type, step.params, f"{path}[{index}].params")
        check_steps(step.then, f"{path}[{index}].then")


def check_address(job_id: str, path: str) -> None:
    """An id of a job or a chain stands in URLs, where `.` and `..` are no names.

    Raises:
        InvalidRequest
    """
    if job_id in {".", ".."}:
        raise InvalidRequest(path, f"{job_id!r} cannot be part of a URL; choose another id")


def _check_pull(type_name: str, params: PullParams, path: str) -> None:
    known = FILTERS.get(type_name)
    if known is None:
        if params.filters is not None:
            raise InvalidRequest(f"{path}.filters", "is for Nhanh; Shopify takes a query")
        return
    if params.query is not None:
        raise InvalidRequest(f"{path}.query", "is for Shopify; Nhanh takes filters")
    if params.filters is not None:
        read_strictly(params.filters, known, f"{path}.filters")
