"""What is typed beside seeds: every command, what it refuses, and what becomes a seed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from seqgen.errors import CheckpointError, DataError, SeqgenError, UsageError
from seqgen.session.commands import COMMANDS, HIDDEN, SESSION, split
from tests.rehearsal import Play, assert_repeated

ALONE = ("/again", "/more", "/undo", "/keep", "/show", "/play", "/bye", "/quit", "/exit")


@pytest.mark.parametrize(
    "line",
    [
        "// a remark",
        "/* of C */",
        "/usr/bin/env",
        "/",
        "/tmep 2",
        "/Seed x",
        "/temp=2",
        "/again2",
        "/#!sh",
        " /undo",
        "the /undo",
        "12",
        "1",
        '"quoted"',
        "/next\u00a0",
        "Grüße 🦊",
        "one\n  two",
        "/*\n/undo\n*/",
    ],
)
def test_only_known_commands_are_commands(models: Path, line: str) -> None:
    name, _ = split(line)
    play = Play(models, "text", line)
    if name in COMMANDS:  # U+00A0 is white space
        assert line == "/next\u00a0"
        return
    assert play.passage.seed == line
    assert_repeated(play)


@pytest.mark.parametrize("line", ["/tmep 0.5", "/udno", "/tempo", "/seed2"])
def test_what_looks_like_a_command_is_a_seed_and_is_said_to_be_one(models: Path, line: str) -> None:
    play = Play(models, "text", line)
    assert play.passage.seed == line
    assert f"{line.split()[0]} is no command" in play.stage.told and "did you mean /" in play.stage.told


@pytest.mark.parametrize("line", ["// temp", "/* temp */", "/usr", "the /tmep"])
def test_what_does_not_look_like_one_is_a_seed_without_a_word(models: Path, line: str) -> None:
    assert "no command" not in Play(models, "text", line).stage.told


@pytest.mark.parametrize("line", ["", " ", "\t", "\n\n", "\u2003"])
def test_blank_lines_are_none(models: Path, line: str) -> None:
    play = Play(models, "text").hear(line)
    assert play.stage.seen == [] and play.scene.passage is None and len(play.session.record) == 2


@pytest.mark.parametrize("name", ALONE)
def test_nothing_belongs_behind_some_commands(models: Path, name: str) -> None:
    play = Play(models, "text", "the ")
    error = play.refusal(f"{name} now")
    assert isinstance(error, UsageError) and "'now'" in error.what and not play.session.is_over


REFUSED: list[tuple[str, str, type[SeqgenError], str, str]] = [
    ("text", "/more", UsageError, "nothing to go on from", "Type a seed first"),
    ("text", "/keep", UsageError, "there is nothing yet", "/seed alone"),
    ("text", "/play", UsageError, "there is nothing yet", "Type a seed first"),
    ("text", "/adapt", UsageError, "it is off now", "/adapt on or /adapt off"),
    ("text", "/adapt perhaps", UsageError, "it is off now", "/adapt on or /adapt off"),
    ("text", "/temp warm", UsageError, "temperature: 'warm' is no number", "below 1 safer"),
    ("text", "/temp inf", UsageError, "no number that can be meant", ""),
    ("text", "/top-p 0", UsageError, "top-p", ""),
    ("text", "/top-p 1.5", UsageError, "top-p", ""),
    ("text", "/length -1", UsageError, "length: -1 is below 0", ""),
    ("text", "/length 1.5", UsageError, "'1.5' is no whole number", ""),
    ("text", "/count 0", UsageError, "count: 0 is below 1", "answers to each seed"),
    ("text", "/count 101", UsageError, "count: 101 is above 100", ""),
    ("text", "/set tempo 90", UsageError, "tempo has no meaning for this model", "There are: temperature"),
    ("text", "/set tempo", UsageError, "tempo has no meaning for this model", "There are: temperature"),
    ("text", "/set nonsense 1", UsageError, "there is no setting 'nonsense'", "There are: temperature"),
    ("text", "/set until noon", UsageError, "'noon' is none of line, sentence, document", "where it ends"),
    ("text", "/set recall perhaps", UsageError, "'perhaps' is none of on, off", ""),
    ("text", '/set stop "a', UsageError, "not text in double quotes", 'Write "one" "another"'),
    ("text", '/set stop "a" 1', UsageError, "not text in double quotes", 'Write "one" "another"'),
    ("text", '/set stop ""', UsageError, "empty stop text", ""),
    ("text", "/set min-length 13", UsageError, "min-length 13 is above the length, 12", ""),
    ("text", "/set random-seed -1", UsageError, "random-seed: -1 is below 0", ""),
    ("text", "/save", UsageError, "no file is named", "/save FILE [--kept] [--force]"),
    ("text", "/save --force", UsageError, "no file is named", "/save FILE [--kept] [--force]"),
    ("text", "/save it.txt", UsageError, "nothing to write yet", "Type a seed first"),
    ("text", "/save it.txt --kept", UsageError, "nothing was kept yet", "/keep keeps"),
    ("text", "/save no/it.txt", UsageError, "there is no such folder", "Make no first"),
    ("text", "/load", UsageError, "no model is named", "At hand"),
    ("text", "/load nobody", CheckpointError, "no such checkpoint", ""),
    ("text", "/cut", UsageError, "a number of steps belongs behind it", ""),
    ("text", "/cut all", UsageError, "a number of steps belongs behind it", ""),
    ("text", "/cut -1", UsageError, "a number of steps belongs behind it", ""),
    ("text", "/set stop a\nb", UsageError, "/set takes one line", "/seed"),
    ("text", "/temp 1\n2", UsageError, "/temp takes one line", "/seed"),
    ("text", "/help nonsense", UsageError, "there is no command /nonsense", "There are: /again"),
    ("text", '/seed "\\ud800"', DataError, "not valid Unicode", "Pass it as UTF-8"),
    ("text", "/next \udcff", DataError, "not valid Unicode", "Pass it as UTF-8"),
    ("voices", "H4", DataError, "", ""),
    ("voices", "/next H4", DataError, "", ""),
    ("voices", "/set key Q", UsageError, "", ""),
    ("voices", "/set metre 3", UsageError, "", ""),
    ("voices", "/set range high", UsageError, "not a range of pitches", "C3-C6"),
    ("voices", "/set stop x", UsageError, "stop has no meaning for this model", "There are:"),
    ("voices", "/set program 128", UsageError, "program: 128 is above 127", ""),
    ("voices", "/set bars 0", UsageError, "bars: 0 is below 1", ""),
    ("replies", "/more", UsageError, "a reply ends by itself", "/again shows others"),
    ("replies", "/again", UsageError, "nothing to answer", "Type a message first"),
    ("replies", "/next", UsageError, "nothing to answer", "Type a message first"),
    ("replies", "/seed", DataError, "the message is empty", "Give a message"),
    ("replies", "/save it.txt", UsageError, "nothing was said yet", "Type a message first"),
    ("replies", "/count 51", UsageError, "count: 51 is above 50", "replies to choose from"),
    ("replies", "/length 0", UsageError, "length: 0 is below 1", ""),
    ("replies", "/set beam 65", UsageError, "beam: 65 is above 64", ""),
    ("replies", "/set until line", UsageError, "until has no meaning for this model", "There are:"),
]


@pytest.mark.parametrize(("name", "line", "kind", "what", "hint"), REFUSED, ids=lambda part: str(part)[:24])
def test_what_cannot_be_done_is_refused_in_words_and_leaves_all_as_it_was(
    models: Path, name: str, line: str, kind: type[SeqgenError], what: str, hint: str
) -> None:
    error = Play(models, name).refusal(line)
    assert type(error) is kind
    assert what in error.what and hint in (error.hint or "")


@pytest.mark.parametrize(
    ("line", "seed"),
    [
        ("/seed", ""),
        ("/seed ", ""),
        ("/seed /undo", "/undo"),
        ("/seed 1", "1"),
        ("/seed the ", "the "),
        ('/seed "a\\n  b "', "a\n  b "),
        ('/seed "/seed"', "/seed"),
        ('/seed "a" b', '"a" b'),
        ('/seed "open', '"open'),
        ('/seed "\\u00e9"', "é"),
        ("/seed [1, 2]", "[1, 2]"),
        ('/seed ""', ""),
    ],
)
def test_a_seed_can_be_anything(models: Path, line: str, seed: str) -> None:
    play = Play(models, "text", line)
    assert play.passage.seed == seed
    assert_repeated(play)


def test_there_is_nothing_to_undo_at_first(models: Path) -> None:
    assert "nothing to undo" in Play(models, "text", length=None).refusal("/undo").what


def test_help_tells_of_every_command_that_people_need(models: Path) -> None:
    play = Play(models, "text").hear("/help")
    lines = play.stage.told.splitlines()
    told = {line.split()[0] for line in lines if line.startswith("/")}
    assert told == set(COMMANDS) - set(HIDDEN)
    assert "a seed" in lines[0] and "Ctrl-C" in lines[-1]
    assert "a message" in Play(models, "replies").hear("/help").stage.told


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_of_one_command(models: Path, name: str) -> None:
    play = Play(models, "text").hear(f"/help {name}")
    assert play.stage.told.startswith(name) and COMMANDS[name].about in play.stage.told
    assert Play(models, "text").hear(f"/help {name[1:]}").stage.told == play.stage.told


@pytest.mark.parametrize("name", ["/bye", "/quit", "/exit"])
def test_one_can_leave(models: Path, name: str) -> None:
    play = Play(models, "text")
    assert not play.session.is_over
    assert play.hear(name).session.is_over


def test_a_remark_is_not_read(models: Path) -> None:
    play = Play(models, "text").hear("/# a remark", "/#")
    assert play.stage.seen == [] and len(play.session.record) == 2


def test_show_says_what_is_there(models: Path) -> None:
    play = Play(models, "text", "/temp 0.5", "/set stop a b", "the ", "/keep", "/adapt on").hear("/show")
    told = play.stage.told
    assert play.stage.of("show") == [play.passage]
    assert "temperature 0.5" in told and 'stop "a b"' in told and "random seed of the next answer 8" in told
    assert "kept 1, which it learns from: the" in told
    empty = Play(models, "text", length=None).hear("/show")
    assert empty.stage.of("show") == [] and "set: nothing" in empty.stage.told


def test_show_tells_what_was_said_before(models: Path) -> None:
    play = Play(models, "replies", "Where is the tea?", "Do we have ink?").hear("/show")
    assert f"> Where is the tea?\n{play.scene.turns[0].reply}" in play.stage.told


# Files


def test_a_text_is_saved_as_it_stands(models: Path) -> None:
    play = Play(models, "text", "the ")
    play.stage.seen.clear()
    play.hear("/save it.txt", "/save with blanks.md", '/save "quoted name"')
    for name in ("it.txt", "with blanks.md", "quoted name"):
        assert Path(name).read_bytes().decode("utf-8", "replace") == play.passage.text
    assert play.stage.told.splitlines() == ["it.txt", "with blanks.md", "quoted name"]
    assert len(play.session.record) == 3, "what is saved is no part of what makes the session again"


def test_no_file_is_overwritten_by_chance(models: Path) -> None:
    play = Play(models, "text", "the ", "/save it.txt")
    first = Path("it.txt").read_bytes()
    play.hear("/again")
    error = play.refusal("/save it.txt")
    assert (error.where, "--force" in (error.hint or "")) == ("it.txt", True)
    assert Path("it.txt").read_bytes() == first
    play.hear("/save it.txt --force")
    assert Path("it.txt").read_bytes() != first


def test_a_folder_is_no_file(models: Path) -> None:
    Path("it.txt").mkdir()
    error = Play(models, "text", "the ").refusal("/save it.txt --force")
    assert "a folder" in error.what and Path("it.txt").is_dir()


def test_a_file_that_cannot_be_written_is_said(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("seqgen.outputs.tempfile.mkstemp", refuse)  # root may write anywhere
    error = Play(models, "text", "the ").refusal("/save it.txt")
    assert isinstance(error, DataError) and (error.what, error.where) == (
        "cannot be written: Permission denied",
        "it.txt",
    )
    assert not Path("it.txt").exists()


def test_what_was_kept_goes_to_numbered_files(models: Path) -> None:
    play = Play(models, "text", "the ", "/keep", "/again", "/keep", "/again").hear("/save it.txt --kept")
    kept = [passage.text for passage in play.scene.kept]
    assert [Path(f"it-0{number}.txt").read_bytes().decode("utf-8", "replace") for number in (1, 2)] == kept
    assert not Path("it.txt").exists() and "it-01.txt" in play.stage.told
    play.hear("/save it.txt --force --kept", "/save it.txt --kept --force")


def test_a_sole_one_that_was_kept_has_the_name_that_was_given(models: Path) -> None:
    play = Play(models, "text", "the ", "/keep", "/again").hear("/save it.txt --kept")
    assert Path("it.txt").read_bytes().decode("utf-8", "replace") == play.scene.kept[0].text != play.passage.text


def test_music_is_saved_as_what_its_ending_says(models: Path) -> None:
    play = Play(models, "voices", "G4", "/set tempo 90", "/set transpose 2").hear(
        "/save it.mid", "/save it.musicxml", "/save it.notes"
    )
    assert Path("it.mid").read_bytes().startswith(b"MThd") and b"<score-partwise" in Path("it.musicxml").read_bytes()
    assert Path("it.notes").read_text(encoding="utf-8") != play.passage.text, "it is written as it is to be played"
    error = play.refusal("/save it.doc")
    assert ".doc" in error.what and ".mid" in (error.hint or "")
    assert isinstance(play.refusal("/save it"), UsageError)


def test_a_soundfont_does_not_matter_where_there_is_no_sound(models: Path) -> None:
    Play(models, "voices", "G4", "/set soundfont no.sf2", "/save it.mid")
    assert Path("it.mid").is_file()


@pytest.mark.parametrize("name", ["session.txt", "Session-2.TXT", "sessions of mine.txt"])
def test_a_text_file_called_session_holds_the_session(models: Path, name: str) -> None:
    play = Play(models, "text", "the ", "/temp 0.5").hear(f"/save {name}")
    first, *lines = Path(name).read_text(encoding="utf-8").splitlines()
    assert name.lower().startswith(SESSION)
    assert first.startswith("/# seqgen ") and first.endswith(f"seqgen repl text < {shlex.quote(name)}")
    assert lines == ["/set random-seed 7", "/set length 12", '/seed "the "', "/set temperature 0.5"]
    assert lines == play.session.record


def test_any_file_can_hold_the_session(models: Path) -> None:
    play = Play(models, "text", "the ", "/save it.log --session")
    assert Path("it.log").read_text(encoding="utf-8").splitlines()[1:] == play.session.record
    assert isinstance(play.refusal("/save it.log --session"), UsageError)


def test_a_saved_session_can_be_typed_again(models: Path) -> None:
    play = Play(models, "text", "the ", "a\nb", "1", "/again", "/save session.txt")
    again = Play(models, "text", *Path("session.txt").read_text(encoding="utf-8").splitlines(), length=None)
    assert again.stage.results == play.stage.results and again.scene == play.scene


def test_replies_are_saved_to_be_read_and_to_be_learned_from(models: Path) -> None:
    play = Play(models, "replies", "Where is the tea?", "Do we have\tink?\nOr paper?")
    play.hear(*(f"/save talk{suffix}" for suffix in (".txt", ".md", ".tsv", ".jsonl")))
    (first, second), asked = [turn.reply for turn in play.scene.turns], "Do we have\tink?\nOr paper?"
    read = {path.suffix: path.read_text(encoding="utf-8") for path in Path().glob("talk.*")}
    assert read[".txt"] == read[".md"] == f"> Where is the tea?\n{first}\n\n> {asked}\n{second}\n"
    assert [line.count("\t") for line in read[".tsv"].splitlines()] == [1, 1]
    assert [json.loads(line) for line in read[".jsonl"].splitlines()] == [
        {"message": "Where is the tea?", "reply": first},
        {"message": asked, "reply": second},
    ]
    assert ".tsv" in (play.refusal("/save talk.mid").hint or "")


def test_replies_that_were_kept_are_saved_in_one_file(models: Path) -> None:
    play = Play(models, "replies", "Where is the tea?", "/keep", "2", "/keep", "/save talk.jsonl --kept")
    replies = [json.loads(line)["reply"] for line in Path("talk.jsonl").read_text(encoding="utf-8").splitlines()]
    assert replies == [passage.text for passage in play.scene.kept] and len(set(replies)) == 2


@pytest.mark.parametrize("line", ["/cut \u00b2", f"/cut {'9' * 5000}"])
def test_a_number_of_steps_is_one_that_can_be_read(models: Path, line: str) -> None:
    Play(models, "text").refusal(line)


def test_a_home_that_there_is_not_is_refused(models: Path) -> None:
    Play(models, "text", "the ").refusal("/save ~nobody-of-this-name/it.txt")


def test_a_name_that_no_file_can_have_is_refused(models: Path) -> None:
    Play(models, "text", "the ").refusal("/save a\0b.txt")


@pytest.mark.parametrize("line", [f"/save {'a' * 300}.txt", f"/load {'a' * 300}"])
def test_a_name_that_is_too_long_is_refused(models: Path, line: str) -> None:
    Play(models, "text", "the ").refusal(line)


def test_of_several_files_all_are_written_or_none(models: Path) -> None:
    Path("it-02.txt").write_text("mine", encoding="utf-8")
    Play(models, "text", "the ", "/keep", "/keep").refusal("/save it.txt --kept")
    assert not Path("it-01.txt").exists()
