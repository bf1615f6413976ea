"""What a file means. A modality is one file here and one line in ``MODALITIES``; none of them knows torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from seqgen.modalities.base import Likeness, Modality, Reason
from seqgen.modalities.code import CODE
from seqgen.modalities.music import MUSIC
from seqgen.modalities.replies import REPLIES
from seqgen.modalities.text import TEXT

__all__ = ["MODALITIES", "Likeness", "Modality", "Reason", "guess_kind"]

MODALITIES: dict[str, Modality] = {modality.name: modality for modality in (TEXT, CODE, MUSIC, REPLIES)}


def guess_kind(paths: Iterable[PurePath]) -> str:
    """The kind that the names of the files speak for, summed over all of them; text where nothing speaks."""
    votes = dict.fromkeys(MODALITIES, 0.0)
    for path in paths:
        for name, modality in MODALITIES.items():
            votes[name] += modality.affinity(path)
    return max(votes, key=lambda name: votes[name])
