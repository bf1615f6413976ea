"""Where a run begins: what the user asked for becomes a corpus, a recipe and a folder."""

from __future__ import annotations

import re
import time as clock
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seqgen import defaults
from seqgen.cache import read_origins, usual_ending
from seqgen.cards import is_installed
from seqgen.checkpoint import OWN, Checkpoint, TrainingState, find_checkpoint, list_checkpoints, shipped_folder
from seqgen.corpus import Corpus, absolute_source, prepare, reopen
from seqgen.errors import CheckpointError, UsageError
from seqgen.inheritance import Inheritance, inherit, is_source
from seqgen.machine import default_threads, matrix_rate, pick_device, torch_settings
from seqgen.manifest import MANIFEST, Manifest, versions
from seqgen.migrations import FORMAT, SETTLED
from seqgen.modalities import MODALITIES, Modality
from seqgen.models import ATTENTIONS, CELLS, NO_ATTENTION
from seqgen.optimizers import OPTIMIZERS
from seqgen.pacing import DEFAULT_SECONDS, Budget
from seqgen.pairs import echo_of
from seqgen.recipe import ModelSettings, Overrides, Recipe, check_overrides, merge, read_recipe
from seqgen.saving import CheckpointWriter, is_leftover, manifest_bytes, new_folder
from seqgen.sources.tables import count_left_out
from seqgen.tokenizers import TOKENIZERS
from seqgen.units import BITS_PER_CHARACTER


@dataclass(frozen=True)
class Request:
    """What the user asked of `train`, unresolved."""

    corpora: tuple[str, ...]
    budget: Budget | None
    name: str | None
    out: Path | None
    settings: Overrides
    recipe: str | None
    device: str | None
    threads: int | None
    random_seed: int | None
    init_from: str | None
    started: float
    strict: bool = False

    def overrides(self) -> Overrides:
        """Every setting that the user gave, on the command line or in a recipe; the command line wins."""
        from_recipe = _load_recipe(self.recipe) if self.recipe else {}
        if self.budget:
            for name in ("steps", "schedule", "evaluate_every", "evaluate_symbols"):
                from_recipe.get("training", {}).pop(name, None)
        flags: Overrides = {}
        if self.corpora:
            flags["corpus"] = {"sources": self.corpora}
        given = {
            "threads": self.threads,
            "random_seed": self.random_seed,
            "device": self.device and pick_device(self.device),
        }
        flags["training"] = {name: value for name, value in given.items() if value is not None}
        if self.init_from:
            flags["training"]["init_from"] = self.init_from
        return merge(from_recipe, check_overrides(self.settings), flags)


@dataclass
class Run:
    """A run that is ready to be planned: its folder is held, its corpus prepared.

    Attributes:
        budget: how much to train; None where the schedule is settled.
        state: where to go on from; None at the beginning.
        chosen_by_user: the settings that are not defaults.
        started: when the user's command began, a first preparation of the corpus not counted.
        note: what it begins from, or might, for people.
        inheritance: a trained model to begin from.
    """

    recipe: Recipe
    corpus: Corpus
    writer: CheckpointWriter
    manifest: Manifest
    budget: Budget | None
    state: TrainingState | None
    chosen_by_user: Overrides
    started: float
    note: str = ""
    inheritance: Inheritance | None = None


