"""Causal Transformers: `transformers`' own numbers, windows, text vectors, and folders that both libraries open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import transferlm as tl
from transferlm.errors import ModelFolderError
from transferlm.models._window_scorer import WindowScorer
from transferlm.models.causal_transformer import CausalTransformer
from transferlm.text.tokenizers.byte_pair import BytePair

TEXTS = ["the film was good", "", "房间 很好", "a meal " * 30, "the film was good and the room was warm " * 3]


def write_folder(folder: Path, kind: str, template: bool, **settings: Any) -> Path:
    """A folder as `transformers` writes it: random weights large enough to matter, a byte-level tokenizer."""
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedTokenizerFast

    BytePair(vocabulary_size=270).fit(["the film was good", "the room was warm"] * 9).save(folder / "words")
    library = Tokenizer.from_file(str(folder / "words" / "tokenizer.json"))
    library.add_special_tokens(["<s>", "</s>"])
    if template:
        library.post_processor = TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", library.token_to_id("<s>"))]
        )
    PreTrainedTokenizerFast(tokenizer_object=library, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    ends = {"bos_token_id": library.token_to_id("<s>"), "eos_token_id": library.token_to_id("</s>")}
    config = CONFIG_MAPPING[kind](
        vocab_size=library.get_vocab_size() + 5,
        max_position_embeddings=24,
        initializer_range=0.25,
        **{**sizes, **ends, "pad_token_id": None, **settings},
    )
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A GPT-2 whose texts follow an end token, and a Llama whose texts follow a begin token."""
    return {
        "gpt2": write_folder(tmp_path_factory.mktemp("gpt2"), "gpt2", template=False),
        "llama": write_folder(tmp_path_factory.mktemp("llama"), "llama", template=True, num_key_value_heads=1),
    }


@pytest.fixture(params=["gpt2", "llama"])
def both(request: pytest.FixtureRequest, folders: dict[str, Path]) -> tuple[CausalTransformer, Any, Any]:
    """Ours, and `transformers`' model and tokenizer, of one folder."""
    return opened(folders[request.param])


