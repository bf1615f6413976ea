"""Registers: what words write to them, how they are followed, and what the experts make of what they hold."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from seqgen.alphabet import CLASSES, EMPTY, KEPT, NOBODY, PITCHES, Meaning, registers_of
from seqgen.alphabet import Registers as Tables
from seqgen.models.experts import FARTHEST, GAIN, INTERVALS, MOTIONS, Experts
from seqgen.models.registers import Held, Registers
from seqgen.tokenizers import DOCUMENT

# What words write


DUET = [
    Meaning(tonic=7, facts={"key": "major"}),
    Meaning(facts={"key": "?"}),
    Meaning(facts={"bar": "2"}),
    Meaning(facts={"bar": ""}),
    Meaning(facts={"bar": "2", "near": "0"}, begins_step=True, turn=0),
    Meaning(0, 67, turn=1),
    Meaning(1, 0),
    Meaning(1, turn=0),
    Meaning(1, 43, begins_step=True),
]
NAMES = ("key", "bar", "near", "to")
CONTEXTS = [("near", "bar"), ("key", "to"), ("key",)]


def test_each_word_writes_its_facts_and_the_document_symbol_empties_all() -> None:
    tables = registers_of(DUET, 2, NAMES, CONTEXTS)
    k = KEPT
    assert tables.writes.tolist() == [
        [EMPTY] * 7,
        [k, k, 8, 1, k, k, k],
        [k, k, k, 2, k, k, k],
        [k, k, k, k, 1, k, k],
        [k, k, k, k, 2, k, k],
        [k, k, k, k, 1, 1, k],
        [68, k, k, k, k, k, k],
        [k, 1, k, k, k, k, k],
        [k] * 7,
        [k, 44, k, k, k, k, k],
    ]
    assert tables.begins_step.tolist() == [False] * 5 + [True] + [False] * 3 + [True]
    assert tables.pitch.tolist() == [-1] * 6 + [67, 0, -1, 43]
    assert tables.turn.tolist() == [NOBODY] * 5 + [0, 1, NOBODY, 0, NOBODY]
    assert tables.sizes == [PITCHES + 1, PITCHES + 1, CLASSES + 1, 3, 3, 2, 1]  # no word says the fact `to`
    assert (tables.voices, tables.contexts) == (2, [[5, 4], [3, 6], [3]])
    assert (tables.writes.max(0) < tables.sizes).all()


@pytest.mark.parametrize("facts", [{}, {"bar": "1"}, {"key": "?"}, {"to": "7"}], ids=str)
def test_a_meaning_at_the_end_changes_nothing_of_the_others(facts: dict[str, str]) -> None:
    tables, more = (
        registers_of(meanings, 2, NAMES, CONTEXTS) for meanings in (DUET, [*DUET, Meaning(0, 80, facts=facts)])
    )
    assert more.writes[:-1].tolist() == tables.writes.tolist()
    for name in ("pitch", "turn", "begins_step"):
        assert getattr(more, name)[:-1].tolist() == getattr(tables, name).tolist()
    assert sum(more.sizes) - sum(tables.sizes) == (facts in ({"bar": "1"}, {"to": "7"}))
    assert more.contexts == tables.contexts


# Following them


def follow(tables: Tables, symbols: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
    """After each symbol: what the registers hold, and what the voices' held when the step began."""
    values, before = [EMPTY] * len(tables.sizes), [EMPTY] * tables.voices
    all_values, all_before = list[list[int]](), list[list[int]]()
    for symbol in symbols:
        if tables.begins_step[symbol]:
            before = values[: tables.voices]
        for register, written in enumerate(tables.writes[symbol].tolist()):
            values = values if written == KEPT else [*values[:register], written, *values[register + 1 :]]
        if symbol == DOCUMENT:
            before = [EMPTY] * tables.voices
        all_values.append(values)
        all_before.append(before)
    return all_values, all_before


@pytest.mark.parametrize("windows", [[60], [1, 1, 7, 51], [20, 40]], ids=str)
def test_registers_hold_what_was_written_last_however_windows_are_cut(windows: list[int]) -> None:
    tables = registers_of(DUET, 2, NAMES, CONTEXTS)
    symbols = torch.randint(len(DUET) + 1, (60, 5), generator=torch.Generator().manual_seed(1))
    registers = Registers(tables)
    held, values, before = registers.empty(5), [], []
    for window in torch.split(symbols, windows):
        found = registers(window, held)
        held = Held(found.values[-1], found.before[-1])
        values.append(found.values)
        before.append(found.before)
    for lane in range(5):
        wanted_values, wanted_before = follow(tables, symbols[:, lane].tolist())
        assert torch.cat(values)[:, lane].tolist() == wanted_values
        assert torch.cat(before)[:, lane].tolist() == wanted_before