def start_run(request: Request) -> Run:
    """A new run in a new folder."""
    overrides = request.overrides()
    sources = overrides.get("corpus", {}).get("sources", ())
    if not sources:
        raise UsageError("no corpus given", hint="For example: seqgen train my-novel.txt --time 3m")
    _check_names(overrides)
    _check_contradictions(request)
    inheritance, training = None, overrides.setdefault("training", {})
    if training.get("init_from"):
        inheritance = inherit(training["init_from"])
        inheritance.check(overrides)
        training["init_from"] = str(inheritance.source)
        overrides["tokenizer"] = {**vars(inheritance.tokenizer_settings), **overrides.get("tokenizer", {})}
    asked = {section: overrides.get(section, {}) for section in ("corpus", "tokenizer")}
    device = training["device"] = pick_device(training.get("device", "auto"))
    threads = training.setdefault("threads", default_threads())
    budget = request.budget or (None if "steps" in training else Budget(seconds=DEFAULT_SECONDS))
    seconds, rate = _time_and_rate(budget, device, threads)
    began = clock.monotonic()
    base = inheritance.tokenizer if inheritance else None
    corpus = prepare(asked, base, seconds * rate / defaults.NOMINAL_RATE, request.strict).with_baselines()
    prepared = clock.monotonic() - began
    if inheritance:
        inheritance.check_kind(corpus.settings.kind)
    modality = MODALITIES[corpus.settings.kind]
    _check_model(overrides, modality)
    hidden = inheritance.shape["hidden"] if inheritance else None
    symbols, vocabulary = len(corpus.splits["train"]), corpus.tokenizer.size
    echo = 0.0 if modality.sequences is None else echo_of(corpus.splits["train"])
    documents = len(corpus.splits["train"].starts)
    facts = defaults.Facts(symbols, vocabulary, seconds, rate, device, hidden, corpus.forms, echo, documents)
    resolved: Overrides = {"corpus": vars(corpus.settings), "tokenizer": vars(corpus.tokenizer_settings)}
    if inheritance:
        resolved["model"] = inheritance.shape
    recipe = Recipe.from_dict(merge(defaults.CHOOSERS[modality.model].settings(facts), overrides, resolved))
    folder = request.out or (OWN / request.name if request.name else new_folder(name_for(sources)))
    _check_free(folder, request)
    manifest = Manifest(
        recipe, modality.model, corpus=_corpus_record(corpus), budget=budget.to_dict() if budget else {}
    )
    manifest_bytes(manifest)  # before any work is done
    note = inheritance.note(corpus.tokenizer, corpus.settings.sources) if inheritance else _offer(corpus)
    writer = CheckpointWriter(folder)
    return Run(recipe, corpus, writer, manifest, budget, None, overrides, request.started + prepared, note, inheritance)


def open_run(request: Request) -> Run:
    """An earlier run, to go on with."""
    checkpoint = Checkpoint(_existing_folder(request))
    if not checkpoint.manifest.states:  # before anything is written there: it may be a part of the installed package
        raise _no_run("it holds no training state to go on from", checkpoint.folder)
    checkpoint.check_place()
    writer = CheckpointWriter(checkpoint.folder)
    try:
        checkpoint = Checkpoint(checkpoint.folder)  # again, now that nobody else writes it
        manifest, state = checkpoint.manifest, checkpoint.training_state()
        _check_contradictions(request)
        _check_names(checkpoint.recipe.to_dict())
        _check_same(request.overrides(), checkpoint.recipe)
        pick_device(checkpoint.recipe.training.device)
        corpus = reopen_corpus(checkpoint).with_baselines()
        budget = _more(request.budget, manifest)
        # One with all steps done that is not finished was killed as it looked back, and does that again.
        if budget is None and manifest.status == "finished":
            raise UsageError(
                f"this training is finished, after {manifest.step} steps", hint="Train on with --resume --time +10m."
            )
        manifest.versions, manifest.format = versions(), FORMAT  # of what goes on writing it
        writer.sweep(manifest)
        note = f"going on from step {state.values['step']:,}"
        return Run(
            checkpoint.recipe,
            corpus,
            writer,
            manifest,
            budget,
            state,
            checkpoint.recipe.to_dict(),
            request.started,
            note,
        )
    except BaseException:
        writer.close()
        raise


SMALL = 200_000
"""Characters: a smaller text learns better from the weights of a larger one."""
NOT_OF = {
    "language": (
        "model.attention",
        "model.label_smoothing",
        "model.matching",
        "model.message_dropout",
        "model.phrases",
        "training.batch_symbols",
        "training.by_heart",
    ),
    "reply": ("model.tied", "training.lanes", "training.stretch", "training.recall_symbols"),
}
"""The settings that a model has no use for; those of the corpus are refused while it is prepared."""
A_TRY = 100
"""Steps after which a model is worth beginning from."""


def _offer(corpus: Corpus) -> str:
    """What to tell those who bring a small text."""
    if corpus.characters >= SMALL or corpus.tokenizer.unit != BITS_PER_CHARACTER:
        return ""
    fitting = [checkpoint.name for checkpoint in list_checkpoints() if _fits(checkpoint, corpus)]
    known = f" (at hand: {', '.join(fitting[:3])})" if fitting else ""
    return f"a small text: it is learned better from a model of a larger one of its kind, --init-from CHECKPOINT{known}"


