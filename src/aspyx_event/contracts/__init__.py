"""Contracts of events: recorded schemas and payloads, and whether a change breaks a reader."""

from .check import Compatibility, ContractFinding, ContractReport, Contracts, FindingKind

__all__ = ["Compatibility", "ContractFinding", "ContractReport", "Contracts", "FindingKind"]
