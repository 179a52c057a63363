"""Looks at everything that the system needs, and says what is well, what is not, and what to do: facts first, then findings."""

from console.doctor.examination import check_settings, examine
from console.doctor.findings import Finding, Level

__all__ = ["Finding", "Level", "check_settings", "examine"]
