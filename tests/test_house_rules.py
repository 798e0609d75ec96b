"""The house rules: what people forget, checked from the syntax trees of the sources.

Each rule is a row of ``RULES``: where it holds, the function that finds offences, and a bad snippet that it must find.
"""

import ast
import graphlib
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "training", "analysis")
Findings = Iterator[tuple[int, str]]


@dataclass(frozen=True)
class Source:
    path: str  # relative to the repository
    text: str

    @property
    def tree(self) -> ast.Module:
        return parse(self.text)

    def within(self, *places: str) -> bool:
        return any(self.path == place or (place.endswith("/") and self.path.startswith(place)) for place in places)


@cache
def parse(text: str) -> ast.Module:
    return ast.parse(text)


def nodes(source: Source, *kinds: type) -> Iterator[ast.AST]:
    return (node for node in ast.walk(source.tree) if isinstance(node, kinds))


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


# --- size ----------------------------------------------------------------------------------------------------------
def long_file(source: Source) -> Findings:
    n_lines = source.text.count("\n")
    if n_lines > 400:
        yield 1, f"{n_lines} lines; a file is one idea of at most 400"


def long_function(source: Source) -> Findings:
    for function in nodes(source, *FUNCTIONS):
        n_lines = function.end_lineno - function.lineno + 1
        if n_lines > 60:
            yield function.lineno, f"{function.name} has {n_lines} lines; at most 60"


def many_arguments(source: Source) -> Findings:
    for function in nodes(source, *FUNCTIONS):
        arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        n_arguments = sum(argument.arg not in ("self", "cls") for argument in arguments)
        if n_arguments > 7:
            yield function.lineno, f"{function.name} has {n_arguments} arguments; more than 7 want a dataclass"


# --- habits --------------------------------------------------------------------------------------------------------
def swallowed_exception(source: Source) -> Findings:
    for handler in nodes(source, ast.ExceptHandler):
        everything = handler.type is None or ast.unparse(handler.type) in ("Exception", "BaseException")
        if handler.type is None:
            yield handler.lineno, "bare except; name the exception"
        elif everything and all(isinstance(statement, ast.Pass) for statement in handler.body):
            yield handler.lineno, "every exception is swallowed"


def star_import(source: Source) -> Findings:
    for statement in nodes(source, ast.ImportFrom):
        if any(alias.name == "*" for alias in statement.names):
            yield statement.lineno, f"star import from {statement.module}"


def prints(source: Source) -> Findings:
    for call in nodes(source, ast.Call):
        if isinstance(call.func, ast.Name) and call.func.id == "print":
            yield call.lineno, "print outside the command line; return the text, or log it"


def work_at_import(source: Source) -> Findings:
    for statement in source.tree.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            yield statement.lineno, f"import runs {ast.unparse(statement.value)[:60]}; imports have no side effects"


def missing_docstring(source: Source) -> Findings:
    if not ast.get_docstring(source.tree):
        yield 1, "no module docstring"
    public = [node for node in source.tree.body if isinstance(node, (*FUNCTIONS, ast.ClassDef))]
    for node in [node for node in public if isinstance(node, ast.ClassDef)]:
        public += [method for method in node.body if isinstance(method, FUNCTIONS) and not overrides(node, method)]
    for node in public:
        if not node.name.startswith("_") and not ast.get_docstring(node):
            yield node.lineno, f"{node.name} has no docstring"


def overrides(cls: ast.ClassDef, method: ast.FunctionDef) -> bool:
    """Tell whether torch, not we, says what the method does."""
    torch_methods = {"forward", "backward", "setup_context", "step", "extra_repr"}
    return bool(cls.bases) and method.name in torch_methods


def place_of_one_machine(source: Source) -> Findings:
    pattern = re.compile(r"(?<![\w.])/(?:work|root|home|opt)/\w|\.\./shared\b")
    for number, line in enumerate(source.text.splitlines(), start=1):
        if match := pattern.search(line):
            yield number, f"a path of one machine: {line[match.start() :][:40]}"


# --- names ---------------------------------------------------------------------------------------------------------
def vague_file_name(source: Source) -> Findings:
    name = Path(source.path).stem
    if set(name.lower().split("_")) & {"utils", "util", "common", "helper", "helpers", "misc", "manager", "tools"}:
        yield 1, f"{name} says nothing; name the idea"


@cache
def foreign_names() -> frozenset[str]:
    ours = {"twincortex", *PACKAGES, "tests"}
    return frozenset(sys.stdlib_module_names | set(importlib.metadata.packages_distributions())) - ours


def shadows_a_module(source: Source) -> Findings:
    name = Path(source.path).stem
    if name in foreign_names():
        yield 1, f"'{name}' is a standard or installed module, which `python training/train.py` would hide"