def _fits(checkpoint: Checkpoint, corpus: Corpus) -> bool:
    """Whether a model of the same kind has learned from far more text, and for longer than a try."""
    recipe, manifest = checkpoint.recipe, checkpoint.manifest
    by_line = [TOKENIZERS[each].by_line for each in (recipe.tokenizer.kind, corpus.tokenizer_settings.kind)]
    enough = manifest.corpus.get("characters", 0) > 4 * corpus.characters and manifest.step >= A_TRY
    return enough and recipe.corpus.kind == corpus.settings.kind and by_line[0] == by_line[1]


def reopen_corpus(checkpoint: Checkpoint) -> Corpus:
    """The corpus that a checkpoint was trained on."""
    recipe, record = checkpoint.recipe, checkpoint.manifest.corpus
    tokenizer = checkpoint.tokenizer()
    entry, digest = record.get("entry", ""), record.get("digest", "")
    return reopen(recipe.corpus, recipe.tokenizer, tokenizer, entry, digest, _other_text(checkpoint))


def _other_text(checkpoint: Checkpoint) -> str:
    """What to do where a card, or an older seqgen, made another text of it; empty where only the user's own files can differ."""
    if not all(map(is_installed, checkpoint.recipe.corpus.sources)):
        number, begin = checkpoint.manifest.format, f"--init-from {checkpoint.folder}"
        older = f"An older seqgen prepared it (format {number}), perhaps in another way: if the files are the same"
        return f"{older}, begin anew with its weights, {begin}" if number < SETTLED else ""
    then, here, name = checkpoint.manifest.versions, versions(), checkpoint.name
    differ = [each for each in here if each != "torch" and then.get(each, here[each]) != here[each]]
    which = ", ".join(f"{each} was {then[each]}, is {here[each]}" for each in differ)
    return (
        f"It comes with Python or a package, and another version or build brings another text{f' ({which})' if which else ''}. "
        f"What was measured is in seqgen info {name}; seqgen eval {name} FILE measures another text."
    )


def name_for(sources: tuple[str, ...]) -> str:
    """A checkpoint's name from what it is trained on."""
    first = sources[0]
    stem = "stdin" if first == "-" else Path(first).absolute().stem if Path(first).exists() else first
    return re.sub(r"[^\w-]+", "-", stem).strip("-") or "model"


def _time_and_rate(budget: Budget | None, device: str, threads: int) -> tuple[float, float]:
    """Seconds of training, and floating point operations per second: what the choice of defaults depends on."""
    if budget is None or not budget.seconds:  # without a time the choice must not depend on the machine's mood
        return defaults.NOMINAL_SECONDS, defaults.NOMINAL_RATE
    with torch_settings(threads, device):
        rate = max(matrix_rate(dtype, device) for dtype in (torch.float32, torch.bfloat16))
    return budget.seconds, defaults.useful_rate(rate, device)


def _more(budget: Budget | None, manifest: Manifest) -> Budget | None:
    """How much to add to a resumed run: nothing where the same budget as before is named again."""
    if budget is None or (not budget.more and budget.to_dict() == manifest.budget):
        return None
    if budget.more:
        return budget
    if budget.steps is not None and budget.steps > manifest.step:
        return (
            None
            if budget.steps == manifest.recipe.training.steps
            else Budget(steps=budget.steps - manifest.step, more=True)
        )
    raise UsageError(
        "--resume goes on with the plan that the run began with",
        hint="To train longer, write a plus: --time +10m, --steps +1000 or --epochs +2.",
    )


def _existing_folder(request: Request) -> Path:
    name = request.name
    if request.out:
        folder = request.out
    elif name is not None:
        folder = OWN / name
    elif request.corpora:
        stem = name_for(request.corpora)
        found = [path for path in OWN.glob(f"{stem}*") if re.fullmatch(rf"{re.escape(stem)}(-\d+)?", path.name)]
        found = [path for path in found if (path / MANIFEST).is_file()]
        if not found:
            raise _no_run("there is no such run to go on with", OWN / stem, "Name it with --name or --out.")
        folder = max(found, key=lambda path: (path / MANIFEST).stat().st_mtime)
    else:
        raise UsageError("--resume needs to know which run", hint="Name it with --name or --out, or give its corpus.")
    if not (folder / MANIFEST).is_file():
        raise _no_run("there is no run to go on with", folder, "Train without --resume first.")
    return folder


def _no_run(what: str, folder: Path, advice: str = "") -> CheckpointError:
    """Why a run cannot be resumed. A trained model without its training state can still be begun from."""
    name = folder.name
    begin = f"--init-from {name if shipped_folder(name) else folder}"
    if shipped_folder(name):
        advice = f"{name} came with seqgen, without a training state. Train from its weights, {begin}, or anew without --resume."
    return CheckpointError(what, where=str(folder), hint=advice or f"Begin a new training with its weights: {begin}")


