"""Damaged checkpoints, their digests made right again: listed, told about, loaded, sampled from and gone on with."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import random
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fuzz.damage import BINARY, damaged
from fuzz.target import Case, Target
from seqgen.errors import SeqgenError

Files = dict[str, bytes]
MANIFEST = "checkpoint.json"
VERSE = "the sea is deep and the night is long\nand who will sing us a song\n\n"
CHORALE = (
    "key: {key}\nmetre: 4/4\nSoprano: {a}5 {b}4 {a}5 {b}4 | {a}5:4\nAlto: {b}4 {a}4 {b}4 {a}4 | {b}4:4\n"
    "Tenor: {a}4:2 {b}3:2 | {a}4:4\nBass: {a}3 {b}3 {a}3 {b}2 | {a}3:4^\n"
)
TUNE = "key: {key}\nmetre: 6/8\nTune: {a}5 {b}4:0.5 {a}5 {b}4:0.5 | {a}5:1.5 r:1.5 |]\n"
SMALL: dict[str, dict[str, Any]] = {
    "model": {"hidden": 8, "embedding": 4, "layers": 1},
    "training": {"lanes": 2, "window": 8, "dtype": "float32", "threads": 1},
}
STEPS = 3
EXTREMES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 255, 2**31, 2**53, 2**63 - 1, -(2**63), 10**30, 10**4000, 1e308, -0.5, 1e-320),
    *(float("nan"), float("inf"), float("-inf"), "", "a", "0", "é\ud800", "../../x", "/etc/passwd", "\0", "x" * 5000),
    *([], [[]], [0] * 1000, {}, {"": None}, {"a": {"b": []}}),
)
WORDS = (
    *("bar", "|", "rest", "tie", "step", "end 0", "key ?", "metre ?", "metre 1/32", "pickup 0", "pickup 9999", "to 0"),
    *("length 1", "length 99999", "note 127", "step 9999 9", "9 127", "0 r", "0 -", "bar 999", "Bar", "Position 0"),
)
"""Words of music."""


def specimens() -> list[Case]:
    """Models of each kind that have learned for three steps, each as an archive of its folder."""
    import seqgen

    keys = (("C major", "C", "B"), ("G major", "G", "F"), ("A minor", "A", "G"))
    chorales, tunes = ([form.format(key=key, a=a, b=b) for key, a, b in keys * 4] for form in (CHORALE, TUNE))
    pairs = [f"Where is the {thing}?\tIn the hall is the {thing}." for thing in ("tea", "salt", "ink", "wood")] * 10
    music = {"kind": "music", "split": "60/20/20"}
    table: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
        "characters": ({"a.txt": VERSE * 30}, {"tokenizer": {"kind": "characters"}}),
        "bytes": ({"a.txt": VERSE * 30}, {"tokenizer": {"kind": "bytes"}}),
        "symbols": ({"a.txt": VERSE * 30}, {"tokenizer": {"kind": "symbols"}}),
        "bpe": ({"a.txt": VERSE * 30}, {"tokenizer": {"kind": "bpe", "vocabulary": 300}}),
        "replies": ({"a.tsv": "\n".join(pairs)}, {"corpus": {"kind": "replies"}, "tokenizer": {"kind": "characters"}}),
        "voices": (dict(_sheets(chorales)), {"corpus": music, "tokenizer": {"kind": "voices"}}),
        "melody": (dict(_sheets(tunes)), {"corpus": music, "tokenizer": {"kind": "melody"}}),
        "frames": (dict(_sheets(chorales)), {"corpus": music, "tokenizer": {"kind": "frames"}}),
        "remi": (dict(_sheets(chorales)), {"corpus": music, "tokenizer": {"kind": "remi"}}),
        "tsd": (dict(_sheets(chorales)), {"corpus": music, "tokenizer": {"kind": "tsd"}}),
    }
    found = []
    for name, (texts, settings) in table.items():
        corpus, folder = Path(f"corpus-{name}"), Path("checkpoints", name)
        corpus.mkdir(exist_ok=True)
        for file, content in texts.items():
            (corpus / file).write_text(content, encoding="utf-8")
        small = copy.deepcopy(SMALL)
        if name == "replies":
            del small["training"]["lanes"]
        seqgen.train(corpus, steps=STEPS, settings={**small, **settings}, out=folder)
        _remember(name, folder)
        (folder / "loss.png").unlink()
        files = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("[!.]*.*"))
            if path.is_file()
        }
        manifest = json.loads(files[MANIFEST])
        manifest["recipe"]["corpus"]["sources"], manifest["corpus"]["entry"] = ["a"], "0" * 32
        found.append(Case(f"{name}.zip", pack({**files, MANIFEST: json.dumps(manifest).encode()})))
        shutil.rmtree(folder)
    return found


_RUNS: dict[str, Any] = {}
"""Recipe, corpus and network of each kind: of a trainer, to which states are given back."""


def _remember(name: str, folder: Path) -> None:
    from seqgen.checkpoint import Checkpoint
    from seqgen.runs import reopen_corpus

    checkpoint = Checkpoint(folder)
    _RUNS[name] = (checkpoint.recipe, reopen_corpus(checkpoint), checkpoint.manifest.model)


def _sheets(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    from seqgen.scores.notation import parse
    from seqgen.scores.writing import write_piece

    for number, text in enumerate(texts):
        yield f"{number:02}.musicxml", write_piece(parse(text), ".musicxml").decode()


def pack(files: Files) -> bytes:
    """A folder as an archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def unpack(data: bytes) -> Files:
    """The files in it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def mutate(case: Case, specimens: Sequence[Case], draw: random.Random) -> Case:
    """Values of JSON and of headers are replaced, removed, doubled; numbers of weights become absurd; bytes are damaged."""
    files = unpack(case.data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        name = draw.choice([name for name in sorted(files) for _ in range(_weight(name))])
        files[name] = _damage(name, draw)(files[name], draw)
    if draw.random() < 0.9:
        with contextlib.suppress(ValueError, TypeError, AttributeError, KeyError):
            files[MANIFEST] = with_digests(files)
    return Case(case.name, pack(files))


def _weight(name: str) -> int:
    """How much there is to be found in a file."""
    return 6 if name == MANIFEST else 4 if name.endswith(".json") else 2 if name.endswith(".safetensors") else 1


def _damage(name: str, draw: random.Random) -> Callable[[bytes, random.Random], bytes]:
    if draw.random() < 0.15:
        return lambda data, draw: damaged(Case(name, data), draw, BINARY).data
    if name.endswith(".json"):
        return change_json
    if name.endswith(".safetensors"):
        return change_header if draw.random() < 0.7 else change_numbers
    return lambda data, draw: damaged(Case(name, data), draw, BINARY).data


def with_digests(files: Files) -> bytes:
    """The manifest, with the digests of the files as they are."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {
        name: hashlib.sha256(files[name]).hexdigest() if name in files else digest
        for name, digest in manifest["files"].items()
    }
    return json.dumps(manifest).encode()


