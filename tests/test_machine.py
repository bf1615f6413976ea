"""What a training spares the machine."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.texts import verse

KEPT = """
import ctypes, sys
import torch
from seqgen.machine import prepare_training
class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keep".split()
    _fields_ = [(name, ctypes.c_size_t) for name in names]
if sys.argv[1] == "prepared":
    prepare_training()
# 30 MB each, more than any before, so that glibc has not yet learned to keep as much; in all more than is in large pages
blocks = [torch.ones(30 << 18) for _ in range(12)]
del blocks
look = ctypes.CDLL(None).mallinfo2
look.restype = Info
print(look().fordblks)
"""
"""Prints the bytes of freed memory that the process still holds: asked of the C library, since not every kernel counts the
pages that it fetches."""

LARGE = """
import json, sys
import torch
from pathlib import Path
from seqgen.machine import prepare_training
blocks = []
for _ in range(int(sys.argv[1])):
    prepare_training()
    blocks += [torch.empty(30 << 18) for _ in range(12)]  # more than is in large pages
large, plain, used = [], 0, False
for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
    name, *values = line.split()
    if "-" in name:
        start, end = (int(part, 16) for part in name.split("-"))
        heap = values[-1] == "[heap]"
    if name == "VmFlags:" and heap and "hg" in values:
        large.append((end - start) >> 20)
        used |= any(start <= block.data_ptr() + block.nbytes // 2 < end for block in blocks)
    elif name == "VmFlags:" and heap:
        plain += (end - start) >> 20
print(json.dumps([large, plain, used]))
"""
"""Prints the megabytes of each stretch of the heap for which large pages are asked and of the rest of it, and whether the first
are used."""

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


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="only glibc since 2.33 says what it keeps")
def test_freed_memory_is_kept_and_not_fetched_again_page_by_page() -> None:
    assert int(_run(KEPT, "prepared")) > 360_000_000 > 10_000_000 > int(_run(KEPT, "plain"))


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="this system has no large pages")
def test_what_a_training_computes_with_lies_in_large_pages() -> None:
    (_, before, _), once, thrice = (json.loads(_run(LARGE, times)) for times in ("0", "1", "3"))
    for large, _, used in (once, thrice):  # they are not asked for again with each training of a process
        assert used and len(large) == 1 and 250 <= large[0] <= 280
    assert once[1] - before < 200, "the heap grows as it did, from then on"


def test_a_training_does_not_load_the_compiler_of_torch(tmp_path: Path) -> None:
    text = tmp_path / "verse.txt"
    text.write_text(verse(20_000), encoding="utf-8")
    assert _run(TRAINED, str(text), str(tmp_path / "out")) == "[]"
