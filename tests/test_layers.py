"""The four rules of docs/architecture.md, checked against the source: the picture there is what these tests read."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "seqgen"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

WITHOUT_TORCH = (
    "modalities/",
    "tokenizers/",
    "scores/",
    "writing.py",
    "corpus.py",
    "survey.py",
    "yardsticks.py",
    "overlaps.py",
    "surprises.py",
    "passes.py",
    "cache.py",
    "sources/",
    "fetching.py",
    "cards.py",
    "duplicates.py",
    "baselines.py",
    "recipe.py",
    "pacing.py",
    "defaults.py",
)
BY_NAME = {"__init__.py", "cli/main.py", "sources/finding.py", "tokenizers/coding.py"}
"""The files that may look a module up by its name, out of sight of the other tests: the public names, the verbs,
the texts of a corpus card, and MidiTok without what of it loads torch."""
INNER_CLASSES = {"RecurrentLayer"}
"""Parts inside a model: an `nn.ModuleList` gives them back untyped, so they are told apart by their class."""


@dataclass(frozen=True)
class Import:
    """One name of an import statement: `from module import name`, or `import module`."""

    line: int
    module: str
    name: str | None

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    def targets(self, importer: str) -> set[str]:
        """The files of the package that it loads, as the picture names them."""
        if self.top != "seqgen":
            return set()
        longest = file_of(f"{self.module}.{self.name}") or file_of(self.module)
        assert longest is not None, f"{importer}:{self.line} imports {self.module}, which is no file"
        if longest == "__init__.py":
            return set() if self.name == "__version__" else {longest}
        folder = Path(longest).parent
        door = [] if folder in (Path(), Path(importer).parent) else [f"{folder.as_posix()}/__init__.py"]
        return {longest, *door}


@functools.cache
def tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


@functools.cache
def picture() -> tuple[str, ...]:
    """The files in the order of the picture, the top one first."""
    return tuple(file for _, file in rows())


def rows() -> list[tuple[str, str]]:
    """The heading and the file of each line of the picture."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    match = re.search(r"^## The picture$.*?^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert match, "docs/architecture.md has no picture"
    heading, found = "", []
    for line in match[1].splitlines():
        if row := re.fullmatch(r"  ([\w/]+\.py) +\S.*", line):
            found.append((heading, row[1]))
        elif line:
            assert re.fullmatch(r"(doors|floor \d)  +\S.*", line), f"not a line of a picture: {line!r}"
            heading = line[:7].rstrip()
    return found


def file_of(module: str) -> str | None:
    place = "/".join(module.split(".")[1:])
    return next((file for file in (f"{place}.py", f"{place}/__init__.py".lstrip("/")) if file in FILES), None)


@functools.cache
def imports(file: str) -> tuple[Import, ...]:
    """Every import of a file, also inside functions and for type checkers alone."""
    here = ("seqgen", *Path(file).parent.parts)
    found: list[Import] = []
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found += [Import(node.lineno, alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            found += [Import(node.lineno, module, alias.name) for alias in node.names]
    return tuple(found)


def reached(file: str) -> set[str]:
    """A file and all that it imports, directly or not."""
    seen: set[str] = set()
    waiting = {file}
    while waiting:
        here = waiting.pop()
        seen.add(here)
        waiting |= {target for each in imports(here) for target in each.targets(here)} - seen
    return seen


def users(library: str, files: Sequence[str] = FILES) -> list[str]:
    """The places that import a library."""
    return [f"{file}:{each.line}" for file in files for each in imports(file) if each.top == library]


def nodes(kind: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for file in FILES:
        for node in ast.walk(tree(file)):
            if isinstance(node, kind):
                yield f"{file}:{getattr(node, 'lineno', 0)}", node


def test_the_picture_shows_every_file_once_and_no_other() -> None:
    assert sorted(picture()) == FILES


def test_the_floors_go_down_one_by_one() -> None:
    headings = list(dict.fromkeys(heading for heading, _ in rows()))
    assert headings == ["doors", *(f"floor {number}" for number in range(len(headings) - 1, 0, -1))]
    assert [file for heading, file in rows() if heading == "doors"] == ["__main__.py", "__init__.py"]


@pytest.mark.parametrize("file", FILES)
def test_imports_point_down_the_picture_only(file: str) -> None:
    place = {name: number for number, name in enumerate(picture())}
    upward = [
        f"{file}:{each.line} imports {target}, which the picture shows above it"
        for each in imports(file)
        for target in each.targets(file)
        if place[target] <= place[file]
    ]
    assert upward == []


def test_no_file_takes_a_private_name_of_another() -> None:
    private = [
        f"{file}:{each.line} imports {each.name}"
        for file in FILES
        for each in imports(file)
        if each.top == "seqgen" and (each.name or "").startswith("_") and each.name != "__version__"
    ]
    assert private == []


def test_models_never_see_a_tokenizer() -> None:
    for file in FILES:
        if file.startswith("models/"):
            assert [other for other in reached(file) if other.startswith("tokenizers/")] == [], file


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(WITHOUT_TORCH)])
def test_what_prepares_a_corpus_or_a_recipe_never_imports_torch(file: str) -> None:
    assert users("torch", sorted(reached(file))) == []


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("click", "cli/"),
        ("rich", "cli/"),
        ("prompt_toolkit", "cli/"),
        ("pygments", "cli/"),
        ("matplotlib", ("plots.py", "scores/to_png.py")),
        ("music21", ("scores/from_sheets.py", "scores/streams.py", "scores/to_musicxml.py")),
        ("symusic", ("scores/from_midi.py", "scores/to_wav.py", "tokenizers/coding.py")),
        ("mido", ("scores/to_midi.py", "scores/to_wav.py")),
        ("miditok", "tokenizers/coding.py"),
        ("sentencepiece", "tokenizers/"),
        ("pydivsufsort", "passages.py"),
        ("docx", "sources/formats.py"),
        ("pypdf", "sources/formats.py"),
        ("bs4", "sources/pages.py"),
    ],
)
def test_a_library_is_imported_at_home_only(library: str, home: str | tuple[str, ...]) -> None:
    assert [user for user in users(library) if not user.startswith(home)] == []