def opened(folder: Path) -> tuple[CausalTransformer, Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ours = tl.load(folder)
    assert isinstance(ours, CausalTransformer)
    return ours, AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def sequence(theirs: Any, text: str) -> list[int]:
    """What a text is predicted as by hand: begin or end token, the text, end token."""
    ids = theirs(text)["input_ids"]
    opening = [] if ids[:1] == [theirs.bos_token_id] else [theirs.eos_token_id]
    return [*opening, *ids, theirs.eos_token_id]


@torch.inference_mode()
def logs_of(model: Any, ids: list[int]) -> np.ndarray:
    """log-softmax after each of the ids, by `transformers` alone: (tokens, vocabulary)."""
    logits = model(torch.tensor([ids])).logits[0].double()
    return torch.log_softmax(logits, dim=-1).numpy()


def in_windows(model: Any, ids: list[int], window: int) -> np.ndarray:
    """Each token's log-probability, window by window: the first whole, then half a window further on each time."""
    found = [logs_of(model, ids[:-1][:window])[np.arange(min(window, len(ids) - 1)), ids[1 : window + 1]]]
    done = min(window, len(ids) - 1)
    while done < len(ids) - 1:
        stop = min(done + window // 2, len(ids) - 1)
        rows = logs_of(model, ids[stop - window : stop])
        found.append(rows[done - stop :, :][np.arange(stop - done), ids[done + 1 : stop + 1]])
        done = stop
    return np.concatenate(found)


# ------------------------------------------------------------------ opened: transformers' own numbers


def test_log_probabilities_are_those_of_transformers(both: tuple[Any, Any, Any]) -> None:
    ours, model, tokenizer = both
    for text, scores in zip(TEXTS, ours.token_scores(TEXTS), strict=True):
        ids = sequence(tokenizer, text)
        assert scores.ids.tolist() == ids[1:]
        assert scores.log_probs == pytest.approx(in_windows(model, ids, 24), abs=1e-5)
        assert scores.log_probs.std() > 0.3 or not text, "the weights say something"


def test_a_stream_goes_on_from_text_to_text(both: tuple[Any, Any, Any]) -> None:
    ours, model, tokenizer = both
    texts = TEXTS * 4
    whole = sequence(tokenizer, texts[0])
    for text in texts[1:]:
        own = sequence(tokenizer, text)
        whole += own[0 if own[0] == tokenizer.bos_token_id else 1 :]
    expected = in_windows(model, whole, 24)
    scored = np.array(whole[1:]) != tokenizer.bos_token_id
    found = np.concatenate([s.log_probs for s in ours.token_scores(texts, "stream")])
    assert found == pytest.approx(expected[scored], abs=1e-5)


def test_a_stream_has_half_a_window_of_context_however_it_is_handed_over(both: tuple[Any, Any, Any]) -> None:
    ours, model, _ = both
    draw = np.random.default_rng(0)
    prefix = ours.tokenizer.prefix
    texts = [draw.integers(3, 250, length).astype(np.int32) for length in (5, 1, 60, 30, 2, 40)]
    scorer = WindowScorer(ours.module, 24, ours._opening(), prefix)
    found = [scored.log_probs for text in texts for scored in scorer.streamed([text])]
    whole = np.concatenate([ours._opening(), texts[0], *[p for text in texts[1:] for p in (prefix, text)]]).tolist()
    scored = np.concatenate([np.arange(len(prefix) + len(text)) >= len(prefix) for text in texts])[len(prefix) :]
    for place, log in zip(np.flatnonzero(scored) + 1, np.concatenate(found), strict=True):
        contexts = range(min(12, place), min(24, place) + 1)
        possible = [logs_of(model, whole[place - length : place])[-1, whole[place]] for length in contexts]
        assert np.abs(np.array(possible) - log).min() < 1e-5


def test_next_tokens_have_the_probabilities_of_transformers(both: tuple[Any, Any, Any]) -> None:
    ours, model, tokenizer = both
    found = ours.next_log_probs(TEXTS)
    assert found.shape == (len(TEXTS), ours.vocabulary.size) == (len(TEXTS), model.config.vocab_size)
    for text, row in zip(TEXTS, found, strict=True):
        assert row == pytest.approx(logs_of(model, sequence(tokenizer, text)[:-1][-24:])[-1], abs=1e-5)


def test_batches_move_no_score(both: tuple[Any, Any, Any]) -> None:
    ours = both[0]
    together = list(ours.token_scores(TEXTS))
    for text, scores in zip(TEXTS, together, strict=True):
        alone = next(ours.token_scores([text]))
        assert scores.log_probs == pytest.approx(alone.log_probs, abs=1e-5)


def test_a_text_vector_is_the_mean_of_states_with_rising_weights(both: tuple[Any, Any, Any], in_fp32: None) -> None:
    ours, model, tokenizer = both
    found = ours.encode(TEXTS)
    ours.adjust(pooling="last")
    last = ours.encode(TEXTS).features
    for row, text in enumerate(TEXTS):
        ids = sequence(tokenizer, text)[:-1][:24]
        with torch.inference_mode():
            states = model.base_model(torch.tensor([ids])).last_hidden_state[0].numpy()
        weights = np.arange(1, len(ids) + 1) / np.arange(1, len(ids) + 1).sum()
        assert found.features[row] == pytest.approx(weights @ states, abs=1e-4)
        assert last[row] == pytest.approx(states[-1], abs=1e-4)
    assert found.read[0] == 1
    assert 0 < found.read[3] < 1


@pytest.mark.parametrize("prompt", ["", "the film", "the room was warm and the film " * 2])
def test_greedy_text_is_that_of_transformers(both: tuple[Any, Any, Any], prompt: str) -> None:
    ours, model, tokenizer = both
    ids = sequence(tokenizer, prompt)[:-1]
    (text,) = ours.sample(prompt, temperature=0, length=max(1, 24 - len(ids)))
    if len(ids) < 24:
        given = torch.tensor([ids])
        barred = sorted(ours._texts("", 1).barred.tolist())
        made = model.generate(
            given, attention_mask=torch.ones_like(given), max_length=24, do_sample=False, suppress_tokens=barred
        )
        assert text == prompt + tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True)


@pytest.mark.parametrize("beams", [2, 4])
def test_beams_are_those_of_transformers(both: tuple[Any, Any, Any], beams: int) -> None:
    ours, model, tokenizer = both
    prompt = "the film"
    given = torch.tensor([sequence(tokenizer, prompt)[:-1]])
    made = model.generate(
        given,
        attention_mask=torch.ones_like(given),
        max_new_tokens=8,
        num_beams=beams,
        num_return_sequences=beams,
        do_sample=False,
        suppress_tokens=sorted(ours._texts("", 1).barred.tolist()),
        pad_token_id=model.config.eos_token_id,
    )
    theirs = [prompt + tokenizer.decode(row[given.shape[1] :], skip_special_tokens=True) for row in made]
    assert ours.sample(prompt, beams, beams=beams, length=8) == theirs


def test_kept_keys_and_values_give_what_reading_anew_would(both: tuple[Any, Any, Any]) -> None:
    ours, model, _ = both
    texts = ours._texts("the film", 2)
    opening, draw = len(texts.ids[0]), np.random.default_rng(0)
    for tokens in draw.integers(3, 250, (60, 2)).tolist():
        texts.take([0, 1], tokens)
        found = texts.log_probs()
        for ids, row in zip(texts.ids, found, strict=True):
            read = ids[-texts.read :]
            assert min(12, len(ids)) <= len(read) <= 24
            assert row == pytest.approx(logs_of(model, read)[-1], abs=2e-5)
    assert len(texts.ids[0]) == opening + 60


def test_texts_side_by_side_may_change_places_end_and_go_on_in_two_ways(both: tuple[Any, Any, Any]) -> None:
    ours, model, _ = both
    texts = ours._texts("the film", 3)
    opening = list(texts.ids[0])
    moves = [([0, 1, 2], [5, 6, 7]), ([2, 0], [8, 9]), ([1, 1, 0], [10, 11, 12]), ([2], [13])]
    wanted = [[*opening, 5], [*opening, 6], [*opening, 7]]
    for place, (rows, tokens) in enumerate(moves):
        texts.take(rows, tokens)
        wanted = wanted if place == 0 else [[*wanted[row], token] for row, token in zip(rows, tokens, strict=True)]
        assert texts.ids == wanted
        for ids, row in zip(wanted, texts.log_probs(), strict=True):
            assert row == pytest.approx(logs_of(model, ids[-24:])[-1], abs=1e-5)


def test_the_first_texts_are_the_same_however_many_are_drawn(both: tuple[Any, Any, Any]) -> None:
    ours = both[0]
    drawn = ours.sample("the film", 5, length=30, seed=3)
    assert len(set(drawn)) == 5
    assert [ours.sample("the film", count, length=30, seed=3) for count in (1, 2)] == [drawn[:1], drawn[:2]]
    assert "".join(ours.sample_pieces("the film", length=30, seed=3)) == drawn[0]


def test_rows_that_no_token_has_are_never_drawn(both: tuple[Any, Any, Any]) -> None:
    ours = both[0]
    barred = ours._texts("", 1).barred
    assert set(range(len(ours.tokenizer), ours.vocabulary.size)) < set(barred.tolist())


def test_what_is_drawn_keeps_the_space_that_sentence_piece_tokens_begin_with(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = write_folder(tmp_path, "llama", template=False)
    words = ["<s>", "</s>", "<unk>", "▁the", "▁film", "▁was"]
    library = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    library.pre_tokenizer, library.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    library.save(str(folder / "tokenizer.json"))
    model: Any = tl.load(folder)
    for prompt, token, text in (("the film", 5, "the film was"), ("", 3, "the")):
        texts = model._texts(prompt, 1)
        texts.take([0], [token])
        assert texts.text(0) == text


def test_gpt2s_activation_is_one_operation_and_the_same_function(folders: dict[str, Path]) -> None:
    ours, theirs, _ = opened(folders["gpt2"])
    assert theirs.config.activation_function == ours.module.config.activation_function == "gelu_new"
    mine, its = (model.transformer.h[0].mlp.act for model in (ours.module, theirs))
    assert type(mine) is torch.nn.GELU
    points = torch.linspace(-8, 8, 1001)
    assert torch.allclose(mine(points), its(points), atol=1e-6)


# ------------------------------------------------------------------ other architectures


SMALL = {"num_key_value_heads": 2, "pad_token_id": 0}
SPECIAL: dict[str, dict[str, Any]] = {
    **{kind: {"head_dim": 16} for kind in ("gemma", "gemma2", "gemma3_text", "glm", "glm4", "helium", "seed_oss")},
    **{kind: {"head_dim": 16} for kind in ("cohere2", "exaone4", "ministral", "qwen3")},
    "codegen": {"rotary_dim": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "gptj": {"rotary_dim": 4},
    "mpt": {"max_seq_len": 24, "d_model": 32, "n_heads": 2, "n_layers": 2},
    "mixtral": {"num_local_experts": 2},
    "opt": {"ffn_dim": 32, "word_embed_proj_dim": 32},
    "qwen2_moe": {"moe_intermediate_size": 32, "shared_expert_intermediate_size": 32, "num_experts_per_tok": 1},
    "qwen3_moe": {"head_dim": 16, "moe_intermediate_size": 32, "num_experts": 2, "num_experts_per_tok": 1},
    "xglm": {"ffn_dim": 32, "attention_heads": 2},
}


@pytest.mark.parametrize("kind", sorted(CausalTransformer.huggingface_types - {"gpt2", "llama"}))
def test_other_decoders_give_transformers_numbers_too(kind: str, tmp_path: Path) -> None:
    ours, model, tokenizer = opened(write_folder(tmp_path, kind, False, **{**SMALL, **SPECIAL.get(kind, {})}))
    for text, scores in zip(TEXTS, ours.token_scores(TEXTS), strict=True):
        assert scores.log_probs == pytest.approx(in_windows(model, sequence(tokenizer, text), 24), abs=2e-5)
    kept = ours._texts("the film", 2)
    for tokens in ([5, 6], [80, 9], [9, 9], [200, 3]):
        kept.take([1, 0], tokens)
    for ids, row in zip(kept.ids, kept.log_probs(), strict=True):
        assert row == pytest.approx(logs_of(model, ids)[-1], abs=2e-5)
    assert ours.encode(TEXTS).features.shape == (len(TEXTS), ours.encoding_width)
    assert len(ours.layer_groups()) == 3
    assert ours.untrained(1).fingerprint != ours.fingerprint


# ------------------------------------------------------------------ folders that are refused


def said(folder: Path, tmp_path: Path, **changes: Any) -> Path:
    """A copy of the folder whose `config.json` says something else."""
    copied = shutil.copytree(folder, tmp_path / "copied")
    config = json.loads((copied / "config.json").read_text(encoding="utf-8"))
    (copied / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")
    return copied


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("llama", {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}, "code of its own"),
        ("llama", {"_attn_implementation": "evil/kernel"}, "code of its own"),
        ("gpt2", {"attn_implementation": "evil/kernel@main"}, "code of its own"),
        ("llama", {"text_config": {"auto_map": {"AutoModel": "evil.Model"}}}, "code of its own"),
        ("gpt2", {"n_layer": 10**13}, "layers, the weights"),
        ("gpt2", {"n_layer": 1}, "tells of 1 layers, the weights hold"),
        ("llama", {"num_hidden_layers": 10**6}, "layers, the weights"),
        ("llama", {"num_key_value_heads": 10**6}, "parameters, the weights hold"),
        ("llama", {"intermediate_size": 10**9}, "parameters, the weights hold"),
        ("gpt2", {"vocab_size": "many"}, "expected int, got str"),
        ("gpt2", {"n_embd": None}, "n_embd"),
        ("gpt2", {"n_embd": -32}, "width -32: give 1 or more"),
        ("llama", {"num_attention_heads": 0}, "modulo by zero"),
        ("llama", {"num_attention_heads": 3}, "not a multiple of the number of attention heads"),
        ("llama", {"pad_token_id": 10**9}, "[Pp]adding"),
        ("llama", {"dtype": "float99"}, "float99"),
        ("gpt2", {"vocab_size": 1}, "has another shape"),
        ("gpt2", {"model_type": ["gpt2"]}, "no family opens model_type"),
    ],
)
def test_hostile_configurations_are_refused_in_one_line(
    kind: str, changes: dict[str, Any], told: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelFolderError, match=told) as refused:
        tl.load(said(folders[kind], tmp_path, **changes))
    assert "copied" in str(refused.value)


# ------------------------------------------------------------------ reading on


@pytest.mark.parametrize("context", ["text", "stream"])
def test_without_steps_dynamic_evaluation_scores_as_the_model_does(both: tuple[Any, Any, Any], context: Any) -> None:
    ours = both[0]
    for segment in (1, 5, 100):
        still = tl.models.Dynamic.of(ours, learning_rate=0.0, segment=segment)
        texts, pairs = list(still.token_scores(TEXTS, context)), list(ours.token_scores(TEXTS, context))
        for text, (found, own) in enumerate(zip(texts, pairs, strict=True)):
            assert np.array_equal(found.ids, own.ids)
            assert np.array_equal(found.offsets, own.offsets)
            # A window that the end cuts short reaches back further, and no reader knows where the end will be.
            short = len(own.ids) > 24 if context == "text" else text == len(TEXTS) - 1
            told = slice(0, -12 if short else None)
            assert found.log_probs[told] == pytest.approx(own.log_probs[told], abs=2e-5)
    assert still.next_log_probs(TEXTS[:3]) == pytest.approx(ours.next_log_probs(TEXTS[:3]), abs=1e-5)


def test_dynamic_evaluation_learns_from_segments_whose_context_stays_as_it_was(both: tuple[Any, Any, Any]) -> None:
    from transformers import DynamicCache

    ours, model, tokenizer = both
    text, rate, decay, segment = TEXTS[4], 0.05, 0.1, 4
    found = next(tl.models.Dynamic.of(ours, learning_rate=rate, decay=decay, segment=segment).token_scores([text]))
    ids, cache, home = torch.tensor([sequence(tokenizer, text)[:24]]), DynamicCache(), list(model.state_dict().values())
    home, wanted = [parameter.detach().clone() for parameter in model.parameters()], []
    for start in range(0, 20, segment):
        part = slice(start, start + segment)
        logits = model(input_ids=ids[:, part], past_key_values=cache, use_cache=True).logits[0]
        chosen = torch.log_softmax(logits, dim=-1).gather(1, ids[0, start + 1 : start + segment + 1, None])
        wanted += chosen[:, 0].tolist()
        model.zero_grad()
        (-chosen.mean()).backward()
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys.detach(), layer.values.detach()
        with torch.no_grad():
            for weight, trained in zip(model.parameters(), home, strict=True):
                weight += decay * (trained - weight) - rate * weight.grad
    assert found.log_probs[:20] == pytest.approx(wanted, abs=1e-4)
    plain = next(ours.token_scores([text])).log_probs
    assert found.log_probs.sum() > plain.sum() + 1
    assert found.log_probs[:segment] == pytest.approx(plain[:segment], abs=1e-5)


def test_gradients_are_measured_and_kept_for_it_too(both: tuple[Any, Any, Any], tmp_path: Path) -> None:
    ours, before = both[0], both[0].fingerprint
    made: Any = tl.updates.DynamicEvaluation(learning_rate=0.002).update(ours, TEXTS * 3)
    assert ours.fingerprint == before
    assert made.log_probs(TEXTS).sum() > ours.log_probs(TEXTS).sum()
    dynamic = tl.models.Dynamic.of(ours, TEXTS, rule="rms", learning_rate=0.002)
    dynamic.save(tmp_path / "m")
    opened: Any = tl.load(tmp_path / "m")
    assert np.array_equal(opened.log_probs(TEXTS), dynamic.log_probs(TEXTS))
