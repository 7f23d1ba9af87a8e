"""Every command line takes a file or folder whose name is a number as what it is, a name."""

import ast
import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fire
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
NUMBER = "20230115"


def commands() -> Iterator[tuple[str, str]]:
    """What the scripts give to fire, functions and a class: module and name; nothing is imported to tell."""
    for path in sorted(SCRIPTS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "fire.Fire":
                (given,) = node.args
                names = given.values if isinstance(given, ast.Dict) else [given]
                yield from ((path.stem, ast.unparse(name)) for name in names)


def called(command: Callable[..., object], *words: str) -> dict[str, Any]:
    """What fire would call the command with."""
    signature, seen = inspect.signature(command), {}

    def record(*args: Any, **kwargs: Any) -> None:
        seen.update(signature.bind(*args, **kwargs).arguments)

    functools.update_wrapper(record, command, updated=("__dict__",))
    record.__signature__ = signature  # type: ignore[attr-defined]
    fire.Fire(record, command=list(words))
    return seen


@pytest.mark.parametrize(("module", "name"), list(commands()))
def test_a_name_that_is_a_number_stays_a_name(module: str, name: str) -> None:
    command = getattr(importlib.import_module(module), name)
    words: list[str] = []
    wanted: dict[str, object] = {}
    for given, parameter in inspect.signature(command).parameters.items():
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if str(parameter.annotation) in (str(str), str(str | None)):
            words += [NUMBER] if variable else [f"--{given}={NUMBER}"]
            wanted[given] = (NUMBER,) if variable else NUMBER
        elif parameter.default is parameter.empty and not variable:
            words.append(f"--{given}={{}}")
    seen = called(command, *words)
    assert {given: seen[given] for given in wanted} == wanted
