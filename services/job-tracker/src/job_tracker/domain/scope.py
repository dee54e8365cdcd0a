"""Whose data a caller may see and command."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """The tenants of a caller; None: all tenants."""

    tenants: frozenset[str] | None = None

    def holds(self, tenant: str) -> bool:
        """Whether the data of this tenant is in the scope."""
        return self.tenants is None or tenant in self.tenants

    def narrowed(self, tenant: str | None = None) -> list[str] | None:
        """The tenants of a question that names `tenant`, or none; None: all tenants, []: nothing is in the scope."""
        if self.tenants is None:
            return None if tenant is None else [tenant]
        return sorted(self.tenants if tenant is None else self.tenants & {tenant})


ALL_TENANTS = Scope()
