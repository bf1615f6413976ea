"""What can be fuzzed. A target is one file and one line here."""

from __future__ import annotations

from fuzz.checkpoint import CHECKPOINT
from fuzz.corpora import CORPORA
from fuzz.mail import MAIL
from fuzz.music import MUSIC
from fuzz.recipe import RECIPE
from fuzz.seeds import SEEDS
from fuzz.sessions import SESSIONS
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    CHECKPOINT.name: CHECKPOINT,
    CORPORA.name: CORPORA,
    MAIL.name: MAIL,
    MUSIC.name: MUSIC,
    RECIPE.name: RECIPE,
    SEEDS.name: SEEDS,
    SESSIONS.name: SESSIONS,
}
