"""Checkpoints: written whole, verified when read, refused in words when they are not what was written."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import seqgen
from seqgen.checkpoint import Checkpoint, find_checkpoint, list_checkpoints
from seqgen.errors import CheckpointError
from seqgen.manifest import MANIFEST
from seqgen.migrations import FORMAT
from seqgen.saving import CheckpointWriter


def one(folder: Path, pattern: str) -> Path:
    return next(folder.glob(pattern))


def test_a_checkpoint_loads_and_says_what_it_is(trained: Path) -> None:
    found = find_checkpoint(str(trained))
    assert found.manifest.status == "finished" and found.manifest.step == 3
    assert found.parameters() == sum(tensor.numel() for tensor in seqgen.load(trained).model.state_dict().values())


def test_equal_weights_are_equal_files(trained: Path) -> None:
    data = one(trained, "model-*.safetensors").read_bytes()
    from safetensors.torch import load, save

    assert save(load(data)) == data


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: one(folder, "model-*").unlink(), "cannot be read"),
        (lambda folder: one(folder, "tokenizer-*").unlink(), "cannot be read"),
        (lambda folder: os.truncate(one(folder, "model-*"), 100), "cut short"),
        (lambda folder: one(folder, "tokenizer-*").write_text("{}"), "changed or cut short"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "damaged"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "not a seqgen checkpoint"),
        (lambda folder: (folder / MANIFEST).write_text("[" * 100_000), "damaged"),
        (lambda folder: (folder / MANIFEST).unlink(), "no checkpoint.json"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_words(copy: Path, break_it: Callable[[Path], object], message: str) -> None:
    break_it(copy)
    with pytest.raises(CheckpointError, match=message):
        seqgen.load(copy)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads((folder / MANIFEST).read_text())
    change(data)
    (folder / MANIFEST).write_text(json.dumps(data))


def test_a_newer_format_names_both_formats(copy: Path) -> None:
    edit(copy, lambda data: data.update(format=99))
    with pytest.raises(CheckpointError, match=rf"99.*reads up to {FORMAT}\b"):
        seqgen.load(copy)


def test_a_file_name_that_climbs_out_is_refused(copy: Path) -> None:
    edit(copy, lambda data: data.update(weights="../secret.safetensors"))
    with pytest.raises(CheckpointError, match="cannot belong"):
        seqgen.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(model="reply"), "unknown model"),
        (lambda data: data["recipe"]["corpus"].update(kind="replies"), "unknown model"),
        (lambda data: data["recipe"]["model"].update(cell="qrnn"), "unknown cell"),
        (lambda data: data["recipe"]["model"].update(attention="sparse"), "unknown attention"),
    ],
)
def test_a_network_that_is_not_known_is_refused(
    copy: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(copy, change)
    with pytest.raises(CheckpointError, match=message):
        seqgen.load(copy)


def test_a_recipe_of_absurd_size_is_refused_before_memory_is_taken(copy: Path) -> None:
    edit(copy, lambda data: data["recipe"]["model"].update(hidden=10**7))
    with pytest.raises(CheckpointError, match="hidden"):
        seqgen.load(copy)


def test_weights_that_are_not_finite_are_refused(copy: Path) -> None:
    from hashlib import sha256

    from safetensors.torch import load, save

    path = one(copy, "model-*")
    tensors = load(path.read_bytes())
    tensors["output_bias"][0] = float("nan")
    path.write_bytes(save(tensors))
    edit(copy, lambda data: data["files"].update({path.name: sha256(path.read_bytes()).hexdigest()}))
    with pytest.raises(CheckpointError, match="not finite"):
        seqgen.load(copy)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_any_byte_changed_in_any_file_is_harmless_or_refused(
    trained: Path, tmp_path: Path, place: int, value: int
) -> None:
    folder = tmp_path / "bytes"
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(trained, folder)
    files = [folder / MANIFEST, one(folder, "tokenizer-*"), one(folder, "model-*")]
    path = files[place % 3]
    data = bytearray(path.read_bytes())
    data[(place // 3) % len(data)] = value
    path.write_bytes(bytes(data))
    with contextlib.suppress(CheckpointError):
        "".join(seqgen.load(folder).sample(length=2))


def test_a_failed_write_leaves_the_old_checkpoint_whole(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the k-th sync of a commit, for every k."""
    loaded = seqgen.load(copy)
    before = Checkpoint(copy)
    state = before.training_state()
    real, calls = os.fsync, 0
    for failing in range(1, 20):
        calls = 0

        def fsync(descriptor: int, failing: int = failing) -> None:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise OSError(28, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        manifest = Checkpoint(copy).manifest
        manifest.step += 1
        weights = {name: tensor + failing for name, tensor in loaded.model.state_dict().items()}
        state.values["step"] = manifest.step
        writer = CheckpointWriter(copy)
        try:
            writer.commit(manifest, weights, loaded.tokenizer, state)
            break
        except CheckpointError as error:
            assert "No space left" in str(error)
            again = seqgen.load(copy)
            same = [
                torch.equal(again.model.state_dict()[name], tensor)
                for name, tensor in loaded.model.state_dict().items()
            ]
            new = [torch.equal(again.model.state_dict()[name], tensor) for name, tensor in weights.items()]
            assert all(same) or all(new)
        finally:
            writer.close()
    assert 4 < failing < 19


def test_what_an_interrupted_write_left_behind_is_swept(copy: Path) -> None:
    for name in ("model-0123.safetensors", "model-x.safetensors.tmp", "tokenizer-01.model", "resume/state-7-abc.json"):
        (copy / name).write_bytes(b"left over")
    (copy / "my-notes.txt").write_text("not seqgen's")
    writer = CheckpointWriter(copy)
    writer.sweep(Checkpoint(copy).manifest)
    writer.close()
    assert sorted(path.name for path in copy.glob("model-*")) == [Checkpoint(copy).manifest.weights]
    assert [path.name for path in copy.glob("tokenizer-*")] == [Checkpoint(copy).manifest.tokenizer]
    assert not (copy / "resume/state-7-abc.json").exists()
    assert (copy / "my-notes.txt").exists()
    seqgen.load(copy)


def test_to_sweep_a_folder_that_is_gone_is_no_harm(copy: Path) -> None:
    writer, manifest = CheckpointWriter(copy), Checkpoint(copy).manifest
    shutil.rmtree(copy)
    writer.sweep(manifest)
    writer.close()


def test_a_damaged_state_is_refused_and_a_removed_one_falls_back(copy: Path) -> None:
    manifest = Checkpoint(copy).manifest
    assert len(manifest.states) == 2
    newest = copy / manifest.states[-1][0]
    newest.write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="damaged"):
        Checkpoint(copy).training_state()
    newest.unlink()
    older = Checkpoint(copy).training_state()
    assert older.values["step"] < manifest.step


