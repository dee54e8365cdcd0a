"""The seam of tenancy: the scope of a request, and the condition by which a statement keeps to it.

Every route takes its scope from `caller_scope`, by way of `deps.PartsNow`. Access control belongs there and nowhere
else.
"""

from typing import Annotated, Any, LiteralString

from fastapi import Depends

from job_tracker.domain.scope import ALL_TENANTS, Scope


async def caller_scope() -> Scope:
    """The tenants that the caller may see and command: all of them, as long as there is no authentication."""
    return ALL_TENANTS


CallerScope = Annotated[Scope, Depends(caller_scope)]


def scope_condition(scope: Scope, column: LiteralString = "tenant") -> LiteralString:
    """What is appended to a WHERE; empty for all tenants, whose statements are planned as if there were no scope."""
    return "" if scope.tenants is None else f" AND {column} = ANY(%(scope_tenants)s)"


def scope_values(scope: Scope) -> dict[str, Any]:
    """The values of the condition."""
    return {} if scope.tenants is None else {"scope_tenants": sorted(scope.tenants)}


def tenant_condition(tenants: list[str]) -> LiteralString:
    """The condition on `tenants`. Of a single one the planner knows more than of an array."""
    return "tenant = %(tenant)s" if len(tenants) == 1 else "tenant = ANY(%(tenant)s)"


def tenant_value(tenants: list[str]) -> str | list[str]:
    """The value of that condition."""
    return tenants[0] if len(tenants) == 1 else tenants