def change_json(data: bytes, draw: random.Random) -> bytes:
    """One value of it becomes another."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return data
    return _written(changed(value, draw))


def change_header(data: bytes, draw: random.Random) -> bytes:
    """The same for the header of a file of tensors; its length is right most of the time."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = _written(changed(json.loads(data[8 : 8 + length]), draw))
    except (ValueError, RecursionError):
        return data
    said = len(header) if draw.random() < 0.9 else draw.choice((0, 2**63, 2**64 - 1, len(header) + 1, 10**9))
    return struct.pack("<Q", said) + header + data[8 + length :]


def change_numbers(data: bytes, draw: random.Random) -> bytes:
    """Numbers of tensors become absurd."""
    start = 8 + int.from_bytes(data[:8], "little")
    changed = bytearray(data)
    for _ in range(draw.choice((1, 10, 1000))):
        place = start + 4 * draw.randrange(max(1, (len(data) - start) // 4))
        number = draw.choice((float("nan"), float("inf"), 3e38, -3e38, 1e20, 1e6, 1e-45, 0.0))
        changed[place : place + 4] = struct.pack("<f", number)
    return bytes(changed[: len(data)])


def changed(value: Any, draw: random.Random) -> Any:
    """A value in which one inner value, as likely deep as not, is replaced, removed, doubled or moved."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return draw.choice(EXTREMES)
    holder, key = draw.choice(places)
    match draw.randrange(7):
        case 0:
            del holder[key]
        case 1:
            other, at = draw.choice(places)
            holder[key] = copy.deepcopy(other[at])
        case 2 if isinstance(holder, list):
            holder.insert(draw.randrange(len(holder) + 1), draw.choice((*EXTREMES, *WORDS, copy.deepcopy(holder[key]))))
        case 3 if isinstance(holder, dict):
            holder[draw.choice(("", "x", "a" * 300, "../x", "\u0663", str(key) + "0"))] = holder.pop(key)
        case 4 if isinstance(holder[key], int | float):
            holder[key] = draw.choice(
                (holder[key] + 1, holder[key] - 1, -holder[key], holder[key] * 1000, str(holder[key]))
            )
        case 5 if isinstance(holder[key], str):
            holder[key] = draw.choice((holder[key][:-1], holder[key] * 3, holder[key].upper(), draw.choice(WORDS)))
        case _:
            holder[key] = draw.choice(EXTREMES)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where values stand."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(inside):
        yield value, key
        yield from _places(inner)


def _written(value: Any) -> bytes:
    """JSON, whole numbers of any length in it."""
    return json.dumps(_short(value)).replace(f'"{HUGE}"', "9" * 4001).encode()


HUGE = "a number of 4,001 digits"


def _short(value: Any) -> Any:
    """The value, with what `json` cannot write in words."""
    if isinstance(value, dict):
        return {key: _short(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_short(inner) for inner in value]
    return HUGE if type(value) is int and abs(value) > 10**1000 else value


def run(case: Case) -> None:
    """All that one does with a checkpoint, each once. What is refused on the way is raised in the end."""
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        folder = Path(scratch, "checkpoints", "it")
        for name, data in unpack(case.data).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        refused = use(folder, Path(case.name).stem)
    if refused:
        raise refused[0]


def use(folder: Path, kind: str) -> list[SeqgenError]:
    """Tells of a checkpoint, samples from it and gives its training state back to a run of this kind; what is refused."""
    refused: list[SeqgenError] = []
    for one in (_tell, _play, lambda folder: _go_on(folder, kind)):
        try:
            one(folder)
        except SeqgenError as error:
            refused.append(error)
    return refused


def _tell(folder: Path) -> None:
    """`seqgen list` and `seqgen info`, for people and as JSON."""
    from seqgen.cli.info import command as info
    from seqgen.cli.listing import command as listing

    with contextlib.chdir(folder.parent.parent), contextlib.redirect_stdout(io.StringIO()):
        for arguments in ([], ["--json"]):
            listing.main(arguments, standalone_mode=False)
        for arguments in ([], ["--json"]):
            info.main([str(Path(folder.parent.name, folder.name)), *arguments], standalone_mode=False)


def _play(folder: Path) -> None:
    """Two symbols, a reply, a score."""
    import seqgen
    from seqgen.generation import SampleSettings

    model = seqgen.load(folder, device="cpu")
    if model.modality.sequences is not None:
        model.reply("Where is the tea?")
        return
    "".join(model.sample(length=2, random_seed=1))
    settings = SampleSettings(length=2)
    for sample in model.samples("", settings, 2, random_seed=1):
        "".join(sample)
    if model.modality.name != "music":
        text = "the sea\u2581 is\n\0 d\U0001f600ep"
        assert model.tokenizer.decode(model.tokenizer.encode(text)) == text, "a text is changed"
        "".join(model.sample("the s", length=2, random_seed=1))
        model.score("the sea")
    if model.checkpoint.manifest.metrics.get("valid"):
        model.ranked("", settings, 1, 2, random_seed=1)


def _go_on(folder: Path, kind: str) -> None:
    """The training state, given back, and a step and a look after it."""
    from seqgen.checkpoint import Checkpoint
    from seqgen.errors import TrainingError
    from seqgen.manifest import read_lines
    from seqgen.trainer import Trainer

    checkpoint = Checkpoint(folder)
    state = checkpoint.training_state()
    read_lines(folder / "metrics.jsonl")
    trainer = Trainer(*_RUNS[kind])
    trainer.restore(state)
    if not trainer.finished:
        with contextlib.suppress(TrainingError):
            trainer.step()
            trainer.look()


CHECKPOINT = Target(
    "checkpoint",
    "checkpoints: their JSON, headers and weights, with digests that are right",
    specimens,
    mutate,
    run,
    seconds=20,
)
