"""ARPA files are read as KenLM, SRILM and IRSTLM write them, written without loss, and refused when damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from transferlm.counts.automaton import Automaton
from transferlm.counts.back_off import BackOff
from transferlm.counts.symbols import BEGIN, END, FIRST_WORD, UNKNOWN
from transferlm.errors import DataError
from transferlm.models._arpa import read_arpa, write_arpa

KENLM = """\\data\\
ngram 1=5
ngram 2=4
ngram 3=1

\\1-grams:
-1.5\t<unk>\t0
0\t<s>\t-0.25
-0.75\t</s>\t0
-0.5\tzé\t-0.125
-1\ta\t-0.5

\\2-grams:
-0.25\t<s> a\t-0.0625
-0.375\ta zé\t0.25
-0.5\tzé a\t0
-0.625\tzé </s>\t0

\\3-grams:
-0.125\t<s> a zé

\\end\\
"""
A, ZE = FIRST_WORD, FIRST_WORD + 1


def written(folder: Path, text: str, name: str = "model.arpa") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def log10s(model: BackOff, text: list[int]) -> list[float]:
    ids = np.array([BEGIN, *text, END], np.uint32)
    return (Automaton.of(model).score(ids, np.array([0, len(ids)])) / np.log(10)).tolist()


def test_a_file_of_kenlm(tmp_path: Path) -> None:
    words, model = read_arpa(written(tmp_path, KENLM))
    model.check()
    assert words == [b"a", "zé".encode()]
    assert model.symbols[0].tolist() == [BEGIN, END, UNKNOWN, A, ZE]
    assert model.unknown == pytest.approx(-1.5 * np.log(10))
    assert log10s(model, [A, ZE]) == pytest.approx([0, -0.25, -0.125, 0.25 - 0.625])
    assert log10s(model, [ZE, 99]) == pytest.approx([0, -0.25 - 0.5, -0.125 - 1.5, -0.75])


def test_a_file_of_srilm_in_any_order_with_spaces_and_gaps(tmp_path: Path) -> None:
    text = """made by hand

\\data\\
ngram  1 = 4
ngram  2 = 2

\\1-grams:
-0.5 zé  -0.125
-99 <s> -0.25
-inf a
-0.75 </s>

\\2-grams:
-0.5 zé zé
-0.25 <s> a

\\end\\
"""
    for name in ("model.arpa", "model.arpa.gz"):
        words, model = read_arpa(written(tmp_path, text, name))
        model.check()
        assert words == [b"a", "zé".encode()]
        assert log10s(model, [A, ZE, ZE]) == pytest.approx([0, -0.25, -0.5, -0.5, -0.125 - 0.75])
        assert log10s(model, [ZE, A])[2] == model.unknown == -np.inf


def test_missing_beginnings_and_ends_get_the_probability_of_backing_off(tmp_path: Path) -> None:
    text = KENLM.replace("-0.25\t<s> a\t-0.0625\n", "").replace("-0.375\ta zé\t0.25\n", "").replace("2=4", "2=2")
    _, model = read_arpa(written(tmp_path, text))
    model.check()
    assert model.nodes(2) == 4
    assert log10s(model, [A, ZE]) == pytest.approx([0, -0.25 - 1, -0.125, -0.625])
    assert log10s(model, [ZE, A, ZE])[3] == pytest.approx(-0.5 - 0.5)


def test_an_implied_probability_above_one_is_told_with_the_weight_that_gives_it(tmp_path: Path) -> None:
    gap = KENLM.replace("ngram 2=4", "ngram 2=3").replace("-0.375\ta zé\t0.25\n", "")
    assert read_arpa(written(tmp_path, gap))[1].nodes(2) == 4
    with pytest.raises(DataError, match=r"line 11: n-gram 'a zé' is not listed, and backing off .* above 1"):
        read_arpa(written(tmp_path, gap.replace("-1\ta\t-0.5", "-1\ta\t0.6")))
    _, model = read_arpa(written(tmp_path, gap.replace("-1\ta\t-0.5", "-1\ta\t0.50001")))
    assert max(values.max() for values in model.log_probs) == 0, "what decimals round is cut off"


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    marked = read_arpa(written(tmp_path, "\ufeff" + KENLM))
    assert marked[0] == read_arpa(written(tmp_path, KENLM))[0]
    with pytest.raises(DataError, match=r"no \\data\\ line"):
        read_arpa(written(tmp_path, "\n\ufeff" + KENLM))


def test_gaps_over_several_orders_are_closed(tmp_path: Path) -> None:
    text = """\\data\\