def _check_same(overrides: Overrides, recipe: Recipe) -> None:
    """Refuses other settings than the run began with, and says which differ."""
    old = recipe.to_dict()
    differ = []
    for section, fields in overrides.items():
        for name, value in fields.items():
            before = old[section][name]
            if name == "sources":
                value = tuple(map(absolute_source, value))
            if name == "init_from" and is_source(value, before):
                continue
            if name not in ("steps", "schedule", "evaluate_every", "evaluate_symbols") and value != before:
                differ.append(f"{section}.{name} is {value!r}, was {before!r}")
    if differ:
        raise UsageError(
            "--resume goes on with the settings that the run began with, but these differ: " + "; ".join(differ),
            hint="Leave them out, or begin a new training without --resume.",
        )


def _check_free(folder: Path, request: Request) -> None:
    if folder.exists() and not folder.is_dir():
        raise CheckpointError("this is a file, not a folder", where=str(folder), hint="Choose another --out.")
    if folder.exists() and not all(map(is_leftover, folder.iterdir())):
        what = "a checkpoint is there already" if (folder / MANIFEST).exists() else "this folder is not empty"
        hint = f"Choose another {'--out' if request.out else '--name'}, or go on with it: --resume."
        raise CheckpointError(what, where=str(folder), hint=hint)


def _check_contradictions(request: Request) -> None:
    """Refuses two ways of saying one thing."""
    if request.name and request.out:
        raise UsageError("--name and --out contradict each other", hint="Give only one of them.")
    if request.name and (Path(request.name).name != request.name or request.name in (".", "..")):
        raise UsageError(f"--name {request.name!r} is not a plain name", hint="Give a folder with --out instead.")
    if request.budget and "steps" in request.settings.get("training", {}):
        raise UsageError("training.steps is set beside --time, --steps or --epochs", hint="Give only one of them.")


def _check_names(overrides: Overrides) -> None:
    attentions = (NO_ATTENTION, *ATTENTIONS)
    for section, name, known in (
        ("model", "cell", CELLS),
        ("model", "attention", attentions),
        ("training", "optimizer", OPTIMIZERS),
    ):
        value = overrides.get(section, {}).get(name)
        if value is not None and value not in known:
            raise UsageError(f"there is no {name} {value!r}", hint=f"There are: {', '.join(known)}.")


def _check_model(overrides: Overrides, modality: Modality) -> None:
    """Refuses what the user has set and the network that learns this kind has no use for, or cannot have."""
    for name in NOT_OF[modality.model]:
        section, _, setting = name.partition(".")
        value = overrides.get(section, {}).get(setting)
        if value and value != getattr(getattr(Recipe(), section), setting):
            raise UsageError(f"{name} has no meaning for {modality.name}", hint="Leave it out.")
    hidden = overrides.get("model", {}).get("hidden", 0)
    if modality.sequences is not None and hidden % 2:
        raise UsageError(
            f"model.hidden={hidden} cannot be halved between the two directions in which {modality.name} are read",
            hint="Choose an even number.",
        )
    training, cell = overrides.get("training", {}), overrides.get("model", {}).get("cell", ModelSettings().cell)
    if training.get("kernels") == "compiled" and (training.get("dtype") == "float32" or cell != "lstm"):
        raise UsageError(
            "training.kernels=compiled is for LSTMs in bfloat16",
            hint="Leave it out: what is fastest here is found without it.",
        )


def _corpus_record(corpus: Corpus) -> dict[str, Any]:
    return {
        "entry": corpus.folder.name,
        "digest": corpus.digest,
        "characters": corpus.characters,
        "documents": corpus.documents,
        "split_by": corpus.split_by,
        "ending": usual_ending(read_origins(corpus.folder, len(corpus.splits["train"].starts))),
        "symbols": {name: len(split) for name, split in corpus.splits.items()},
        "left_out": {reason: count_left_out(names) for reason, names in corpus.left_out.items()},
    }


def _load_recipe(name: str) -> Overrides:
    """The settings of a TOML file, or of a checkpoint."""
    path = Path(name)
    if path.suffix == ".toml" or (path.is_file() and path.name != MANIFEST):
        return read_recipe(path)
    return find_checkpoint(name).recipe.to_dict()