# --- import arrows -------------------------------------------------------------------------------------------------
ENGINE_LAYER = ("brian", "surrogate", "nest")  # none of which imports another
LAYERS = (  # a module of models/ imports from its own layer and those above it; commands stands for commands_circuit
    ("errors", "randomness", "atomic_output", "hdf5", "toolchain"),
    ("parameters", "spikes", "neuropixels"),
    ("equations", "circuit", "recording"),
    ("linear_system",),
    ("propagators", "column", "sonata", "observables", "stimuli", "lgn", "background", "inputs"),
    ENGINE_LAYER,
    ("weights", "equivalence"),
    ("command_line", "commands", "doctor", "benchmark"),
)
LAYER_OF = {part: number for number, parts in enumerate(LAYERS) for part in parts}
BRIAN_PLACES = ("models/equations.py", "models/linear_system.py", "models/propagators.py", "models/brian/")
TORCH_PLACES = (
    *("models/surrogate/", "models/weights.py", "training/"),
    *(f"models/benchmark/{name}.py" for name in ("torch_engines", "bandwidth", "calibration")),
)
# NEST prints, and takes threads and MPI, when it is imported: only the processes that run it do.
NEST_PLACES = ("models/nest/network.py", "models/nest/execution.py")


def imported(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the line and the full dotted name of everything imported, `from a import b` as a.b."""
    package = "twincortex." + ".".join(Path(source.path).parent.parts)
    for statement in nodes(source, ast.Import, ast.ImportFrom):
        if isinstance(statement, ast.Import):
            yield from ((statement.lineno, alias.name) for alias in statement.names)
            continue
        base = statement.module or ""
        if statement.level:
            above = package.split(".")[: package.count(".") + 2 - statement.level]
            base = ".".join([*above, *filter(None, [base])])
        yield from ((statement.lineno, f"{base}.{alias.name}") for alias in statement.names)


def part_of(module: str) -> str | None:
    """Name the part of models/ that a module belongs to: twincortex.models.brian.network -> brian."""
    names = module.split(".")
    if names[:2] != ["twincortex", "models"] or len(names) < 3:
        return None
    return names[2] if names[2] in LAYER_OF else names[2].partition("_")[0]


def against_the_arrows(source: Source) -> Findings:
    folder = Path(source.path).parts[0]
    mine = part_of(module_name(source.path))
    for line, name in imported(source):
        top = name.split(".")[:2]
        if name.split(".")[0] in PACKAGES:
            yield line, f"import {name} as twincortex.{name}"
        elif top == ["twincortex", "training"] and folder != "training":
            yield line, f"{folder} imports {name}; nothing imports training"
        elif top == ["twincortex", "analysis"] and folder != "analysis":
            yield line, f"{folder} imports {name}; nothing imports analysis"
        elif against_the_layers(mine, theirs := part_of(name)):
            yield line, f"{mine} imports {theirs}, against the arrows"


def against_the_layers(mine: str | None, theirs: str | None) -> bool:
    if mine not in LAYER_OF or theirs not in LAYER_OF or mine == theirs:
        return False
    return LAYER_OF[theirs] > LAYER_OF[mine] or {mine, theirs} <= set(ENGINE_LAYER)


def engine_out_of_place(source: Source) -> Findings:
    for line, name in imported(source):
        package = name.split(".")[0]
        if package in ("brian2", "brian2cuda") and not source.within(*BRIAN_PLACES):
            yield line, f"{package} is imported only in {', '.join(BRIAN_PLACES)}"
        if package == "torch" and not source.within(*TORCH_PLACES):
            yield line, f"torch is imported only in {', '.join(TORCH_PLACES)}"
        if package == "nest" and not source.within(*NEST_PLACES):
            yield line, f"nest is imported only in {', '.join(NEST_PLACES)}"


def module_name(path: str) -> str:
    parts = Path(path).with_suffix("").parts
    return ".".join(("twincortex", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def import_cycle(sources: list[Source]) -> list[str]:
    """Return the modules of one import cycle, or nothing. Imports inside functions count too."""
    modules = {module_name(source.path) for source in sources}
    graph = {}
    for source in sources:
        names = {name for _, full in imported(source) for name in (full, full.rpartition(".")[0])}
        ours = names & modules
        modules_meant = {name for name in ours if not any(other.startswith(name + ".") for other in ours)}
        graph[module_name(source.path)] = modules_meant - {module_name(source.path)}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


# --- the table -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Rule:
    find: Callable[[Source], Findings]
    bad: Source
    places: tuple[str, ...] = ("models/", "training/", "analysis/", "tests/")
    except_in: tuple[str, ...] = ()


OURS = ("models/", "training/", "analysis/")
COMMAND_LINE = ("models/command_line.py", "training/train.py", "tests/benchmarks/")
RULES = {
    rule.find.__name__: rule
    for rule in (
        Rule(long_file, Source("models/a.py", "x = 1\n" * 401)),
        Rule(long_function, Source("models/a.py", "def f():\n" + "    x = 1\n" * 60)),
        Rule(many_arguments, Source("models/a.py", "def f(a, b, c, d, e, f, g, *, h): ...")),
        Rule(swallowed_exception, Source("models/a.py", "try:\n    f()\nexcept Exception:\n    pass")),
        Rule(star_import, Source("models/a.py", "from numpy import *")),
        Rule(prints, Source("models/a.py", "def f():\n    print(1)"), OURS, COMMAND_LINE),
        Rule(work_at_import, Source("models/a.py", "numpy.random.seed(1)"), OURS, ("models/before_torch.py",)),
        Rule(missing_docstring, Source("models/a.py", '"""A."""\ndef f(): ...'), OURS),
        Rule(place_of_one_machine, Source("models/a.py", "x = '/" + "work/data'")),
        Rule(vague_file_name, Source("models/spike_utils.py", "")),
        Rule(shadows_a_module, Source("training/queue.py", ""), ("training/",), ("training/__init__.py",)),
        Rule(against_the_arrows, Source("models/circuit.py", "from twincortex.models import sonata"), OURS),
        Rule(engine_out_of_place, Source("models/circuit.py", "def f():\n    import torch"), OURS),
    )
}


def python_sources(*folders: str) -> list[Source]:
    paths = sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))
    return [Source(path.relative_to(REPOSITORY).as_posix(), path.read_text()) for path in paths]


@pytest.mark.parametrize("name", RULES)
def test_sources_keep_the_rule(name):
    rule = RULES[name]
    sources = [source for source in python_sources(*PACKAGES, "tests") if source.within(*rule.places)]
    sources = [source for source in sources if not source.within(*rule.except_in)]
    findings = [f"{source.path}:{line}: {text}" for source in sources for line, text in rule.find(source)]
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("name", RULES)
def test_each_rule_bites_its_bad_snippet(name):
    assert list(RULES[name].find(RULES[name].bad))


@pytest.mark.parametrize("name", RULES)
def test_no_rule_bites_a_good_snippet(name):
    good = '"""A circuit."""\nimport numpy\n\ndef count(spikes):\n    """Count them."""\n    return numpy.sum(spikes)\n'
    assert not list(RULES[name].find(Source("models/circuit.py", good)))


@pytest.mark.parametrize(
    "snippet",
    ["from twincortex.training import loop", "import models.circuit", "from .brian import run", "from . import lgn"],
)
def test_arrows_are_seen_in_every_form_of_import(snippet):
    assert list(against_the_arrows(Source("models/parameters.py", snippet)))


def test_imports_make_no_cycle():
    assert import_cycle(python_sources(*PACKAGES)) == []


def test_a_cycle_through_a_function_is_found():
    there = Source("models/circuit.py", "def f():\n    from twincortex.models.sonata import read")
    back = Source("models/sonata.py", "from twincortex.models import circuit")
    assert import_cycle([there, back])


def test_no_other_text_names_a_place_of_one_machine():
    suffixes = {".md", ".toml", ".txt", ".yaml", ".csv", ".ipynb", ".h", ".cpp", ".cu"}
    folders = (*PACKAGES, "tests", ".ci", "standalone_out/README.md")
    paths = [*REPOSITORY.glob("*"), *(path for folder in folders for path in (REPOSITORY / folder).rglob("*"))]
    texts = [path for path in paths if path.is_file() and (path.suffix in suffixes or path.name in ("Makefile", "run"))]
    sources = [Source(path.relative_to(REPOSITORY).as_posix(), path.read_text()) for path in texts]
    findings = [f"{source.path}:{line}: {text}" for source in sources for line, text in place_of_one_machine(source)]
    assert not findings, "\n".join(findings)


def test_every_subcommand_names_a_function_that_exists():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for name, target in project["entry-points"]["twincortex.commands"].items():
        module, _, function = target.partition(":")
        path = REPOSITORY.joinpath(*module.split(".")[1:])
        file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
        defined = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, FUNCTIONS)}
        assert function in defined, f"twincortex {name}: {target} does not exist"


def test_every_package_folder_is_declared():
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent for package in PACKAGES for path in (REPOSITORY / package).rglob("__init__.py")}
    assert {module_name(f"{folder.relative_to(REPOSITORY)}/__init__.py") for folder in folders} == set(declared)