ngram 1=4
ngram 2=0
ngram 3=0
ngram 4=1
\\1-grams:
-99 <s> -0.5
-1 </s>
-1 a -0.25
-2 b -0.125
\\2-grams:
\\3-grams:
\\4-grams:
-0.5 a b a b
\\end\\
"""
    _, model = read_arpa(written(tmp_path, text))
    model.check()
    assert [model.nodes(k) for k in (1, 2, 3, 4)] == [4, 2, 2, 1]
    assert log10s(model, [A, ZE, A, ZE]) == pytest.approx([0, -1.5, -2.25, -1.125, -0.5, -1.125])


def test_writing_and_reading_gives_the_same_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"wörd{i}" for i in range(300)]
    pairs = sorted({(int(a), int(b)) for a, b in rng.integers(0, 300, (4000, 2))})
    lines = [
        f"{-x:.12f} {w} {y:.12f}" for w, x, y in zip(names, rng.exponential(1, 300), rng.normal(size=300), strict=True)
    ]
    grams = [
        f"{-x:.12e} {names[a]} {names[b]}" for (a, b), x in zip(pairs, rng.exponential(1e-3, len(pairs)), strict=True)
    ]
    head = f"\\data\\\nngram 1={len(lines) + 3}\nngram 2={len(grams)}\n\n\\1-grams:\n-99 <s>\n-2 </s>\n-3 <unk>\n"
    text = head + "\n".join(lines) + "\n\n\\2-grams:\n" + "\n".join(grams) + "\n\n\\end\\\n"
    words, model = read_arpa(written(tmp_path, text))
    for name in ("again.arpa", "again.arpa.gz"):
        write_arpa(tmp_path / name, model, lambda symbol: words[symbol - FIRST_WORD].decode())
        same_words, same = read_arpa(tmp_path / name)
        assert same_words == words
        assert same.unknown == model.unknown
        for part in ("symbols", "parents", "first", "suffixes", "log_probs", "back_offs"):
            for one, other in zip(getattr(model, part), getattr(same, part), strict=True):
                assert one.dtype == other.dtype
                assert np.array_equal(one, other)
    assert gzip.decompress((tmp_path / "again.arpa.gz").read_bytes()) == (tmp_path / "again.arpa").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.arpa", "again.arpa.gz", "model.arpa"]


def test_an_unknown_word_without_a_node_is_written(tmp_path: Path) -> None:
    text = KENLM.replace("1=5", "1=4").replace("-1.5\t<unk>\t0\n", "")
    words, model = read_arpa(written(tmp_path, text))
    assert model.unknown == -np.inf
    given = BackOff(model.symbols, model.parents, model.first, model.suffixes, model.log_probs, model.back_offs, -4.25)
    write_arpa(tmp_path / "again.arpa", given, lambda symbol: words[symbol - FIRST_WORD].decode())
    _, same = read_arpa(tmp_path / "again.arpa")
    same.check()
    assert same.unknown == -4.25
    assert log10s(same, [A, 99, ZE]) == log10s(given, [A, 99, ZE])


@pytest.mark.parametrize("word", ["", "a b", "<s>", "<unk>", "a\tb", "twice"])
def test_words_that_the_format_can_not_hold_are_refused(tmp_path: Path, word: str) -> None:
    _, model = read_arpa(written(tmp_path, KENLM))
    with pytest.raises(DataError, match="word"):
        write_arpa(tmp_path / "out.arpa", model, lambda symbol: word if symbol == A else "twice")
    assert not (tmp_path / "out.arpa").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "data", r"model.arpa, line 22: no \\data\\ line"),
        ("ngram 1=5\nngram 2=4\nngram 3=1\n", "", r"no 'ngram 1=...' line"),
        ("ngram 2=4\n", "", r"line 3: the header counts n-grams of order 3 where 2 is due"),
        ("1=5", "1=6", r"line 12: the header counts 6 n-grams of order 1, and there are 5"),
        ("2=4", "2=3", r"line 17: .* stands where \\3-grams: is due"),
        ("3=1", "3=999999999999999", r"line 21: the header counts 999,999,999,999,999 .* order 3, and there are 1"),
        ("\n\\end\\\n", "", r"line 20: the file is cut short: \\end\\ is due"),
        ("-0.125\t<s> a zé\n\n\\end\\\n", "", r"line 19: the file is cut short: 0 of 1 n-grams of order 3"),
        ("\\3-grams:\n-0.125\t<s> a zé\n\n\\end\\\n", "", r"the file is cut short: \\3-grams: is due"),
        ("-0.375\ta", "nan\ta", r"line 15: a log-probability that is not a number"),
        ("-0.375\ta", "0.375\ta", r"line 15: a log-probability above 0"),
        ("-0.375\ta", "inf\ta", r"line 15: a log-probability above 0"),
        ("-0.375\ta", "-1e300\ta", r"line 15: a number that is too large"),
        ("zé\t0.25", "zé\tnan", r"line 15: a back-off weight that is infinite or not a number"),
        ("zé\t0.25", "zé\t1e300", r"line 15: a number that is too large"),
        ("-0.375\ta", "-0,375\ta", r"line 15: '-0,375' is no number"),
        ("zé\t0.25", "zé\tinf", r"line 15: a back-off weight that is infinite"),
        ("-0.5\tzé a", "-0.5\ta zé", r"line 16: n-gram 'a zé' stands on line 15 already"),
        ("-1\ta", "-1\tzé", r"line 11: n-gram 'zé' stands on line 10 already"),
        ("-0.5\tzé a", "-0.5\tzé b", r"line 16: 'b' is not among the unigrams"),
        ("-0.5\tzé a\t0", "-0.5\tzé", r"line 16: '-0.5 zé' is no n-gram of order 2"),
        ("-0.5\tzé a\t0", "-0.5\tzé a a 0", r"line 16: '-0.5 zé a a 0' is no n-gram of order 2"),
        ("ngram 2=4", "ngram 1=4", r"line 3: the header counts n-grams of order 1 where 2 is due"),
        ("\\1-grams:", "\\2-grams:", r"line 6: .* stands where \\1-grams: is due"),
        ("\\end\\\n", "\\end\\\n\n\\data\\\n", r"line 24: .* stands after \\end\\: give one model a file"),
        ("-0.75\t</s>\t0\n", "-0.75\t</p>\t0\n", r"line 11: </s> is not among the 5 unigrams"),
        ("ngram 1=5", "ngram 1=-5", r"line 2: no 'ngram 1=...' line"),
        ("ngram 1=5", f"ngram 1={'9' * 5000}", r"line 2: no 'ngram 1=...' line"),
        ("ngram 2=4", f"ngram {'9' * 5000}=4", r"line 3: .* stands where \\1-grams: is due"),
        ("-0.5\tzé a", "-0_5\tzé a", r"line 16: '-0_5' is no number"),
        ("<s> a zé\n", "<s> a zé\t-0.5\n", r"line 20: an n-gram of the highest order has a back-off weight"),
    ],
)
def test_a_bad_file_is_told_by_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in KENLM
    path = written(tmp_path, KENLM.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        read_arpa(path)


@pytest.mark.parametrize("name", ["model.arpa", "model.arpa.gz"])
def test_wherever_a_file_is_cut_short_it_is_told(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, KENLM, name)
    whole = path.read_bytes()
    shortest = len(whole) - (0 if name.endswith(".gz") else 1)  # without its last line feed it is whole
    for length in range(shortest):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=str(path)) as error:
            read_arpa(path)
        assert error.value.line is not None or length < 100
    path.write_bytes(whole[:shortest])
    assert read_arpa(path)[0] == [b"a", "zé".encode()]


def test_a_damaged_archive_is_told_by_the_last_line_that_can_be_read(tmp_path: Path) -> None:
    lines = [f"-1.{word * 7919}\tw{word}" for word in range(20_000)]
    text = "\n".join(["\\data\\", "ngram 1=20001", "\\1-grams:", "-1\t</s>", *lines, "\\end\\", ""])
    path = written(tmp_path, text, "model.arpa.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"line \d{4,5}: can't be decompressed further"):
        read_arpa(path)
    path.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    with pytest.raises(DataError, match=r"can't be decompressed further .*CRC"):
        read_arpa(path)


def test_other_encodings_are_told(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_bytes(KENLM.encode("latin-1"))
    with pytest.raises(DataError, match=r"line 10: the word 'z\ufffd' is no UTF-8: convert the file"):
        read_arpa(path)
    path.write_bytes(KENLM.encode().replace("\ta zé\t".encode(), "\ta zé\t".encode("latin-1")))
    with pytest.raises(DataError, match=r"line 15: 'z\ufffd' is not among the unigrams"):
        read_arpa(path)
    path.write_bytes(KENLM.encode("utf-16"))
    with pytest.raises(DataError, match="no ARPA file"):
        read_arpa(path)


@pytest.mark.parametrize("order", [1, 2])
def test_a_second_one_far_away_is_told(order: int, tmp_path: Path) -> None:
    words = [f"w{word}" for word in range(70_000)]
    words[-1] = words[3] if order == 1 else words[-1]
    pairs = [f"-1\tw0 {word}" for word in [*words[:-1], "w3"]]
    text = ["\\data\\", "ngram 1=70001", "ngram 2=70000", "\\1-grams:", "-1\t</s>", *(f"-1\t{word}" for word in words)]
    text += ["\\2-grams:", *pairs, "\\end\\", ""]
    gram, first, last = ("w3", 9, 70_005) if order == 1 else ("w0 w3", 70_010, 140_006)
    with pytest.raises(DataError, match=f"line {last}: n-gram '{gram}' stands on line {first} already"):
        read_arpa(written(tmp_path, "\n".join(text)))


def test_kenlm_reads_what_is_written_and_scores_alike(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    rng = np.random.default_rng(1)
    words, model = read_arpa(written(tmp_path, KENLM))
    write_arpa(tmp_path / "again.arpa", model, lambda symbol: words[symbol - FIRST_WORD].decode())
    peer = kenlm.Model(str(tmp_path / "again.arpa"))
    for _ in range(50):
        text = rng.integers(A, ZE + 2, rng.integers(0, 9)).tolist()
        sentence = " ".join((["a", "zé", "other"])[symbol - A] for symbol in text)
        theirs = list(peer.full_scores(sentence))
        assert log10s(model, text)[1:] == pytest.approx([score[0] for score in theirs], abs=1e-5)
        ids = np.array([BEGIN, *text, END], np.uint32)
        assert Automaton.of(model).orders(ids, np.array([0, len(ids)]))[1:].tolist() == [score[1] for score in theirs]
