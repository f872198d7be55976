"""New tokens for a vocabulary that stays as it is: which pay their way in a text, and what they are made of."""

from __future__ import annotations

import heapq
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from tokenizers import Tokenizer as Library

from transferlm.errors import UnsupportedError
from transferlm.text.tokenizers._library import rebuilt

__all__ = ["NewTokens", "more_merges", "new_words", "whole_words"]

Pair = tuple[int, int]


class NewTokens(NamedTuple):
    """What a vocabulary takes in, behind all that it has.

    Attributes:
        library: The tokenizer with the new tokens; all others keep their numbers.
        pieces: For each new token the old ones that wrote it before: for a word that was unknown, the unknown token.
        shares: For each, how much of what the first of its pieces stood for in the text is now its own: 0 to 1.
    """

    library: Library
    pieces: list[list[int]]
    shares: list[float]


def more_merges(library: Library, texts: Iterable[str], most: int, worth: int) -> NewTokens:
    """Byte-pair encoding goes on where it stopped (Sennrich, Haddow & Birch 2016): the commonest pair is joined.

    Args:
        library: A tokenizer whose model is byte-pair encoding.
        texts: What the pairs are counted in.
        most: New tokens, at the most.
        worth: Tokens that joining a pair must save in the texts: as often as it stands there.
    """
    state = json.loads(library.to_str())
    names: dict[int, str] = {number: name for name, number in library.get_vocab(with_added_tokens=True).items()}
    taken, first = set(names.values()), max(names) + 1
    table = _Pairs(Counter(_words(library, texts)))
    single = table.singles()
    pieces: dict[int, list[int]] = {}
    shares, merges = [], []
    while len(pieces) < most and (best := table.commonest(worth)) is not None:
        (left, right), count = best
        name = names[left] + names[right]
        if name in taken:  # written by another path already
            table.forbid((left, right))
            continue
        new = first + len(pieces)
        names[new] = name
        taken.add(name)
        pieces[new] = [piece for part in (left, right) for piece in pieces.get(part, [part])]
        shares.append(count / max(count, single[pieces[new][0]]))
        merges.append((names[left], names[right]))
        table.join((left, right), new)
    model = state["model"]
    known: list[Any] = model["merges"]
    spaced = bool(known) and isinstance(known[0], str)
    model["merges"] = known + [" ".join(pair) if spaced else list(pair) for pair in merges]
    model["vocab"] = {**model["vocab"], **{names[number]: number for number in pieces}}
    return NewTokens(rebuilt(library, model=model), list(pieces.values()), shares)


def new_words(library: Library, unknown: int, texts: Iterable[str], most: int, worth: int) -> NewTokens:
    """Words that are unknown and stand in the texts at least `worth` times, the commonest first, then by string."""
    counted = {word: count for word, count in _counted(library, texts).items() if library.token_to_id(word) is None}
    ordered = sorted((word for word, count in counted.items() if count >= worth), key=lambda w: (-counted[w], w))[:most]
    total = sum(counted.values()) + 1  # some word is always unknown
    shares = [counted[word] / total for word in ordered]
    return NewTokens(_with_words(library, ordered), [[unknown] for _ in ordered], shares)


def whole_words(library: Library, texts: Iterable[str], most: int, worth: int) -> NewTokens:
    """Words that WordPiece writes in several pieces, or can't write: those that save most tokens first, then by string.

    Further forms of a word begin with it then, as the longest piece that fits is taken first; a word that would keep
    another one of the texts from being written is left out.

    Args:
        library: A tokenizer whose model is WordPiece.
        texts: What the words are counted in.
        most: New tokens, at the most.
        worth: How often a word has to stand in the texts.
    """
    counted = _counted(library, texts)
    written = {word: library.encode(word, add_special_tokens=False).ids for word in counted}
    model = json.loads(library.to_str())["model"]
    unknown, longest = library.token_to_id(model["unk_token"]), model["max_input_chars_per_word"]
    saved = {
        word: counted[word] * max(1, len(ids) - 1)
        for word, ids in written.items()
        if counted[word] >= worth and len(word) <= longest and (len(ids) > 1 or ids == [unknown])
    }
    ordered = sorted(saved, key=lambda word: (-saved[word], word))[:most]
    grown = _with_words(library, ordered)
    while stuck := [
        word
        for word, ids in written.items()
        if ids != [unknown] and grown.encode(word, add_special_tokens=False).ids == [unknown]
    ]:
        left = [word for word in ordered if not any(other != word and other.startswith(word) for other in stuck)]
        assert len(left) < len(ordered), f"no new word begins {stuck}, which can't be written any more"
        ordered, grown = left, _with_words(library, left)
    single: Counter[int] = Counter()
    for word, ids in written.items():
        for token in ids:
            single[token] += counted[word]
    pieces = [written[word] for word in ordered]
    # A word that can't be written may always come.
    shares = [counted[word] / (single[own[0]] + (own[0] == unknown)) for word, own in zip(ordered, pieces, strict=True)]
    return NewTokens(grown, pieces, shares)


