"""MidiTok at work: notes as the tokens of REMI or TSD and back. It is loaded when the first piece is encoded or decoded."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqgen.scores.piece import HIGHEST, LOWEST, TICKS, Metre, Note, Piece, Tempo
from seqgen.scores.repairs import from_the_beginning, without_overlaps
from seqgen.tokenizers import barring
from seqgen.tokenizers.barring import (
    BAR,
    DRUM,
    DURATION,
    METRE,
    PICKUP,
    PITCH,
    POSITION,
    PROGRAM,
    SHIFT,
    TEMPO,
    VELOCITY,
)

UNSAID = 80
"""The velocity of a note that says none, among others that do."""
KEPT_TOKENS = 1 << 22
"""So many tokens of pieces are kept, some 40 MB."""
Notes = dict[int, tuple[Note, ...]]
"""The notes of each program."""


class Coding(NamedTuple):
    """How MidiTok is set up.

    Attributes:
        steps: from which beat to which other a length has how many steps of a beat.
        velocities: how many.
        tempos: the slowest, the fastest, and how many, in even steps.
        metres: units of a metre, and of each up to how many a bar may have; none: there are no bars.
    """

    steps: tuple[tuple[int, int, int], ...]
    velocities: int = 8
    tempos: tuple[int, int, int] = (20, 260, 49)
    metres: tuple[tuple[int, int], ...] = ()

    def knows(self, metre: Metre) -> bool:
        """Whether a metre can be said."""
        counted = in_quarters(metre)
        return counted.beats <= dict(self.metres).get(counted.unit, 0)

    @functools.cache  # noqa: B019  # there are two codings, and they last
    def words(self) -> set[str]:
        """All words that there can be."""
        slowest, fastest, tempos = self.tempos
        lengths = [
            f"{beat}.{part}.{parts}"
            for first, last, parts in self.steps
            for beat in range(first, last)
            for part in range(parts)
        ]
        lengths = [*lengths[1:], f"{self.steps[-1][1]}.0.{self.steps[-1][2]}"]
        words = {f"{DURATION} {length}" for length in lengths}
        words |= {f"{VELOCITY} {127 * place // self.velocities}" for place in range(1, self.velocities + 1)}
        words |= {f"{TEMPO} {bpm:.1f}" for bpm in np.linspace(slowest, fastest, tempos)}
        words |= {f"{PROGRAM} {program}" for program in range(barring.DRUMS, 128)}
        words |= {f"{head} {pitch}" for head in (PITCH, DRUM) for pitch in range(LOWEST, HIGHEST + 1)}
        if not self.metres:
            return words | {f"{SHIFT} {length}" for length in lengths}
        metres = [Metre(0, beats, unit) for unit in (1, 2, 4, 8, 16, 32) for beats in range(1, 100)]
        most = barring.POSITIONS * max(beats for _, beats in self.metres)
        words |= {BAR, PICKUP} | {f"{METRE} {metre}" for metre in metres if self.knows(metre)}
        return words | {f"{POSITION} {position}" for position in range(most)}


REMI = Coding(((0, 8, 12), (8, 32, 4), (32, 64, 1)), metres=((4, 32), (8, 48), (16, 64), (32, 96)))
TSD = Coding(((0, 1, 24), (1, 4, 12), (4, 16, 4), (16, 32, 1)))


def in_quarters(metre: Metre) -> Metre:
    """A metre as MidiTok is told: it has 12 positions for what a metre counts, too few for a half."""
    return metre if metre.unit >= 4 else metre._replace(beats=metre.beats * 4 // metre.unit, unit=4)


def plain(coding: Coding) -> dict[str, Any]:
    """A coding as JSON gives it back."""
    return {
        "steps": [list(step) for step in coding.steps],
        "velocities": coding.velocities,
        "tempos": list(coding.tempos),
        "metres": [list(metre) for metre in coding.metres],
    }


def in_bars(tokens: Iterable[str], bars: Sequence[barring.Bar], opening: str) -> list[str]:
    """The words of MidiTok's tokens, each bar with its metre as it is written; and of the bars after the last token."""
    words: list[str] = []
    begun = 0
    for token in tokens:
        head = token.partition("_")[0]
        if head == BAR:
            words.append(BAR if begun else opening)
            begun += 1
        elif head == METRE:
            words.append(f"{METRE} {bars[min(begun, len(bars)) - 1].metre}")
        else:
            words.append(token.replace("_", " ", 1))
    return [*words, *(word for bar in bars[begun:] for word in (BAR, f"{METRE} {bar.metre}"))]


def gather(piece: Piece, on_grid: Callable[[int], int]) -> Notes:
    """The notes of each program on a grid of times, as one instrument can play them: no pitch begins while it sounds."""
    gathered: dict[int, list[Note]] = {}
    for part in piece.parts:
        placed = [note._replace(start=on_grid(note.start)) for note in part.notes]
        gathered.setdefault(barring.DRUMS if part.drums else part.program, []).extend(placed)
    return {program: without_overlaps(notes) for program, notes in gathered.items() if notes}


