"""What a training spares the machine."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.texts import verse

FAULTS = """
import resource, sys
import torch
from seqgen.machine import prepare_training
if sys.argv[1] == "prepared":
    prepare_training()
def step():
    return [torch.ones(1 << 20) for _ in range(25)]  # 4 MB each
for _ in range(3):  # whatever happens at first
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

TRAINED = """
import sys
import seqgen
outcome = seqgen.train(sys.argv[1], steps=30, out=sys.argv[2], settings={"model": {"hidden": 32, "embedding": 16}})
assert outcome.recipe.training.recall_symbols > 1000, "learned to recall"
print(sorted(name for name in sys.modules if name.startswith(("torch._dynamo", "torch._inductor"))))
"""


def _run(code: str, *arguments: str) -> str:
    process = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_freed_memory_is_used_again_and_not_fetched_page_by_page() -> None:
    assert int(_run(FAULTS, "prepared")) < 10_000 < int(_run(FAULTS, "plain"))  # of 128,000 pages


def test_a_training_does_not_load_the_compiler_of_torch(tmp_path: Path) -> None:
    text = tmp_path / "verse.txt"
    text.write_text(verse(20_000), encoding="utf-8")
    assert _run(TRAINED, str(text), str(tmp_path / "out")) == "[]"
