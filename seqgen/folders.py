"""Where what can be made again is kept."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

NATIVE = "native"
"""The folder in it with the libraries that `seqgen.native.compiling` has made."""


def cache_folder() -> Path:
    """Where prepared corpora are kept: `$SEQGEN_CACHE`, or the system's folder for caches."""
    return Path(os.environ.get("SEQGEN_CACHE") or platformdirs.user_cache_dir("seqgen", appauthor=False))
