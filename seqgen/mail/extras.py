"""What is said where a library for mail is not installed."""

from __future__ import annotations

from seqgen.errors import DataError

INSTALL = "Install the extra: pip install 'seqgen[mail]'"


def missing(error: ImportError) -> DataError:
    """The error for a library that could not be imported: it names the extra that brings it."""
    return DataError(f"the library for mail is missing ({error.name})", hint=INSTALL)
