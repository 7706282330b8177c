"""Event contracts: records schemas and payloads, and checks whether a change breaks a reader."""

from .check import Compatibility, ContractFinding, ContractReport, Contracts, FindingKind

__all__ = ["Compatibility", "ContractFinding", "ContractReport", "Contracts", "FindingKind"]
