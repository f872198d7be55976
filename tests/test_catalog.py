"""The catalog finds every plug-in by its file, without importing it, and reads words as hyper-parameters."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from transferlm import catalog
from transferlm.catalog import HyperParameter
from transferlm.errors import SettingError


def parameter(annotation: str) -> HyperParameter:
    return HyperParameter("x", annotation, None, "")


def test_every_public_file_of_a_plug_in_folder_is_found() -> None:
    package = Path(catalog.__file__).parent
    for kind, place in catalog.KINDS.items():
        files = {f.stem for f in (package / place).glob("*.py") if f.stem != "base" and not f.stem.startswith("_")}
        assert set(catalog.entries(kind)) == files
        assert files, f"no {kind} at all"


def test_an_entry_tells_what_the_class_says() -> None:
    entry = catalog.entry("models", "tfidf")
    assert entry.class_name == "TfIdf"
    assert entry.summary == entry.load().__doc__.split("\n")[0]
    assert entry.hyper_parameter("ngrams") == HyperParameter(
        "ngrams", "int", 2, "Longest n-gram, in words (or Chinese characters)."
    )


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_hyper_parameters_are_what_the_constructor_takes_in_its_order(kind: str) -> None:
    for entry in catalog.entries(kind).values():
        taken = [field.name for field in dataclasses.fields(entry.load()) if field.init and field.name != "tokenizer"]
        assert [field.name for field in entry.hyper_parameters] == taken, entry.name


def test_fields_of_a_base_in_a_private_file_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates" / "_steps.py").write_text(
        'class Steps:\n    steps: int = 5\n    """Steps."""\n    rate: float = 1.0\n    """Rate."""\n'
    )
    (tmp_path / "updates" / "replay.py").write_text(
        "from transferlm.updates._steps import Steps\n\n"
        'class Replay(Steps):\n    """Replay."""\n\n    rate: float = 0.5\n    """Lower."""\n'
        '    share: float = 0.1\n    """Share."""\n'
    )
    monkeypatch.setattr(catalog, "__file__", str(tmp_path / "catalog.py"))
    found = catalog._read("updates", tmp_path / "updates" / "replay.py")
    assert [(f.name, f.default, f.help) for f in found.hyper_parameters] == [
        ("steps", 5, "Steps."),
        ("rate", 0.5, "Lower."),
        ("share", 0.1, "Share."),
    ]


def test_state_is_no_hyper_parameter() -> None:
    names = [field.name for field in catalog.entry("models", "recurrent").hyper_parameters]
    assert "width" in names
    assert "module" not in names
    assert "tokenizer" not in names


def test_finding_imports_nothing_heavy() -> None:
    code = (
        "import sys; from transferlm import catalog\n"
        "for kind in catalog.KINDS: catalog.entries(kind)\n"
        "print(sorted({'torch', 'numpy', 'sklearn', 'transformers'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("annotation", "word", "value"),
    [
        ("int", "3", 3),
        ("float", "2e-5", 2e-5),
        ("float", "1", 1.0),
        ("bool", "true", True),
        ("bool", "False", False),
        ("str", "text", "text"),
        ("int | None", "none", None),
        ("int | None", "7", 7),
        ("float | None", "None", None),
        ("Literal['lstm', 'gru']", "gru", "gru"),
        ("Literal[1, 2]", "2", 2),
        ("Literal['balanced'] | dict[str, float] | None", "balanced", "balanced"),
        ("Literal['balanced'] | dict[str, float] | None", "spam=3,ham=1", {"spam": 3.0, "ham": 1.0}),
        ("Literal['balanced'] | dict[str, float] | None", "a=b=2", {"a=b": 2.0}),
        ("Literal['balanced'] | dict[str, float] | None", "none", None),
        ("str | None", "none", None),
        ("str | int", "7", 7),
    ],
)
def test_words_are_read_by_annotation(annotation: str, word: str, value: object) -> None:
    read = parameter(annotation).parse(word)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("annotation", "word", "shown"),
    [
        ("int", "3.5", "int"),
        ("float", "fast", "float"),
        ("bool", "1", "bool"),
        ("int", "none", "int"),
        ("Literal['lstm', 'gru']", "LSTM", "lstm|gru"),
        ("Literal['balanced'] | dict[str, float] | None", "spam", "balanced"),
        ("Literal['balanced'] | dict[str, float] | None", "spam=much", "balanced"),
    ],
)
def test_a_word_that_does_not_fit_is_refused_with_what_would(annotation: str, word: str, shown: str) -> None:
    with pytest.raises(SettingError) as error:
        parameter(annotation).parse(word)
    assert word in str(error.value)
    assert shown in str(error.value)


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_a_name_that_is_none_is_refused_for_every_kind(kind: str) -> None:
    with pytest.raises(SettingError, match="is called 'no_such'"):
        catalog.entry(kind, "no_such")


def test_a_wrong_name_brings_a_hint() -> None:
    with pytest.raises(SettingError, match="no strategy is called 'fine_tunning': did you mean 'fine_tuning'"):
        catalog.find("strategies", "fine_tunning")
    with pytest.raises(SettingError, match=r"has no hyper-parameter 'learningrate': did you mean 'learning_rate'"):
        catalog.entry("strategies", "fine_tuning").hyper_parameter("learningrate")


def test_name_of_class_and_instance() -> None:
    tfidf = catalog.find("models", "tfidf")
    assert catalog.name_of(tfidf) == catalog.name_of(tfidf()) == "tfidf"


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_plural_packages_import_by_class_name(kind: str) -> None:
    import transferlm

    package = getattr(transferlm, kind)
    classes = {entry.class_name for entry in catalog.entries(kind).values()}
    assert set(dir(package)) == classes
    for entry in catalog.entries(kind).values():
        assert getattr(package, entry.class_name) is entry.load()
    with pytest.raises(AttributeError):
        package.Nothing  # noqa: B018


def test_two_public_classes_in_one_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "twins.py"
    file.write_text("class One: pass\nclass Two: pass\nclass _Hidden: pass\n", encoding="utf-8")
    with pytest.raises(SettingError, match="one public class, this one 2"):
        catalog._read("models", file)
