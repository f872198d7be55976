"""The recurrent family against its definition: probabilities, streams, torch's own layers, encodings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.models import _recurrent_network
from transferlm.models._recurrent_network import Network
from transferlm.models._stream import StreamReader
from transferlm.models.recurrent import Recurrent
from transferlm.storage import open_folder
from transferlm.text.corpus import Corpus
from transferlm.text.token_store import token_store
from transferlm.text.tokenizers.byte_pair import BytePair
from transferlm.text.tokenizers.character import Character
from transferlm.text.tokenizers.word import Word

TEXTS = ["the film was good and warm", "the room was bad", "the staff"]
CELLS: Sequence[Literal["lstm", "gru", "rnn"]] = ("lstm", "gru", "rnn")


def small(**changes: Any) -> Recurrent:
    settings = {"width": 16, "embedding_width": 12, "epochs": 1, "batch_size": 4, "sequence_length": 8}
    return Recurrent(**{**settings, **changes})


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tokenizer", [Word, Character, lambda: BytePair(vocabulary_size=280)])
def test_probabilities_sum_to_one_and_a_text_is_the_sum_of_its_steps(
    cell: Any, tokenizer: Any, review_texts: list[str]
) -> None:
    model = small(cell=cell, layers=2, tokenizer=tokenizer()).fit(review_texts)
    assert np.exp(model.next_log_probs(["", *TEXTS])).sum(axis=1) == pytest.approx(1.0, abs=1e-9)
    for text, scores in zip(TEXTS[1:], model.token_scores(TEXTS[1:]), strict=True):
        assert model.tokenizer is not None
        tokens = model.tokenizer.encode([text])[0]
        steps = []
        for place, wanted in enumerate([*tokens.ids, model.tokenizer.end_id]):
            before = text[: tokens.offsets[place - 1][1]] if place else ""
            if len(model.tokenizer.encode([before])[0]) != place:
                pytest.skip("a piece of this text ends inside a character")
            steps.append(model.next_log_probs([before])[0][wanted])
        assert scores.log_probs == pytest.approx(steps, abs=1e-5)
    assert model.log_probs(TEXTS) == pytest.approx([s.log_probs.sum() for s in model.token_scores(TEXTS)])


def test_offsets_point_at_the_characters_and_the_end(recurrent: Recurrent) -> None:
    text = TEXTS[0]
    offsets = next(recurrent.token_scores([text])).offsets
    assert [text[a:b] for a, b in offsets[:-1]] == text.split()
    assert offsets[-1].tolist() == [len(text), len(text)]
    assert offsets.dtype == np.int32


def test_a_stream_is_the_concatenated_text(recurrent: Recurrent) -> None:
    streamed = np.concatenate([s.log_probs for s in recurrent.token_scores(TEXTS, context="stream")])
    tokenizer = recurrent.tokenizer
    assert tokenizer is not None
    ids = [tokenizer.end_id]
    for tokens in tokenizer.encode(TEXTS):
        ids += [*tokens.ids.tolist(), tokenizer.end_id]
    with torch.inference_mode():
        states, _ = recurrent.module.states(torch.tensor([ids[:-1]]))
        logs = torch.log_softmax(recurrent.module.logits(states).double(), dim=-1)[0]
    by_hand = logs[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].numpy()
    assert streamed == pytest.approx(by_hand, abs=1e-5)


def test_a_stream_carries_its_state_and_texts_alone_do_not(recurrent: Recurrent) -> None:
    alone = list(recurrent.token_scores(TEXTS))
    stream = list(recurrent.token_scores(TEXTS, context="stream"))
    assert stream[0].log_probs == pytest.approx(alone[0].log_probs, abs=1e-5)
    assert not np.allclose(stream[1].log_probs, alone[1].log_probs, atol=1e-3)
    assert [len(a.log_probs) for a in alone] == [len(s.log_probs) for s in stream]


@pytest.mark.parametrize("context", ["text", "stream"])
def test_scores_stand_in_the_order_of_the_texts_whatever_is_scored_together(
    recurrent: Recurrent, review_texts: list[str], context: Any
) -> None:
    """Texts of all lengths over several windows and batches, each score with its own text's tokens."""
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(review_texts, n)) for n in draw.integers(1, 9, 600)]
    assert recurrent.tokenizer is not None
    found = list(recurrent.token_scores(texts, context))
    assert [s.ids[:-1].tolist() for s in found] == [t.ids.tolist() for t in recurrent.tokenizer.encode(texts)]
    assert all(s.ids[-1] == recurrent.tokenizer.end_id for s in found)
    if context == "text":
        for place in (0, 1, 511, 512, 599):
            alone = next(recurrent.token_scores([texts[place]]))
            assert found[place].log_probs == pytest.approx(alone.log_probs, abs=1e-5)
    else:
        whole = next(recurrent.token_scores(texts[:1], context))
        assert found[0].log_probs == pytest.approx(whole.log_probs, abs=1e-5)