def _counted(library: Library, texts: Iterable[str]) -> Counter[str]:
    """How often each word stands in the texts, the tokenizer's own signs left aside.

    Raises:
        UnsupportedError: The tokenizer has no rule for what a word is.
    """
    if library.pre_tokenizer is None:
        raise UnsupportedError("the tokenizer says not where words end (it has no pre-tokenizer): it takes in no words")
    signs = [re.escape(token.content) for token in library.get_added_tokens_decoder().values()]
    parted = re.compile("|".join(sorted(signs, key=len, reverse=True)) or "(?!)")
    counted: Counter[str] = Counter()
    for text in texts:
        for part in filter(None, parted.split(text)):
            normal = library.normalizer.normalize_str(part) if library.normalizer else part
            counted.update(word for word, _ in library.pre_tokenizer.pre_tokenize_str(normal))
    return counted


def _with_words(library: Library, words: Sequence[str]) -> Library:
    """The tokenizer with these words behind all that it has."""
    model = json.loads(library.to_str())["model"]
    first = max(library.get_vocab(with_added_tokens=True).values()) + 1
    model["vocab"] = {**model["vocab"], **{word: first + place for place, word in enumerate(words)}}
    return rebuilt(library, model=model)


def _words(library: Library, texts: Iterable[str]) -> Iterator[tuple[int, ...]]:
    """The tokens of each stretch that no token crosses."""
    for text in texts:
        encoding = library.encode(text, add_special_tokens=False)
        word: list[int] = []
        for token, place, before in zip(encoding.ids, encoding.word_ids, [None, *encoding.word_ids], strict=False):
            if place != before and word:
                yield tuple(word)
                word = []
            word.append(token)
        if word:
            yield tuple(word)


class _Pairs:
    """How often each token stands before each other one within words, kept up while pairs are joined."""

    def __init__(self, words: Counter[tuple[int, ...]]) -> None:
        self.words = [(list(word), count) for word, count in words.items()]
        self.counts: Counter[Pair] = Counter()
        self.places: defaultdict[Pair, set[int]] = defaultdict(set)
        for place, (word, count) in enumerate(self.words):
            for pair in pairwise(word):
                self.counts[pair] += count
                self.places[pair].add(place)
        self.heap = [(-count, pair) for pair, count in self.counts.items()]
        heapq.heapify(self.heap)
        self.forbidden: set[Pair] = set()

    def singles(self) -> Counter[int]:
        """How often each token stands in the text."""
        found: Counter[int] = Counter()
        for word, count in self.words:
            for token in word:
                found[token] += count
        return found

    def commonest(self, least: int) -> tuple[Pair, int] | None:
        """The commonest pair, the first by number of several; None where none stands there so often."""
        while self.heap:
            count, pair = self.heap[0]
            if pair in self.forbidden or -count != self.counts[pair]:
                heapq.heappop(self.heap)
                continue
            return (pair, -count) if -count >= least else None
        return None

    def forbid(self, pair: Pair) -> None:
        """Never offer this pair."""
        self.forbidden.add(pair)

    def join(self, pair: Pair, new: int) -> None:
        """Write `new` wherever the pair stands, from left to right."""
        touched: set[Pair] = set()
        for place in sorted(self.places.pop(pair)):
            word, count = self.words[place]
            for other in pairwise(word):
                self.counts[other] -= count
                touched.add(other)
            word[:] = joined(word, pair, new)
            for other in pairwise(word):
                self.counts[other] += count
                self.places[other].add(place)
                touched.add(other)
        for other in touched:
            if self.counts[other] > 0:
                heapq.heappush(self.heap, (-self.counts[other], other))


def joined(word: list[int], pair: Pair, new: int) -> list[int]:
    """The word with every pair in it written as one token.

    >>> joined([1, 1, 1, 2], (1, 1), 9)
    [9, 1, 2]
    """
    found: list[int] = []
    place = 0
    while place < len(word):
        if tuple(word[place : place + 2]) == pair:
            found.append(new)
            place += 2
        else:
            found.append(word[place])
            place += 1
    return found
