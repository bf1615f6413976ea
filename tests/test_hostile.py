"""Checkpoints that somebody made to do harm: refused in words, at once, and nothing outside their folder is touched."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

import seqgen
from seqgen.checkpoint import Checkpoint, list_checkpoints
from seqgen.errors import CheckpointError, SeqgenError, UsageError
from seqgen.guarded import LARGEST_JSON, load_json, read_file
from seqgen.manifest import MANIFEST, METRICS, read_lines
from seqgen.plausible import check_metrics
from seqgen.recipe import MOST_SYMBOLS, Recipe
from seqgen.runs import reopen_corpus
from seqgen.saving import CheckpointWriter
from seqgen.scores.notation import write
from seqgen.tensor_files import TensorFile
from seqgen.tokenizers import TOKENIZERS
from seqgen.tokenizers.piece_models import check_model
from seqgen.trainer import Trainer
from seqgen.units import BITS_PER_CHARACTER
from tests.pieces import corpus
from tests.untrained import VALID, untrained

TUNE = "Tune: C4 D4 E4:2 | G4:2 E4 C4 |]"
posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes are made otherwise there")


@pytest.fixture(scope="module")
def trainer(trained: Path) -> Trainer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQGEN_CACHE", str(trained.parent / "cache"))
        checkpoint = Checkpoint(trained)
        return Trainer(checkpoint.recipe, reopen_corpus(checkpoint), checkpoint.manifest.model)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(data)
    (folder / MANIFEST).write_text(json.dumps(data), encoding="utf-8")


def put(folder: Path, pattern: str, data: bytes) -> None:
    """Replaces a file, and makes its digest right."""
    path = next(folder.glob(pattern))
    path.write_bytes(data)
    name = path.relative_to(folder).as_posix()
    edit(folder, lambda manifest: manifest["files"].update({name: hashlib.sha256(data).hexdigest()}))


def header_of(data: bytes) -> dict[str, Any]:
    return dict(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]))


def with_header(data: bytes, header: object) -> bytes:
    written = json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + data[8 + int.from_bytes(data[:8], "little") :]


# files


@posix
@pytest.mark.parametrize("pattern", [MANIFEST, "model-*", "tokenizer-*", METRICS, "resume"])
def test_nothing_in_a_checkpoint_may_be_a_link(copy: Path, pattern: str) -> None:
    path = next(copy.glob(pattern))
    path.symlink_to(path.rename(copy.parent / "elsewhere"))
    with pytest.raises(CheckpointError, match="is a link"):
        seqgen.load(copy)


@posix
def test_the_folder_itself_may_be_a_link(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(copy)
    assert seqgen.load(tmp_path / "link").checkpoint.manifest.step == 3


@posix
@pytest.mark.parametrize("name", [MANIFEST, METRICS, ".lock", "checkpoint.json.tmp"])
def test_a_pipe_is_not_waited_for(copy: Path, name: str) -> None:
    (copy / name).unlink(missing_ok=True)
    os.mkfifo(copy / name)
    with pytest.raises(CheckpointError, match="no ordinary file"):
        Checkpoint(copy)


@posix
def test_a_file_is_opened_without_links_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").symlink_to(tmp_path / "outside")
    (tmp_path / "folder" / "inner").symlink_to(tmp_path)
    for name in ("file", "inner/outside"):
        with pytest.raises((ValueError, OSError)):
            read_file(tmp_path / "folder", name, 100)
        assert read_file(tmp_path / "folder", name, 100, links=True) == b"secret"


def test_weights_of_terabytes_that_are_mostly_holes_are_refused_before_they_are_read(copy: Path) -> None:
    os.truncate(next(copy.glob("model-*")), 1 << 40)
    with pytest.raises(CheckpointError, match="not of the size"):
        seqgen.load(copy)


def test_a_file_larger_than_it_can_be_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"")
    os.truncate(tmp_path / "large", 1 << 40)
    with pytest.raises(ValueError, match="too large"):
        read_file(tmp_path, "large", LARGEST_JSON)


def test_a_list_of_checkpoints_leaves_the_hostile_ones_out(trained: Path) -> None:
    for name in ("good", "bad"):
        shutil.copytree(trained, Path("checkpoints") / name)
    edit(Path("checkpoints/bad"), lambda data: data.update(step=10**30))
    assert [found.name for found in list_checkpoints()] == ["good"]


# JSON


@pytest.mark.parametrize(
    "data",
    [b"[" + b"[]," * (LARGEST_JSON // 3 - 1) + b"0]", b'{"a":' * 100_000, b"[" * 40 + b"]" * 40, b"9" * 4000, b"[NaN]",
     b"1e999", b'"' + b"a" * LARGEST_JSON + b'"', b'{"a":1}'.decode().encode("utf-16"), b"\xff", b""],
    ids=["many lists", "deep", "forty deep", "digits", "NaN", "infinite", "long", "UTF-16", "no UTF-8", "nothing"],
)  # fmt: skip
def test_json_that_would_take_much_memory_or_means_no_number_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        load_json(data)


def test_json_keeps_what_may_not_be_finite_where_that_is_meant() -> None:
    assert load_json(b"[Infinity, -1e999]", finite=False) == [float("inf"), float("-inf")]
    assert load_json(b'{"a": [1, 2.5, "\\ud800", null]}') == {"a": [1, 2.5, "\ud800", None]}


def test_json_whose_texts_hold_many_commas_and_brackets_is_read() -> None:
    words = ["[,{:" * 60 + str(number) for number in range(10_000)]
    assert load_json(json.dumps(words).encode()) == words
    with pytest.raises(ValueError, match="far more values"):
        load_json(b'["\\"", "' + b"[]," * 1000 + b'", ' + b"[]," * 500_000 + b"0]")


@pytest.mark.parametrize(("tag", "is_link"), [(0xA000_000C, True), (0xA000_0003, True), (0x9000_601A, False)])
def test_on_windows_links_and_junctions_are_refused_and_files_of_onedrive_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: int, is_link: bool
) -> None:
    (tmp_path / "file").write_bytes(b"bytes")
    status = SimpleNamespace(st_mode=stat.S_IFREG, st_reparse_tag=tag)
    monkeypatch.setattr(os, "lstat", lambda *args, **options: status)
    with pytest.raises(ValueError, match="is a link") if is_link else contextlib.nullcontext():
        assert read_file(tmp_path, "file", 5) == b"bytes"


# the manifest


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data.update(step=-1), "its step or its format is negative"),
        (lambda data: data.update(step=True), "step is of the wrong type"),
        (lambda data: data.update(format=True), "format is of the wrong type"),
        (lambda data: data.update(format=0), "not a seqgen checkpoint"),
        (lambda data: data.update(weights="../model-0.safetensors"), "which cannot belong to it"),
        (lambda data: data.update(weights="/etc/passwd.x"), "which cannot belong to it"),
        (lambda data: data.update(tokenizer="tokenizer-\u0661.json"), "which cannot belong to it"),
        (lambda data: data.update(states=[["a.b"]]), "its states are no pairs of files"),
        (lambda data: data.update(states=[{"a.b": 1, "c.d": 2}]), "its states are no pairs of files"),
        (lambda data: data.update(states=[["resume/a.b", None]]), "which cannot belong to it"),
        (lambda data: data.update(files={f"a{number}.b": "" for number in range(1000)}), "it names far too many files"),
        (lambda data: data["files"].update({"a.b": None}), "a digest of a file is no text"),
        (lambda data: data["versions"].update(torch=[1]), "a value of versions is of the wrong type"),
        (lambda data: data["budget"].update(steps="3"), "a value of budget is of the wrong type"),
        (lambda data: data["corpus"].update(entry="../.."), "corpus.entry cannot be one of the cache's"),
        (lambda data: data["corpus"].update(entry=["a"]), "corpus.entry is no text"),
        (lambda data: data["corpus"].update(characters="many"), "corpus.characters or corpus.documents is no number"),
        (lambda data: data["metrics"].update(valid=[]), "metrics.valid is none"),
        (
            lambda data: data["metrics"]["valid"].update(unit="nats_per_note"),
            "metrics.valid.unit is not bits_per_character",
        ),
        (
            lambda data: data["metrics"]["valid"].update(unit=["bits_per_character"]),
            "metrics.valid.unit is not bits_per_character",
        ),
        (
            lambda data: data["metrics"]["valid"].update(bits_per_character="1.5"),
            "a figure of metrics.valid is no number, or missing",
        ),
        (
            lambda data: data["metrics"]["valid"].update(bits_per_character_without_recall={}),
            "a figure of metrics.valid is no number, or missing",
        ),
        (lambda data: data["metrics"]["valid"].update(baselines=[1]), "metrics.valid is none"),
        (
            lambda data: data["metrics"]["valid"]["baselines"].update(unigram=None),
            "a figure of metrics.valid is no number, or missing",
        ),
        (lambda data: data["metrics"]["valid"].update(symbols=0), "metrics.valid is of no symbols"),
        (lambda data: data["metrics"]["valid"].pop("characters"), "a figure of metrics.valid is no number, or missing"),
        (lambda data: data.update(recipe=[]), "its recipe is missing, or none"),
        (lambda data: data["recipe"].update(model=None), "model=None is not a section"),
        (lambda data: data["recipe"]["model"].update(layers=10**9), "model.layers=1000000000 is above 256"),
        (lambda data: data["recipe"]["model"].update(hidden=10**9), "model.hidden=1000000000 is above 65536"),
        (lambda data: data["recipe"]["training"].update(threads=10**9), "training.threads=1000000000 is above 4096"),
        (lambda data: data["recipe"]["training"].update(lanes=10**9), "training.lanes=1000000000 is above 65536"),
        (
            lambda data: data["recipe"]["tokenizer"].update(max_size=10**9),
            "tokenizer.max_size=1000000000 is above 262144",
        ),
        (
            lambda data: data["recipe"]["training"].update(schedule=[[0, 0.0]]),
            "training.schedule=[0, 0.0] is not of type list",
        ),
        (lambda data: data.update({"x" * 100_000: 1}), "no checkpoint says 'xxx"),
    ],
)
def test_what_a_manifest_cannot_say_is_refused_in_a_few_words(
    copy: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    edit(copy, change)
    with pytest.raises(CheckpointError) as refusal:
        Checkpoint(copy)
    assert reason in refusal.value.what and len(refusal.value.what) < 600


def test_figures_that_are_not_finite_are_still_figures() -> None:
    check_metrics({"valid": {**VALID, "bits_per_character": float("inf")}}, BITS_PER_CHARACTER)
    with pytest.raises(ValueError, match="no number"):
        check_metrics({"valid": {**VALID, "bits_per_character": None}}, BITS_PER_CHARACTER)


def test_settings_have_upper_bounds_that_hinder_nobody() -> None:
    Recipe.from_dict({"tokenizer": {"max_size": MOST_SYMBOLS}, "model": {"hidden": 50_000, "layers": 100}})
    with pytest.raises(UsageError, match="above"):
        Recipe.from_dict({"tokenizer": {"vocabulary": MOST_SYMBOLS + 1}})


# tensors


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda header: header["output_bias"].update(dtype="I64"), "size"),
        (lambda header: header["output_bias"].update(dtype="C64"), "types"),
        (lambda header: header["output_bias"].update(dtype=["F32"]), "types"),
        (lambda header: header["output_bias"].update(shape=[2**40, 2**40]), "size"),
        (lambda header: header["output_bias"].update(shape=[-1]), "shape or an offset"),
        (lambda header: header["output_bias"].update(shape=[1.5]), "shape or an offset"),
        (lambda header: header["output_bias"].update(data_offsets=[0, 2**60]), "shape or an offset"),
        (lambda header: header["output_bias"].update(more=1), "terms"),
        (lambda header: header.pop("output_bias"), "follow|size"),
        (lambda header: header.update({"again": header["output_bias"]}), "follow"),
    ],
)
def test_a_header_that_does_not_account_for_each_byte_is_refused(
    copy: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    data = next(copy.glob("model-*")).read_bytes()
    header = header_of(data)
    change(header)
    put(copy, "model-*", with_header(data, header))
    for read in (lambda: Checkpoint(copy).parameters(), lambda: seqgen.load(copy)):
        with pytest.raises(CheckpointError, match=reason):
            read()


@pytest.mark.parametrize("length", [0, 2**63, 2**64 - 1, 10**7])
def test_a_header_of_another_length_is_refused(copy: Path, length: int) -> None:
    data = next(copy.glob("model-*")).read_bytes()
    put(copy, "model-*", struct.pack("<Q", length) + data[8:])
    with pytest.raises(CheckpointError):
        Checkpoint(copy).parameters()


@pytest.mark.parametrize(
    ("number", "dtype", "reason"),
    [
        (float("nan"), torch.float32, "finite"),
        (1e300, torch.float64, "finite"),
        (3e38, torch.float32, "beyond"),
        (1, torch.int64, "types"),
        (True, torch.bool, "types"),
    ],
)
def test_weights_that_could_not_be_computed_with_are_refused(
    copy: Path, number: float, dtype: torch.dtype, reason: str
) -> None:
    tensors = load(next(copy.glob("model-*")).read_bytes())
    tensors["output_bias"] = torch.full_like(tensors["output_bias"], number, dtype=dtype)
    put(copy, "model-*", save(tensors))
    with pytest.raises(CheckpointError, match=reason):
        seqgen.load(copy)


def test_more_layers_than_tensors_are_not_built(copy: Path) -> None:
    edit(copy, lambda data: data["recipe"]["model"].update(layers=200))
    with pytest.raises(CheckpointError, match="shape"):
        seqgen.load(copy)


def test_more_weights_than_memory_are_not_read(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("max\n")
    monkeypatch.setattr("seqgen.tensor_files._CONTAINER", limit)
    assert seqgen.load(copy)
    limit.write_text("1000\n")
    with pytest.raises(CheckpointError, match="memory"):
        seqgen.load(copy)


# training states


@pytest.mark.parametrize(
    "change",
    [
        {"step": "3"}, {"step": None}, {"step": -1}, {"step": 10**6}, {"steps": 0}, {"window": 10**6}, {"epoch": 1.5},
        {"nats": "0"}, {"best_nats": []}, {"schedule": [[0]]}, {"schedule": 3}, {"schedule": [["a", 0, 0]]},
        {"schedule": [[0, 0.5, "x"]]}, {"more": 1}, {"looks_since_best": 2**62},
    ],
    ids=str,
)  # fmt: skip
def test_counters_of_a_state_that_cannot_be_are_refused(
    trained: Path, trainer: Trainer, change: dict[str, Any]
) -> None:
    state = Checkpoint(trained).training_state()
    state.values.update(change)
    with pytest.raises(CheckpointError, match="training state"):
        trainer.restore(state)


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda tensors: tensors.pop(next(each for each in tensors if each.startswith(name)))


def _as(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict[str, Any]], object]:
    def apply(tensors: dict[str, Any]) -> None:
        found = next(each for each in tensors if each.startswith(name))
        tensors[found] = change(tensors[found])

    return apply


@pytest.mark.parametrize(
    "change",
    [
        *map(_without, ("model/", "averaged/", "best/", "hidden/", "noise/", "optimizer1/")),
        *(_as(name, lambda tensor: tensor[:0]) for name in ("model/", "best/", "hidden/", "noise/", "optimizer0/")),
        _as("noise/", torch.zeros_like),
        _as("hidden/", torch.Tensor.double),
        _as("averaged/", torch.Tensor.long),
        _as("optimizer1/", lambda tensor: tensor.new_zeros(7)),
        lambda tensors: tensors.update({"optimizer0/x/momentum": torch.zeros(1)}),
        lambda tensors: tensors.update({"optimizer0/999999/momentum": torch.zeros(1)}),
        lambda tensors: tensors.update({f"optimizer0/{'9' * 5000}/momentum": torch.zeros(1)}),
        lambda tensors: tensors.update({"model/more": torch.zeros(1)}),
        lambda tensors: tensors.clear(),
    ],
)
def test_tensors_of_a_state_that_do_not_belong_to_the_run_are_refused(
    trained: Path, trainer: Trainer, change: Callable[[dict[str, Any]], object]
) -> None:
    state = Checkpoint(trained).training_state()
    change(state.tensors)
    with pytest.raises(CheckpointError, match="training state"):
        trainer.restore(state)


@pytest.mark.parametrize("data", [b"[" * 100_000, b"[]", b"{}", b'{"step": "1"}', b'{"step": ' + b"9" * 4000 + b"}"])
def test_values_of_a_state_that_are_none_are_refused(copy: Path, data: bytes) -> None:
    put(copy, "resume/state-3-*.json", data)
    with pytest.raises(CheckpointError, match="newest training state is damaged"):
        Checkpoint(copy).training_state()


def test_a_state_does_not_make_the_figures_longer_than_they_are(copy: Path) -> None:
    values = json.loads(next(copy.glob("resume/state-3-*.json")).read_bytes())
    put(copy, "resume/state-3-*.json", json.dumps({**values, "metrics_length": 10**12}).encode())
    assert Checkpoint(copy).training_state().values["metrics_length"] == (copy / METRICS).stat().st_size


def test_lines_that_are_no_records_are_left_out(tmp_path: Path) -> None:
    lines = [
        b'{"step": 1}',
        b"[1]",
        b"7",
        b"{}",
        b"[" * 100_000,
        b'{"a": "' + b"x" * 100_000 + b'"}',
        b'{"step": 2}',
        b"{",
    ]
    (tmp_path / METRICS).write_bytes(b"\n".join(lines))
    assert read_lines(tmp_path / METRICS) == [{"step": 1}, {"step": 2}]


# tokenizers


def _music(kind: str) -> dict[str, Any]:
    texts = [write(piece) for piece in corpus(3)] if kind == "voices" else [TUNE]
    return dict(
        json.loads(TOKENIZERS[kind].build(texts, Recipe.from_dict({"tokenizer": {"kind": kind}}).tokenizer).to_bytes())
    )


@pytest.mark.parametrize("kind", ["voices", "melody", "frames", "remi", "tsd"])
def test_nothing_that_a_vocabulary_of_music_says_may_be_missing(kind: str) -> None:
    whole = _music(kind)
    for name in whole:
        with pytest.raises(ValueError):
            TOKENIZERS[kind].from_bytes(json.dumps({each: whole[each] for each in whole if each != name}).encode())


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *((kind, {name: value}) for kind in ("voices", "melody", "frames", "remi", "tsd")
          for name, value in (("words", []), ("words", ["x"]), ("words", None), ("range", None), ("ranges", [[0, 999]]))
          if name != {"voices": "range"}.get(kind, "ranges")),
        *(("voices", change) for change in ({"voices": 0}, {"voices": 10**9}, {"voices": True}, {"grid": -4}, {"grid": 4.0},
          {"counted": 0}, {"longest": 10**18}, {"open": "key"}, {"changes": 1}, {"names": [1, 2, 3, 4]})),
        *(("melody", change) for change in ({"longest": None}, {"longest": 10**18}, {"shortest": 0}, {"shortest": "1"},
          {"restarts": None}, {"program": 500}, {"program": "1"})),
        *(("frames", change) for change in ({"grid": 0}, {"grid": -1}, {"range": [0]}, {"range": ["0", 5]})),
    ],
    ids=str,
)  # fmt: skip
def test_a_vocabulary_of_music_that_no_music_can_be_made_with_is_refused(kind: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        TOKENIZERS[kind].from_bytes(json.dumps({**_music(kind), **change}).encode())


@pytest.mark.parametrize(
    ("kind", "words", "more"),
    [
        ("voices", ["step", "bar", "end"], []),
        ("voices", [], ["9 60"]),
        ("voices", [], ["metre 1/32"]),
        ("voices", [], [f"step {place} {near}" for place in range(2000) for near in range(10)]),
        ("melody", ["|"], []),
        ("melody", ["note"], []),
        ("melody", [], [f"length {length}" for length in range(60, 9000)]),
        ("frames", ["step"], []),
        ("remi", ["Bar"], []),
    ],
)
def test_words_that_are_missing_or_too_many_are_noticed_when_a_tokenizer_is_read(
    kind: str, words: list[str], more: list[str]
) -> None:
    data = _music(kind)
    kept = [word for word in data["words"] if word.partition(" ")[0] not in words]
    with pytest.raises(ValueError):
        TOKENIZERS[kind].from_bytes(json.dumps({**data, "words": [*kept, *more]}).encode())


def test_where_no_word_may_come_next_a_sample_ends_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untrained(tmp_path / "tune", [TUNE], "music", "melody")
    model = seqgen.load(tmp_path / "tune")
    monkeypatch.setattr("seqgen.tokenizers.tunes.MelodyGuide._candidates", lambda guide: ["| 999"])
    with pytest.raises(CheckpointError, match="no music can be made"):
        "".join(model.sample(length=2))
    monkeypatch.setattr("seqgen.tokenizers.tunes.MelodyGuide._candidates", lambda guide: [])
    with pytest.raises(CheckpointError, match="none may come next"):
        "".join(model.sample(length=2))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("characters", {"code_points": [97, 97]}),
        ("characters", {"code_points": [True]}),
        ("characters", {"code_points": [0x110000]}),
        ("characters", {"code_points": list(range(MOST_SYMBOLS + 1))}),
        ("symbols", {"symbols": ["a", "a"]}),
        ("symbols", {"symbols": ["a b"]}),
        ("symbols", {"symbols": ["\ud800"]}),
        ("symbols", {"symbols": [f"{number}" for number in range(MOST_SYMBOLS + 1)]}),
        ("bytes", []),
    ],
    ids=["twice", "flag", "no character", "too many", "twice", "whitespace", "surrogate", "too many", "list"],
)
def test_a_vocabulary_of_text_that_is_none_is_refused(kind: str, data: object) -> None:
    with pytest.raises(ValueError):
        TOKENIZERS[kind].from_bytes(json.dumps(data).encode())


def _field(number: int, data: bytes) -> bytes:
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_field(3, _field(2, b"table")), "normalises"),
        (_field(3, _field(6, b"a\tb")), "normalises"),
        (_field(5, _field(2, b"table")), "undoes"),
        (_field(4, b"x"), "tests"),
        (_field(1, b"") * 20, "pieces"),
        (b"\x0a\xff\xff\xff\xff\x0f", "cut short"),
        (b"\xff" * 20, "cut short"),
        (b"\x0b", "not a model"),
        (b"\x0a", "cut short"),
    ],
)
def test_a_model_of_pieces_with_tables_of_its_own_never_reaches_the_library(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_model(data, most=10)
    check_model(_field(1, b"abc") * 10 + _field(3, _field(1, b"identity")) + b"\x30\x01", most=10)


# what is told of it


def test_a_state_is_not_written_through_a_link(copy: Path, tmp_path: Path) -> None:
    """A run that goes on cuts its figures to the length that it remembers: of a link that would be another file."""
    if os.name != "posix":
        return
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    (copy / METRICS).unlink()
    (copy / METRICS).symlink_to(mine)
    with pytest.raises(SeqgenError, match="is a link"):
        seqgen.train(resume=True, out=copy)
    (copy / METRICS).unlink()
    os.link(mine, copy / METRICS)
    with pytest.raises(CheckpointError, match="also a file elsewhere") as raised:
        seqgen.train(resume=True, out=copy)
    assert "cp -RL" in str(raised.value) and mine.read_text() == "precious"
    assert seqgen.load(copy).checkpoint.manifest.step == 3  # to read it does no harm


def test_a_checkpoint_as_it_is_written_can_be_read_to_its_last_byte(copy: Path) -> None:
    manifest = Checkpoint(copy).manifest
    with TensorFile(copy, manifest.weights) as file:
        assert file.size == (copy / manifest.weights).stat().st_size
    writer = CheckpointWriter(copy)
    writer.close()
    assert seqgen.load(copy).checkpoint.parameters() > 100