def test_a_streams_windows_leave_no_mark(recurrent: Recurrent, review_texts: list[str], monkeypatch: Any) -> None:
    from transferlm.models import _scored_texts as family

    texts = review_texts * 3
    once = np.concatenate([s.log_probs for s in recurrent.token_scores(texts, "stream")])
    monkeypatch.setattr(family, "windows", lambda given: ([text] for text in given))
    one_by_one = np.concatenate([s.log_probs for s in recurrent.token_scores(texts, "stream")])
    assert one_by_one == pytest.approx(once, abs=1e-5)


@pytest.mark.parametrize("context", ["text", "stream"])
def test_an_endless_stream_is_scored_as_it_comes(recurrent: Recurrent, context: Any) -> None:
    taken = 0

    def endless() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield "the film was good"

    first = list(islice(recurrent.token_scores(endless(), context), 700))
    assert len(first) == 700
    assert taken <= 2048
    assert not torch.is_inference_mode_enabled()


def test_an_unknown_context_is_refused(recurrent: Recurrent) -> None:
    with pytest.raises(SettingError, match="context 'lines': choose text or stream"):
        recurrent.token_scores(TEXTS, "lines")  # type: ignore[arg-type]


def test_one_text_given_bare_is_refused(recurrent: Recurrent) -> None:
    with pytest.raises(TypeError):
        list(recurrent.token_scores("the film"))


def test_texts_longer_than_a_chunk_are_scored_whole(recurrent: Recurrent) -> None:
    long = " ".join(["the film was good"] * 300)
    scores = next(recurrent.token_scores([long, "the film"]))
    streamed = next(recurrent.token_scores([long], context="stream"))
    assert len(scores.log_probs) == 1201
    assert streamed.log_probs == pytest.approx(scores.log_probs, abs=1e-4)


def test_no_texts(recurrent: Recurrent) -> None:
    assert list(recurrent.token_scores([])) == []
    assert list(recurrent.token_scores([], context="stream")) == []
    assert recurrent.next_log_probs([]).shape == (0, recurrent.vocabulary.size)
    assert recurrent.encode([]).features.shape == (0, recurrent.encoding_width)


