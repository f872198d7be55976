"""Pseudo-log-likelihood: each token's probability with all others of its text in sight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from transferlm.models._masked_head import MaskedHead
from transferlm.models._masked_language import MaskedBody, hideable
from transferlm.models.base import TokenScores
from transferlm.neural.batching import by_length, collate
from transferlm.progress import Progress
from transferlm.text.tokenizers.base import Tokens
from transferlm.text.windows import windows
from transferlm.text.word_starts import begins_word

__all__ = ["PseudoLikelihood"]


class PseudoLikelihood:
    """Scores texts token by token, each token hidden in a row of its own (Salazar et al. 2020, eq. 1), in fp32.

    Of a text beyond `room` tokens each token is read in the middle of as many as fit, so that texts are scored whole.

    Args:
        body: Gives token states.
        head: Turns them into scores.
        room: Tokens of a text that are read at once.
        whole_words: Hide the later tokens of the same word, too, so that a word's beginning is not given away by its
            end (Kauf & Ivanova 2023, section 3.2, `PLL-word-l2r`).
    """

    def __init__(self, body: MaskedBody, head: MaskedHead, room: int, whole_words: bool) -> None:
        self.body, self.head, self.room, self.whole_words = body, head, room, whole_words
        self.mask_id = hideable(body.tokenizer).mask_id
        self.device = head.bias.device

    def scores(self, texts: Iterable[str]) -> Iterator[TokenScores]:
        """Nats a token, one text after the other, read no further ahead than some thousands of characters."""
        tokenizer = self.body.tokenizer
        with Progress("scoring", unit="tokens") as progress:
            for window in windows(texts, count=64, characters=1 << 13):
                tokens = [tokenizer.bare(t) for t in tokenizer.encode(window)]
                ends = [self._ends(text, t) for text, t in zip(window, tokens, strict=True)]
                logs = self._logs([t.ids for t in tokens], ends, progress)
                for t, own in zip(tokens, logs, strict=True):
                    yield TokenScores(own, t.offsets, t.ids)

    def _ends(self, text: str, tokens: Tokens) -> np.ndarray:
        """For each token, where what is hidden with it ends."""
        places = np.arange(len(tokens))
        if not self.whole_words:
            return places + 1
        starts = np.append(np.flatnonzero(begins_word(text, tokens.offsets)), len(tokens))
        ends: np.ndarray = starts[np.searchsorted(starts, places, side="right")]
        return ends

    def _logs(self, ids: Sequence[np.ndarray], ends: Sequence[np.ndarray], progress: Progress) -> list[np.ndarray]:
        logs = [np.zeros(len(row)) for row in ids]
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        which = np.repeat(np.arange(len(ids)), lengths)
        where = np.concatenate([np.arange(length) for length in lengths])
        for part in by_length(np.minimum(lengths, self.room)[which]):
            rows = list(zip(which[part].tolist(), where[part].tolist(), strict=True))
            found = self._batch([self._hidden(ids[text], place, int(ends[text][place])) for text, place in rows])
            for (text, place), log in zip(rows, found, strict=True):
                logs[text][place] = log
            progress.advance(len(part))
        return logs

    def _hidden(self, ids: np.ndarray, place: int, end: int) -> tuple[np.ndarray, int, int]:
        """The tokens around a place with what is hidden there, where the place is among them, and what stood there."""
        start = max(0, min(place - self.room // 2, len(ids) - self.room))
        row = ids[start : start + self.room].copy()
        row[place - start : max(0, end - start)] = self.mask_id
        prefix, suffix = self.body.tokenizer.prefix, self.body.tokenizer.suffix
        return np.concatenate([prefix, row, suffix]), place - start + len(prefix), int(ids[place])

    @torch.inference_mode()
    def _batch(self, rows: Sequence[tuple[np.ndarray, int, int]]) -> np.ndarray:
        batch = collate([ids for ids, *_ in rows], np.arange(len(rows)), self.body.tokenizer.pad_id, self.device)
        places, wanted = (torch.tensor([row[i] for row in rows], device=self.device) for i in (1, 2))
        states = self.body.token_states(batch)[torch.arange(len(rows), device=self.device), places]
        scores = self.head(states.float(), self.body.embedding.weight)
        logs: np.ndarray = torch.log_softmax(scores.double(), dim=-1).gather(1, wanted[:, None])[:, 0].cpu().numpy()
        return logs
