"""Makes docs/cli.md from the help texts and docs/settings.md from the docstrings in seqgen/recipe.py.

python docs/make.py            writes both
python docs/make.py --check    writes nothing; exits 1 and names each file that is not up to date
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from seqgen import defaults, recipe
from seqgen.cli.main import program

FOLDER = Path(__file__).parent
WIDTH = 80
"""Columns of the help texts, whatever the terminal has."""

CLI_HEAD = """\
<!-- Made by docs/make.py from the help texts in seqgen/cli/. Change those, then run: make docs -->

# The command line

Results go to stdout. Words for people go to stderr, and `-q` silences all of them but errors. With `--json` each
result is one object on a line of its own.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a training that cannot go on, or a bug in seqgen |
| 2 | an option or setting that cannot be meant |
| 3 | a corpus, file or seed that cannot be used |
| 4 | a checkpoint that is missing, damaged, newer or in use |
| 130 | interrupted; a training has saved its work |

An error says what is wrong, where, and what to do. `--debug` shows where in the program it arose.
"""

SETTINGS_HEAD = """\
<!-- Made by docs/make.py from the docstrings in seqgen/recipe.py. Change those, then run: make docs -->

# The settings

These are the settings of a recipe: all that decides what a training computes. Set one on the command line:

```
seqgen train diary.txt --set model.hidden=256
```

Or write them in a TOML file and name it with `--recipe mine.toml`. A file holds only what you want to set:

```toml
[model]
hidden = 256
hidden_dropout = 0.3

[training]
optimizer = "adamw"
```

What you set on the command line wins over the file. A list in `--set` has commas between its items.
`training.schedule`, a list of lists, can only be set in a file.

You need none of these to begin. Many are chosen for your corpus, your machine and your time where you do not set them,
and the default shown here is then only the one of the dataclass:

- Those marked with * are chosen by `seqgen/defaults.py`.
- `corpus.kind` and `corpus.documents` are guessed from the files, or come from the corpus card.
- `training.device` and `training.threads` come from the machine. `training.dtype` is measured on it.
- `training.schedule`, `training.evaluate_every` and `training.evaluate_symbols` follow from `--time`, `--steps` or
  `--epochs`.

`seqgen info CHECKPOINT` prints what a training came to use, as TOML.
"""


def pages() -> dict[str, str]:
    """The made pages: file name -> text."""
    return {"cli.md": cli_page(), "settings.md": settings_page()}


def cli_page() -> str:
    """Every verb's help, in the order of `seqgen --help`."""
    parts = [CLI_HEAD]
    for context in _contexts(click.Context(program, info_name="seqgen", terminal_width=WIDTH, **_settings(program))):
        level = "#" * (2 + context.command_path.count(" ") // 2)
        parts.append(f"{level} {context.command_path}\n\n```text\n{context.get_help().rstrip()}\n```\n")
    return "\n".join(parts)


def settings_page() -> str:
    """A table for each section of a recipe."""
    facts = defaults.Facts(symbols=10**6, vocabulary=100, seconds=180.0, matrix_rate=1e11)
    chosen = {(section, name) for section, fields in defaults.choose(facts).items() for name in fields}
    parts = [SETTINGS_HEAD]
    for section, settings in recipe.SECTIONS.items():
        rows = [f"## {section}\n\n{inspect.getdoc(settings)}\n", "| setting | type | default | |", "|---|---|---|---|"]
        values = settings()
        for name, kind, meaning in _fields(settings):
            mark = " *" if (section, name) in chosen else ""
            default = f"`{json.dumps(getattr(values, name), ensure_ascii=False)}`{mark}"  # a JSON value is a TOML value
            rows.append(f"| `{section}.{name}` | {kind} | {default} | {meaning} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def stale(folder: Path = FOLDER) -> list[Path]:
    """The files in a folder that are not as they would be made."""
    files = {folder / name: text for name, text in pages().items()}
    return [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """A command's context and those of its sub-commands."""
    yield context
    command = context.command
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None, name
        yield from _contexts(click.Context(child, parent=context, info_name=name, **_settings(child)))


def _settings(command: click.Command) -> dict[str, Any]:
    """A command's own settings, without the width that it allows itself on a wide terminal."""
    return {name: value for name, value in command.context_settings.items() if name != "max_content_width"}


def _fields(settings: type[Any]) -> Iterator[tuple[str, str, str]]:
    """Name, type and documentation of each field: the string that stands under it in the source."""
    (tree,) = ast.parse(inspect.getsource(settings)).body
    assert isinstance(tree, ast.ClassDef)
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign):
            continue
        if not (isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)):
            sys.exit(f"{settings.__name__}.{ast.unparse(field.target)} has no docstring under it")
        meaning = inspect.cleandoc(ast.literal_eval(below.value)).replace("\n", " ").replace("|", "\\|")
        yield ast.unparse(field.target), _words(field.annotation), meaning


def _words(annotation: ast.expr) -> str:
    """A type in words: `list of str`, `list of (int, float)`."""
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple):
        inner = annotation.slice.elts
        repeated = isinstance(inner[-1], ast.Constant) and inner[-1].value is ...
        return f"list of {_words(inner[0])}" if repeated else f"({', '.join(map(_words, inner))})"
    return ast.unparse(annotation)


def main() -> None:
    """Writes the pages, or checks them."""
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("usage: python docs/make.py [--check]")
    if sys.argv[1:]:
        for path in (old := stale()):
            click.echo(f"not up to date: docs/{path.name}; run: make docs", err=True)
        sys.exit(bool(old))
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