def test_of_the_piece_before_nothing_is_left_behind_the_document_symbol() -> None:
    registers = Registers(registers_of(DUET, 2, NAMES, CONTEXTS))
    found = registers(torch.tensor([[6], [9], [5], [DOCUMENT]]), registers.empty(1))
    assert found.before[-2].tolist() == [[68, 44]]
    assert found.values[-1].eq(EMPTY).all()
    assert found.before[-1].eq(EMPTY).all()


# Experts

LOWEST, HIGHEST = 30, 99


def choir(voices: int) -> Tables:
    """Words of so many voices that each sing the same pitches, in an order that is not theirs; the last ones are held."""
    order = [0, *range(voices - 1, 0, -1)]
    following = [*itertools.pairwise(order), (order[-1], NOBODY)]
    meanings = [
        *(Meaning(tonic=tonic, facts={"key": mode}) for tonic in range(CLASSES) for mode in ("major", "minor")),
        *(Meaning(facts={"bar": str(left)}) for left in range(3)),
        *(Meaning(facts={"near": str(near)}, begins_step=True, turn=0) for near in range(4)),
        *(Meaning(voice, pitch, turn=turn) for voice, turn in following for pitch in range(LOWEST, HIGHEST + 1)),
        *(Meaning(voice, turn=turn) for voice, turn in following),
    ]
    return registers_of(meanings, voices, ("key", "bar", "near"), [("near", "bar"), ("key", "bar")])


TRIO = choir(3)
NEAR, BAR = 6, 5
"""Registers."""


def build(tables: Tables) -> Experts:
    """Experts whose tables are all set at random, but for pairs that have no interval."""
    experts, draw = Experts(tables, 6, 8), torch.Generator().manual_seed(1)
    experts.reset_parameters(draw)
    with torch.no_grad():
        for table in [*experts.degrees, *([] if experts.progressions is None else [experts.progressions])]:
            table.normal_(generator=draw)
        if experts.progressions is not None:
            experts.progressions[-1] = 0
    return experts.requires_grad_(False)


def silent(tables: Tables = TRIO) -> Experts:
    """Experts whose tables at the output that ask no network are zeros."""
    experts = Experts(tables, 6, 8)
    experts.reset_parameters(torch.Generator().manual_seed(1))
    return experts.requires_grad_(False)


def draw_held(tables: Tables, rows: int, low: int = 0, high: int = PITCHES - 1) -> Held:
    """Anything that registers may hold, a fifth of it nothing; pitches within bounds."""
    draw = np.random.default_rng(2)
    highest = [*[high + 2] * tables.voices, *tables.sizes[tables.voices :]]
    lowest = [*[low + 1] * tables.voices, *[1] * (len(tables.sizes) - tables.voices)]
    values = draw.integers(lowest, highest, (rows, len(lowest)))
    values[draw.random(values.shape) < 0.2] = EMPTY
    before = np.where(draw.random((rows, tables.voices)) < 0.3, values[:, : tables.voices], 0)  # not all voices move
    others = draw.integers(low + 1, high + 2, before.shape)
    before = np.where((before == EMPTY) & (draw.random(before.shape) < 0.8), others, before)
    return Held(torch.from_numpy(values), torch.from_numpy(before))


def interval(upper: int, lower: int) -> int:
    """The row of an interval between what two registers hold."""
    return INTERVALS - 1 if EMPTY in (upper, lower) else max(-FARTHEST, min(FARTHEST, upper - lower)) + FARTHEST


def class_of(upper: int, lower: int) -> int:
    """The row of an interval within an octave."""
    return CLASSES if EMPTY in (upper, lower) else (upper - lower) % CLASSES


def naive_read(experts: Experts, values: list[int], before: list[int]) -> Tensor:
    sung, tonic = values[: experts.voices], values[experts.voices]
    pairs = [*itertools.combinations(range(experts.voices), 2)]
    rows = [
        *values,
        *(class_of(pitch, tonic) for pitch in sung),
        *(interval(pitch, last) for pitch, last in zip(sung, before, strict=True)),
        *(interval(sung[a], sung[b]) for a, b in pairs),
        *(class_of(sung[a], sung[b]) for a, b in pairs),
        *(class_of(before[a], before[b]) for a, b in pairs),
    ]
    return torch.stack([table[row] for table, row in zip(experts.inputs, rows, strict=True)]).sum(0)