@pytest.mark.parametrize(("cell", "layer"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
def test_it_is_torchs_own_layer(cell: Any, layer: Any, review_texts: list[str]) -> None:
    model = small(cell=cell, width=12, dropout=0.0).fit(review_texts)
    weights = model.module.state_dict()
    twin = layer(12, 12, batch_first=True)
    twin.load_state_dict({n.removeprefix("layers."): w for n, w in weights.items() if n.startswith("layers.")})
    assert model.tokenizer is not None
    ids = torch.from_numpy(model.tokenizer.encode([TEXTS[0]])[0].ids.astype(np.int64))
    ids = torch.cat([torch.tensor([model.tokenizer.end_id]), ids])
    table = weights["embedding.weight"]
    with torch.inference_mode():
        states, _ = twin(table[ids][None])
        by_hand = torch.log_softmax((states[0, -1] @ table.T + weights["output.bias"]).double(), dim=-1).numpy()
    assert model.next_log_probs([TEXTS[0]])[0] == pytest.approx(by_hand, abs=1e-5)


def test_a_tied_table_is_one() -> None:
    model = small().fit(TEXTS * 20)
    assert model.module.output.weight is model.module.embedding.weight
    untied = small(tied=False).fit(TEXTS * 20)
    assert untied.module.output.weight is not untied.module.embedding.weight


def test_pretraining_lowers_the_loss_on_new_text(make_reviews: Any) -> None:
    texts, _ = make_reviews(150)
    new = [text.rsplit(" ", 1)[0] for text in make_reviews(20, seed=9)[0]]
    short = small(epochs=1, tokenizer=Word(minimum_count=3)).fit(texts)
    long = small(epochs=8, tokenizer=Word(minimum_count=3)).fit(texts)
    scratch = short.untrained(0)
    assert long.log_probs(new).mean() > short.log_probs(new).mean() > scratch.log_probs(new).mean()


def test_the_state_is_carried_from_step_to_step(review_texts: list[str], tmp_path: Path) -> None:
    """Truncation cuts gradients and nothing else: the steps' losses are those of the lanes read in one go."""
    model = small(dropout=0.0).fit(review_texts)
    assert model.tokenizer is not None
    stream = token_store(Corpus(review_texts), model.tokenizer, tmp_path)[: 4 * 32 + 1]
    losses = {}
    for length in (8, 32):
        reader = StreamReader(model.module, stream, lanes=4, steps=length)
        for _ in range(2):  # the second epoch starts anew
            losses[length] = [float(reader.loss(part).detach()) for part in reader.batches(0)]
    assert len(losses[8]) == 4
    assert np.mean(losses[8]) == pytest.approx(losses[32][0], abs=1e-5)


def test_the_same_seed_gives_the_same_model(review_texts: list[str]) -> None:
    def made(seed: int) -> Recurrent:
        torch.rand(3)  # whatever was drawn before must not matter
        return small(layers=2).fit(review_texts, seed)

    assert made(1).fingerprint == made(1).fingerprint != made(2).fingerprint


def test_a_long_context_is_read_in_pieces(recurrent: Recurrent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with a prompt; nor does what is predicted after it change."""

    def after(prompt: str) -> np.ndarray:
        return recurrent._continuation(prompt, np.random.default_rng(0)).log_probs()

    text, longest = " ".join(TEXTS * 5), 0
    whole = recurrent.next_log_probs([text, ""])
    drawn = after(text)
    real = Network.states

    def states(self: Network, ids: torch.Tensor, state: Any = None) -> Any:
        nonlocal longest
        longest = max(longest, ids.shape[1])
        return real(self, ids, state)

    monkeypatch.setattr(Network, "states", states)
    monkeypatch.setattr(_recurrent_network, "_PIECE", 7)
    assert recurrent.next_log_probs([text, ""]) == pytest.approx(whole, abs=1e-6)
    assert after(text) == pytest.approx(drawn, abs=1e-6)
    assert longest == 7


# ------------------------------------------------------------------ as an encoder


def test_an_encoding_does_not_depend_on_its_company(
    recurrent: Recurrent, review_texts: list[str], in_fp32: None
) -> None:
    texts = [*TEXTS, *review_texts, "film"]
    together = recurrent.encode(texts).features
    backwards = recurrent.encode(texts[::-1]).features[::-1]
    alone = np.concatenate([recurrent.encode([text]).features for text in texts])
    assert np.allclose(together, backwards, atol=1e-6)
    assert np.allclose(together, alone, atol=1e-5)
    assert together.dtype == np.float32
    assert together.shape == (len(texts), recurrent.encoding_width)


def test_an_encoding_is_last_maximum_and_mean(recurrent: Recurrent, in_fp32: None) -> None:
    assert recurrent.tokenizer is not None
    ids = [recurrent.tokenizer.end_id, *recurrent.tokenizer.encode(TEXTS)[0].ids.tolist()]
    with torch.inference_mode():
        states = recurrent.module.states(torch.tensor([ids]))[0][0]
    by_hand = torch.cat([states[-1], states.max(dim=0).values, states.mean(dim=0)]).numpy()
    assert recurrent.encode(TEXTS).features[0] == pytest.approx(by_hand, abs=1e-5)


def test_what_was_not_read_is_told(recurrent: Recurrent) -> None:
    recurrent.max_length = 3
    text = "the film was good"
    read = recurrent.encode([text, "the film was"]).read
    assert read.tolist() == [len("the film was") / len(text), 1.0]


def test_an_empty_text_has_a_vector(recurrent: Recurrent) -> None:
    encoding = recurrent.encode(["", "the film"])
    assert np.isfinite(encoding.features).all()
    assert encoding.read[0] == 1.0


def test_layer_groups_hold_everything_that_an_encoding_uses() -> None:
    model = small(layers=3).fit(TEXTS * 20)
    groups = model.layer_groups()
    assert len(groups) == 4
    assert [p.shape[0] for p in groups[0]] == [model.vocabulary.size]
    assert len({id(p) for group in groups for p in group}) == 1 + 3 * 4


# ------------------------------------------------------------------ files and refusals


@pytest.mark.parametrize("tokenizer", [Word, Character, lambda: BytePair(vocabulary_size=280)])
@pytest.mark.parametrize("tied", [True, False])
def test_saved_and_opened_it_scores_the_same(tokenizer: Any, tied: bool, tmp_path: Path) -> None:
    model = small(tokenizer=tokenizer(), tied=tied).fit(TEXTS * 20)
    model.save(tmp_path / "m")
    opened = Recurrent.read(open_folder(tmp_path / "m"))
    assert opened.fingerprint == model.fingerprint
    for one, other in pairwise([list(model.token_scores(TEXTS)), list(opened.token_scores(TEXTS))]):
        assert all(np.array_equal(a.log_probs, b.log_probs) for a, b in zip(one, other, strict=True))
    assert opened.trained


def test_an_untrained_one_says_so_after_opening(recurrent: Recurrent, tmp_path: Path) -> None:
    recurrent.untrained(3).save(tmp_path / "m")
    assert not Recurrent.read(open_folder(tmp_path / "m")).trained


def test_a_wrong_shape_is_named(recurrent: Recurrent, tmp_path: Path) -> None:
    recurrent.save(tmp_path / "m")
    manifest = tmp_path / "m" / "transferlm.json"
    manifest.write_text(manifest.read_text().replace('"width": 16', '"width": 17'))
    with pytest.raises(ModelFolderError, match=r"tensor layers\.weight_ih_l0 has shape \(64, 16\), .* \(68, 16\)"):
        Recurrent.read(open_folder(tmp_path / "m"))


def test_an_unknown_hyper_parameter_is_named(recurrent: Recurrent, tmp_path: Path) -> None:
    recurrent.save(tmp_path / "m")
    manifest = tmp_path / "m" / "transferlm.json"
    manifest.write_text(manifest.read_text().replace('"width": 16', '"depth": 16'))
    with pytest.raises(ModelFolderError, match="has no hyper-parameter 'depth'"):
        Recurrent.read(open_folder(tmp_path / "m"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cell", "transformer"),
        ("layers", 0),
        ("width", 0),
        ("max_length", 0),
        ("epochs", 0),
        ("batch_size", 0),
        ("dropout", 1.0),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingError, match=name):
        Recurrent(**{name: value})  # type: ignore[arg-type]


def test_a_corpus_too_short_for_a_step_is_refused() -> None:
    with pytest.raises(DataError, match="the corpus has 4 tokens, too few to read in 32 lanes"):
        Recurrent().fit(["two words"])


def test_an_empty_corpus_is_refused() -> None:
    with pytest.raises(DataError):
        Recurrent().fit([])


def test_without_text_it_can_not_score() -> None:
    with pytest.raises(DataError, match="has seen no text yet: pretrain it first"):
        Recurrent().token_scores(["text"])


def test_the_vocabulary_tells_whether_it_is_closed(recurrent: Recurrent) -> None:
    assert recurrent.vocabulary.closed
    assert recurrent.vocabulary.name.startswith("word, ")
    assert not small(tokenizer=BytePair(vocabulary_size=280)).fit(TEXTS * 20).vocabulary.closed


@pytest.fixture
def marked(review_texts: list[str]) -> Recurrent:
    """A model whose tokenizer puts marks of its own around a text."""
    words = BytePair(vocabulary_size=300).fit(review_texts).with_marks()
    sizes: Any = {"width": 8, "embedding_width": 8, "epochs": 1, "batch_size": 2, "sequence_length": 16}
    return Recurrent(tokenizer=words, **sizes).fit(review_texts)


def by_hand(model: Recurrent, ids: list[int]) -> np.ndarray:
    """Log-probabilities of each next token, float64 of shape (tokens, vocabulary)."""
    with torch.inference_mode():
        states, _ = model.module.states(torch.tensor([ids]))
        return torch.log_softmax(model.module.logits(states)[0].double(), dim=-1).numpy()


def test_marks_before_a_text_are_read_and_not_predicted_and_its_end_counts_once(marked: Recurrent) -> None:
    reader = marked.tokenizer
    assert reader is not None
    assert len(reader.prefix) == 1
    texts = ["a film", "", "the room was cold"]
    bare = [[*tokens.ids.tolist(), reader.end_id] for tokens in reader.encode_bare(texts)]
    opening = [reader.end_id, *reader.prefix.tolist()]
    for found, ids in zip(marked.token_scores(texts), bare, strict=True):
        assert found.ids.tolist() == ids
        wanted = by_hand(marked, [*opening, *ids[:-1]])[1:][np.arange(len(ids)), ids]
        np.testing.assert_allclose(found.log_probs, wanted, atol=1e-5)
    stream, places = [reader.end_id], []
    for ids in bare:
        stream += reader.prefix.tolist()
        places.append(np.arange(len(stream) - 1, len(stream) - 1 + len(ids)))
        stream += ids
    logs = by_hand(marked, stream[:-1])
    for found, ids, where in zip(marked.token_scores(texts, "stream"), bare, places, strict=True):
        np.testing.assert_allclose(found.log_probs, logs[where, ids], atol=1e-5)


def test_texts_are_drawn_and_encoded_after_marks_as_they_are_scored(marked: Recurrent) -> None:
    reader = marked.tokenizer
    assert reader is not None
    opening = [reader.end_id, *reader.prefix.tolist()]
    ids = [*opening, *reader.encode_bare(["the room"])[0].ids.tolist()]
    np.testing.assert_allclose(marked.next_log_probs(["the room"])[0], by_hand(marked, ids)[-1], atol=1e-5)
    assert marked.tokenize(["the room"])[0].ids.tolist() == ids
    assert marked.windows(["the room"])[0].ids.tolist() == ids