def test_a_second_writer_is_refused_and_a_stale_lock_file_is_not_a_lock(copy: Path) -> None:
    (copy / ".lock").touch()
    first = CheckpointWriter(copy)
    with pytest.raises(CheckpointError, match="another training"):
        CheckpointWriter(copy)
    first.close()
    CheckpointWriter(copy).close()


def test_names_are_found_in_checkpoints_and_unknown_ones_list_what_is_there(trained: Path) -> None:
    shutil.copytree(trained, Path("checkpoints") / "mine")
    assert find_checkpoint("mine").name == "mine"
    assert [found.name for found in list_checkpoints()] == ["mine"]
    with pytest.raises(CheckpointError, match="At hand: mine"):
        find_checkpoint("yours")


def test_a_checkpoint_can_be_moved_and_still_be_used(copy: Path, tmp_path: Path) -> None:
    before = "".join(seqgen.load(copy).sample("a", length=30, random_seed=1))
    moved = copy.rename(tmp_path / "elsewhere")
    assert "".join(seqgen.load(moved).sample("a", length=30, random_seed=1)) == before


def test_only_a_rename_makes_a_new_file_visible(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power fails just before the rename: nothing that has a final name was touched."""
    loaded = seqgen.load(copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    def power_fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", power_fails)
    writer = CheckpointWriter(copy)
    weights = {name: tensor + 1 for name, tensor in loaded.model.state_dict().items()}
    with pytest.raises(CheckpointError, match="Input/output"):
        writer.commit(Checkpoint(copy).manifest, weights, loaded.tokenizer)
    writer.close()
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_checkpoint_that_is_saved_while_it_is_read_is_read_anew(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = seqgen.load(copy)
    read, saved = Checkpoint.load_model, 0.0

    def read_late(checkpoint: Checkpoint, *rest: Any) -> Any:
        nonlocal saved
        if not saved:
            saved = 1.0
            writer, manifest = CheckpointWriter(copy), Checkpoint(copy).manifest
            weights = {name: tensor + saved for name, tensor in loaded.model.state_dict().items()}
            writer.commit(manifest, weights, loaded.tokenizer)
            writer.close()
        return read(checkpoint, *rest)

    monkeypatch.setattr(Checkpoint, "load_model", read_late)
    for name, tensor in seqgen.load(copy).model.state_dict().items():
        assert tensor.equal(loaded.model.state_dict()[name] + saved)