def naive_weight(experts: Experts, hidden: Tensor, turn: int, held: tuple[list[int], list[int]], pitch: int) -> float:
    """What is added for a pitch."""
    (values, before), note = held, pitch + 1
    sung, tonic, weight = values[: experts.voices], values[experts.voices], 0.0
    for voice, table in zip(sung, experts.outputs, strict=False):
        weight += float(hidden @ table[interval(note, voice)])
    if tonic != EMPTY:
        weight += float(hidden @ experts.outputs[-1][(note - tonic) % CLASSES])
        for context, table in zip(experts.contexts, experts.degrees, strict=True):
            weight += GAIN * float(table[(1 + turn, *(values[each] for each in context), (note - tonic) % CLASSES)])
    for other in range(experts.voices):
        if turn not in (NOBODY, other) and EMPTY not in (sung[turn], sung[other], before[other]):
            assert experts.progressions is not None
            table = experts.progressions[:-1].view(MOTIONS, CLASSES, MOTIONS, CLASSES)
            sign = 1 if other < turn else -1
            their, mine = int(np.sign(sung[other] - before[other])) + 1, int(np.sign(note - sung[turn])) + 1
            last, coming = sign * (before[other] - sung[turn]) % CLASSES, sign * (sung[other] - note) % CLASSES
            weight += GAIN * float(table[their, last, mine, coming])
    return weight


@pytest.mark.parametrize("voices", [1, 2, 3])
def test_the_input_is_the_sum_of_one_row_for_each_feature(voices: int) -> None:
    experts, held = build(choir(voices)), draw_held(choir(voices), 60)
    wanted = torch.stack(list(map(naive_read, [experts] * 60, held.values.tolist(), held.before.tolist())))
    torch.testing.assert_close(experts.read(held), wanted)
    windows = Held(held.values.view(3, 20, -1), held.before.view(3, 20, -1))
    assert torch.equal(experts.read(windows).flatten(0, 1), experts.read(held))


@pytest.mark.parametrize("voices", [1, 2, 3])
def test_a_pitch_weighs_what_all_experts_say_and_other_words_nothing(voices: int) -> None:
    tables = choir(voices)
    experts, held, draw = build(tables), draw_held(tables, 24), torch.Generator().manual_seed(3)
    hidden, size = torch.randn(24, 8, generator=draw), len(tables.pitch)
    symbols = torch.randint(size, (24,), generator=draw)
    symbols[:12] = size - 1 - symbols[:12] % voices  # words of a voice: then another has its turn
    weights = experts.weigh(hidden, symbols, held)
    assert weights.shape == (24, size)
    assert not weights[:, tables.pitch < 0].any()
    for row, (values, before) in enumerate(zip(held.values.tolist(), held.before.tolist(), strict=True)):
        turn = int(tables.turn[symbols[row]])
        wanted = {
            pitch: naive_weight(experts, hidden[row], turn, (values, before), pitch)
            for pitch in range(LOWEST, HIGHEST + 1)
        }
        said = [wanted[pitch] for pitch in tables.pitch.tolist() if pitch >= 0]
        torch.testing.assert_close(weights[row, tables.pitch >= 0], torch.tensor(said), atol=1e-4, rtol=1e-4)
    windows = Held(held.values.view(3, 8, -1), held.before.view(3, 8, -1))
    again = experts.weigh(hidden.view(3, 8, -1), symbols.view(3, 8), windows)
    torch.testing.assert_close(again.flatten(0, 1), weights)


@pytest.mark.parametrize("semitones", [-7, 1, 12])
def test_what_is_learned_in_one_key_holds_in_all(semitones: int) -> None:
    experts, held, draw = build(TRIO), draw_held(TRIO, 20, 50, 80), torch.Generator().manual_seed(4)
    values, before, voices = held.values.clone(), held.before.clone(), TRIO.voices
    for pitches in (values[:, :voices], before):
        pitches += semitones * (pitches != EMPTY)
    tonic = held.values[:, voices]
    values[:, voices] = torch.where(tonic == EMPTY, EMPTY, (tonic - 1 + semitones) % CLASSES + 1)
    hidden = torch.randn(20, 8, generator=draw)
    symbols = len(TRIO.pitch) - 1 - torch.randint(voices, (20,), generator=draw)  # held: each voice may have its turn
    weights, moved = (experts.weigh(hidden, symbols, each) for each in (held, Held(values, before)))
    low, high = LOWEST + max(0, -semitones), HIGHEST - max(0, semitones)
    place = [symbol for symbol, pitch in enumerate(TRIO.pitch.tolist()) if low <= pitch <= high]
    torch.testing.assert_close(moved[:, [symbol + semitones for symbol in place]], weights[:, place])
    values[:, voices] = tonic  # but not where the key stays
    other = experts.weigh(hidden, symbols, Held(values, before))[:, [symbol + semitones for symbol in place]]
    assert torch.isclose(other, weights[:, place], atol=1e-4).all(1).tolist() == [
        each == EMPTY or semitones % CLASSES == 0 for each in tonic.tolist()
    ]


