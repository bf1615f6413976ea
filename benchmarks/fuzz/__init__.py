"""What can be fuzzed. A target is one file and one line here."""

from __future__ import annotations

from fuzz.checkpoint import CHECKPOINT
from fuzz.music import MUSIC
from fuzz.recipe import RECIPE
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    CHECKPOINT.name: CHECKPOINT,
    MUSIC.name: MUSIC,
    RECIPE.name: RECIPE,
}