def encode(notes: Notes, tempos: Sequence[Tempo], coding: Coding, bars: Sequence[barring.Bar] = ()) -> list[str]:
    """MidiTok's tokens of notes and tempos at times of its grid; no tempo where there are none."""
    tracks = {
        program: sorted((note.start, -note.pitch, note.duration, note.velocity or UNSAID) for note in notes[program])
        for program in sorted(notes, key=barring.rank)
    }
    end = max(note.start for played in notes.values() for note in played)
    heard = tuple(tempo for tempo in tempos if tempo.start <= end)
    metres = tuple(from_the_beginning(in_quarters(bar.metre)._replace(start=bar.start) for bar in bars))
    rows = {program: np.array(each, dtype=np.int32) for program, each in tracks.items()}
    key = (coding, bool(tempos), heard, metres, *((program, each.tobytes()) for program, each in rows.items()))
    return _kept.get(key, lambda: _encode(coding, bool(tempos), rows, heard, metres))


class _Kept:
    """Tokens that were made before. A corpus is encoded twice, to find its vocabulary and to use it, and MidiTok is what
    takes the time."""

    def __init__(self) -> None:
        self._known: dict[Hashable, list[str]] = {}
        self._total = 0

    def get(self, key: Hashable, make: Callable[[], list[str]]) -> list[str]:
        """What was made for this key, or is made now. What a corpus of more tokens needs again is not kept."""
        known = self._known.get(key)
        if known is None:
            known = [sys.intern(token) for token in make()]
            self._total += len(known)
            if self._total > KEPT_TOKENS:
                self._known, self._total = {}, len(known)
            self._known[key] = known
        return known


_kept = _Kept()


def _encode(
    coding: Coding,
    with_tempos: bool,
    rows: Mapping[int, npt.NDArray[np.int32]],
    tempos: Sequence[Tempo],
    metres: Sequence[Metre],
) -> list[str]:
    """MidiTok's tokens of rows (start, -pitch, duration, velocity) for each program."""
    import symusic as typed

    symusic: Any = typed  # its types are those of times in ticks, quarters and seconds all at once
    score = symusic.Score(TICKS)
    for program, each in rows.items():
        track = symusic.Track("", max(0, program), program == barring.DRUMS)
        starts, pitches, durations, velocities = each.T
        track.notes = symusic.Note.from_numpy(
            starts.copy(), durations.copy(), (-pitches).astype(np.int8), velocities.astype(np.int8)
        )
        score.tracks.append(track)
    for tempo in tempos:
        score.tempos.append(symusic.Tempo(tempo.start, tempo.bpm))
    for metre in metres:
        score.time_signatures.append(symusic.TimeSignature(metre.start, metre.beats, metre.unit))
    tokens: list[str] = _miditok(coding, with_tempos, True).encode(score, encode_ids=False).tokens
    return tokens


def decode(tokens: list[str], coding: Coding, with_velocities: bool) -> tuple[Notes, tuple[Tempo, ...]]:
    """The notes of each program and the tempos of MidiTok's tokens, in our ticks."""
    sequence = _import_miditok().TokSequence(tokens=tokens)
    score = _miditok(coding, True, with_velocities).decode(sequence)
    scale = TICKS // score.ticks_per_quarter
    notes: Notes = {}
    for track in score.tracks:
        columns = track.notes.numpy()
        rows = zip(*(columns[name].tolist() for name in ("time", "duration", "pitch", "velocity")), strict=True)
        played = (Note(start * scale, duration * scale, pitch, velocity) for start, duration, pitch, velocity in rows)
        notes[barring.DRUMS if track.is_drum else track.program] = tuple(played)
    if not any(token.startswith(TEMPO) for token in tokens):
        return notes, ()
    return notes, tuple(Tempo(tempo.time * scale, round(tempo.qpm, 2)) for tempo in score.tempos)


@functools.cache
def _miditok(coding: Coding, with_tempos: bool, with_velocities: bool) -> Any:
    """MidiTok's tokenizer of these settings, made of nothing but them: it reads no file, and asks no server."""
    miditok = _import_miditok()
    config = miditok.TokenizerConfig(
        pitch_range=(LOWEST, HIGHEST),
        drums_pitch_range=(LOWEST, HIGHEST),
        beat_res={(first, last): steps for first, last, steps in coding.steps},
        num_velocities=coding.velocities,
        use_velocities=with_velocities,
        use_programs=True,
        one_token_stream_for_programs=True,
        program_changes=True,
        use_pitchdrum_tokens=True,
        use_tempos=with_tempos,
        tempo_range=coding.tempos[:2],
        num_tempos=coding.tempos[2],
        use_time_signatures=bool(coding.metres),
        time_signature_range={unit: list(range(1, most + 1)) for unit, most in coding.metres or ((4, 4),)},
    )
    return miditok.REMI(config) if coding.metres else miditok.TSD(config)


def _import_miditok() -> Any:
    """MidiTok without its batches for PyTorch, which take longer to load than all the rest."""
    if "miditok" not in sys.modules:
        sys.modules["miditok.pytorch_data"] = None  # type: ignore[assignment]  # Python's way to say: not here
        try:
            importlib.import_module("miditok")
        finally:
            del sys.modules["miditok.pytorch_data"]
    return importlib.import_module("miditok")