def test_modules_are_looked_up_by_name_in_the_known_places_only() -> None:
    calls = [
        where
        for where, node in nodes(ast.Call)
        if ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")  # type: ignore[attr-defined]
    ]
    assert {where.partition(":")[0] for where in calls} == BY_NAME


@pytest.mark.parametrize(
    "library", ["pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"]
)
def test_nothing_imports_a_pickler(library: str) -> None:
    assert users(library) == []


def test_nothing_loads_code_or_runs_a_shell() -> None:
    risky = [where for where, node in nodes(ast.Attribute) if ast.unparse(node) in ("torch.load", "torch.save")]
    risky += [where for where, node in nodes(ast.Name) if node.id in ("eval", "exec")]  # type: ignore[attr-defined]
    for where, node in nodes(ast.keyword):
        assert isinstance(node, ast.keyword)
        if node.arg in ("shell", "allow_pickle") and not (
            isinstance(node.value, ast.Constant) and node.value.value is False
        ):
            risky.append(where)
    assert risky == []


def test_no_one_asks_which_model_it_is() -> None:
    models = {
        node.name
        for file in FILES
        if file.startswith("models/")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ClassDef)
    } - INNER_CLASSES
    assert "LanguageModel" in models
    asked = []
    for where, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if ast.unparse(node.func) in ("isinstance", "issubclass"):
            names = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
            names |= {part.attr for part in ast.walk(node.args[1]) if isinstance(part, ast.Attribute)}
            asked += [where] if names & models else []
    for where, node in nodes(ast.MatchClass):
        assert isinstance(node, ast.MatchClass)
        asked += [where] if ast.unparse(node.cls).rpartition(".")[2] in models else []
    assert asked == []


def test_no_one_asks_which_kind_of_corpus_it_is() -> None:
    """What differs by kind stands in its modality, so nothing compares `kind` with a text."""
    asked = []
    for where, node in nodes(ast.Compare):
        assert isinstance(node, ast.Compare)
        parts = [node.left, *node.comparators]
        names = {ast.unparse(part).rpartition(".")[2] for part in parts}
        if "kind" in names and any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in parts):
            asked.append(where)
    assert asked == []


def run_python(code: str, *arguments: str, cwd: Path | None = None) -> str:
    """The last line that a fresh Python prints to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.strip().splitlines()[-1]


LOADED = (
    "print('loaded:', *sorted({'torch', 'numpy', 'matplotlib', 'click', 'rich'} & set(sys.modules)), file=sys.stderr)"
)


def test_importing_seqgen_is_quick() -> None:
    assert run_python(f"import sys, seqgen; {LOADED}") == "loaded:"


def test_preparing_a_corpus_does_not_load_torch() -> None:
    modules = [
        "seqgen." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for file in FILES
        if file.startswith(WITHOUT_TORCH)
    ]
    assert run_python(f"import sys, {', '.join(modules)}; {LOADED}") == "loaded: numpy"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a tiny untrained checkpoint in it."""
    import torch

    from seqgen.alphabet import Alphabet
    from seqgen.manifest import Manifest
    from seqgen.models import MODELS
    from seqgen.recipe import Recipe
    from seqgen.saving import CheckpointWriter
    from seqgen.tokenizers import TOKENIZERS

    recipe = Recipe.from_dict({"model": {"hidden": 8, "embedding": 4}, "corpus": {"sources": ["diary.txt"]}})
    tokenizer = TOKENIZERS[recipe.tokenizer.kind].build(["aabb"], recipe.tokenizer)
    model = MODELS["language"](Alphabet(tokenizer.size), recipe.model)
    model.reset_parameters(torch.Generator().manual_seed(0))
    here = tmp_path_factory.mktemp("layers")
    writer = CheckpointWriter(here / "checkpoints" / "tiny")
    writer.commit(Manifest(recipe), model.state_dict(), tokenizer)
    writer.close()
    return here


LOOKING = """
--help
--version
train --help
sample --help
score --help
eval --help
list
list --json
info tiny
info tiny --json
corpus --help
corpus list
corpus show python
completion bash
"""


@pytest.mark.parametrize("command", LOOKING.strip().splitlines())
def test_what_only_looks_does_not_load_torch(command: str, folder: Path) -> None:
    code = f"""
import sys
sys.argv = ["seqgen", *sys.argv[1:]]
from seqgen.cli.main import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
{LOADED}
"""
    loaded = run_python(code, *command.split(), cwd=folder).split()[1:]
    assert not {"torch", "matplotlib"} & set(loaded)
    assert "click" in loaded