def duet(turn: int, other: int, own: int, moved: tuple[int, int]) -> Held:
    """One voice has moved in this step, and another has its turn; the third is silent."""
    values, before = torch.zeros(1, len(TRIO.sizes), dtype=torch.int64), torch.zeros(1, 3, dtype=torch.int64)
    before[0, turn], before[0, other] = own + 1, moved[0] + 1
    values[0, turn], values[0, other] = own + 1, moved[1] + 1
    return Held(values, before)


def weighed_down(held: Held, turn: int) -> dict[int, float]:
    """The pitches that are not as likely as the others, where parallel fifths are known to be bad."""
    experts = silent()
    assert experts.progressions is not None
    table = experts.progressions[:-1].view(MOTIONS, CLASSES, MOTIONS, CLASSES)
    table[0, 7, 0, 7] = table[2, 7, 2, 7] = -1
    symbol = next(symbol for symbol, each in enumerate(TRIO.turn.tolist()) if each == turn)
    weights = experts.weigh(torch.zeros(1, 8), torch.tensor([symbol]), held)[0]
    found = {(pitch, weight) for pitch, weight in zip(TRIO.pitch.tolist(), weights.tolist(), strict=True) if weight}
    assert len({pitch for pitch, _ in found}) == len(found)  # each voice's word for a pitch alike
    return dict(found)


@pytest.mark.parametrize(("turn", "other"), [*itertools.permutations(range(3), 2)])
@pytest.mark.parametrize("motion", [2, -3])
def test_parallel_fifths_are_told_from_all_else_above_and_below_alike(turn: int, other: int, motion: int) -> None:
    fifth = -7 if other < turn else 7  # from the other voice to the one that has its turn
    start = 65
    own, last = start + fifth, (start, start + motion)
    wrong = {
        pitch: -GAIN
        for pitch in range(LOWEST, HIGHEST + 1)
        if (pitch - last[1] - fifth) % CLASSES == 0 and (pitch - own) * motion > 0
    }
    assert own + motion in wrong
    assert weighed_down(duet(turn, other, own, last), turn) == wrong
    assert not weighed_down(duet(turn, other, start + fifth * 5 // 7, last), turn)  # a fourth
    assert not weighed_down(duet(turn, other, start - fifth, last), turn)  # a fifth, but with the voices crossed
    assert not weighed_down(duet(turn, other, own, (start, start)), turn)  # the other stays
    assert not weighed_down(duet(turn, other, own, last), NOBODY)
    assert not weighed_down(duet(turn, other, own, last), 3 - turn - other)  # that one is silent


def test_intervals_with_all_other_voices_count() -> None:
    held = duet(1, 0, 58, (65, 67))
    held.values[0, 2], held.before[0, 2] = 54, 52
    assert weighed_down(held, 1)[60] == -2 * GAIN


def test_degrees_are_weighed_in_their_context_by_the_voice_that_has_its_turn() -> None:
    experts = silent()
    experts.degrees[0][1 + 2, 3, 1, 7] = 1.0  # voice 2, the third `near`, the first `bar`, the fifth of the scale
    said = {int(turn): symbol for symbol, turn in enumerate(TRIO.turn.tolist())}

    def weights(turn: int, **change: int) -> Tensor:
        values = torch.zeros(1, len(TRIO.sizes), dtype=torch.int64)
        for name, value in {"tonic": 3, "near": 3, "bar": 1, **change}.items():
            values[0, {"tonic": 3, "near": NEAR, "bar": BAR}[name]] = value
        return experts.weigh(torch.zeros(1, 8), torch.tensor([said[turn]]), Held(values, values[:, :3]))[0]

    assert weights(2).tolist() == [GAIN * (pitch >= 0 and pitch % CLASSES == 9) for pitch in TRIO.pitch.tolist()]
    assert weights(2, tonic=4).nonzero().tolist() == (weights(2).nonzero() + 1).tolist()
    assert not any(each.any() for each in (weights(0), weights(1), weights(NOBODY)))
    assert not any(weights(2, **{name: value}).any() for name in ("near", "bar") for value in (0, 2))
    assert not weights(2, tonic=EMPTY).any()
