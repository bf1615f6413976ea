"""What is said where a library for mail is not installed."""

from __future__ import annotations

from seqgen.errors import DataError

INSTALL = "Install the extra: pip install 'seqgen[mail]'"


class MissingLibraryError(DataError):
    """A library that reads mail is not installed: no fault of any file."""


def missing(error: ImportError) -> MissingLibraryError:
    """The error for a library that could not be imported: it names the extra that brings it."""
    return MissingLibraryError(f"the library for mail is missing ({error.name})", hint=INSTALL)
