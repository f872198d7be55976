"""The floors hold: imports go down, light commands stay light, and no file is forgotten by the contracts."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

import transferlm
from transferlm import catalog
from transferlm.cli import COMMANDS

PACKAGE = Path(transferlm.__file__).parent
ROOT = PACKAGE.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
HEAVY = (
    *("torch", "transformers", "numpy", "scipy", "sklearn", "pyarrow", "matplotlib", "datasets", "pandas", "rich"),
    *("gensim", "numba", "peft"),
)
TOUCHED = "import sys; {code}\nprint(sorted(n for n in {names!r} if n in sys.modules), file=sys.__stdout__)"


def loaded_by(code: str, names: Sequence[str] = HEAVY) -> str:
    """Which of `names` a fresh interpreter has loaded after `code`."""
    script = TOUCHED.format(code=code, names=tuple(names))
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return told.stdout.splitlines()[-1]


def test_the_import_contracts_hold() -> None:
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None) == 0


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_no_plug_in_is_forgotten_by_the_contracts(kind: str) -> None:
    package = f"transferlm.{catalog.KINDS[kind].replace('/', '.')}"
    files = {f"{package}.{name}" for name in catalog.entries(kind)}
    independent = [set(c["modules"]) for c in CONTRACTS if c["type"] == "independence"]
    assert len(files) < 2 or any(files <= modules for modules in independent), f"{kind}: a file is in no contract"
    for modules in independent:
        assert not {m for m in modules if m.rpartition(".")[0] == package} - files, (
            "a contract names a file that is gone"
        )


@pytest.mark.parametrize("folder", ["combinations", "strategies", "updates"])
def test_methods_may_import_no_family(folder: str) -> None:
    composites = {"class_counts", "label_likelihood", "mapped", "mixture", "posterior_average"}
    families = {f"transferlm.models.{name}" for name in catalog.entries("models") if name not in composites}
    forbidden = [
        set(c["forbidden_modules"])
        for c in CONTRACTS
        if c["type"] == "forbidden" and f"transferlm.{folder}" in c["source_modules"]
    ]
    assert any(families <= modules for modules in forbidden)


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_no_plug_in_imports_a_sibling(kind: str) -> None:
    folder = PACKAGE / catalog.KINDS[kind]
    package = f"transferlm.{catalog.KINDS[kind].replace('/', '.')}"
    for name in catalog.entries(kind):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        froms = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        plain = [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
        siblings = {f"{package}.{other}" for other in catalog.entries(kind)} - {f"{package}.{name}"}
        assert not siblings & {*froms, *plain}, name


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_each_plug_in_file_holds_one_public_class(kind: str) -> None:
    for name, entry in catalog.entries(kind).items():
        tree = ast.parse((PACKAGE / catalog.KINDS[kind] / f"{name}.py").read_text(encoding="utf-8"))
        public = [n.name for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]
        assert public == [entry.class_name]


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import transferlm") == "[]"


def test_everything_on_the_public_face_is_there() -> None:
    for name in transferlm.__all__:
        assert getattr(transferlm, name) is not None
    assert dir(transferlm) == transferlm.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        transferlm.nothing  # noqa: B018


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["list", "models"], *([name, "--help"] for name in COMMANDS)], ids=" ".join
)
def test_light_commands_load_nothing_heavy(words: list[str]) -> None:
    code = f"from transferlm.cli import main\ntry: main({words!r})\nexcept SystemExit: pass"
    assert loaded_by(code, [name for name in HEAVY if name != "rich"]) == "[]"


def test_help_answers_in_under_300_ms() -> None:
    took = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "transferlm", "--help"], capture_output=True, check=True)
        took.append(time.perf_counter() - started)
    assert min(took) < 0.3


def test_the_count_based_path_never_loads_torch(review_file: Path, tmp_path: Path) -> None:
    data, out = str(review_file), str(tmp_path / "m")
    commands = [
        ["transfer", "tfidf", data, "--strategy", "feature_extraction", "--test", data, "-o", out],
        ["evaluate", out, data],
        ["predict", out, "a good film"],
        ["show", out],
        ["check", data],
    ]
    code = "from transferlm.cli import main\n" + "\n".join(f"main({words!r})" for words in commands)
    assert loaded_by(code, ["torch", "transformers", "gensim"]) == "[]"


def test_opening_word_vectors_never_loads_torch_or_gensim(tmp_path: Path) -> None:
    vectors, folder = tmp_path / "v.vec", str(tmp_path / "m")
    vectors.write_text("2 2\nfilm 1 0\nroom 0 1\n")
    code = (
        f"import transferlm as tl; m = tl.load({str(vectors)!r}); m.save({folder!r})\n"
        f"tl.load({folder!r}).encode(['the film']); tl.load({folder!r}).nearest('film')\n"
        "import transferlm.models.word2vec, transferlm.models.fasttext"
    )
    assert loaded_by(code, ["torch", "transformers", "gensim"]) == "[]"


def test_a_sentence_encoder_in_numpy_never_loads_torch() -> None:
    assert loaded_by("import transferlm.models.universal_sentence_encoder", ["torch", "transformers"]) == "[]"


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_sockets_are_blocked() -> None:
    import socket

    from pytest_socket import SocketBlockedError

    with pytest.raises(SocketBlockedError):
        socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_no_pickle_is_ever_read() -> None:
    """Nothing in the package calls what would run code from a file; a tensor-only reading is the one exception."""
    banned = re.compile(r"(pickle|dill|joblib|marshal|shelve|cloudpickle)\.(?!UnpicklingError$)")
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute | ast.Name):
                assert not banned.match(ast.unparse(node)), file
            if isinstance(node, ast.ImportFrom):
                assert not banned.match(f"{node.module}."), file
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                words = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert words.get("weights_only") == "True", file


def test_remote_code_is_never_trusted() -> None:
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert ast.unparse(node.value) == "False", file
