"""Name attention reads what the model really attends with, whatever the architecture, and trains it."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    Lfm2Config,
    Lfm2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.modeling_utils import AttentionInterface

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from hf_structdistill.compat import AttentionRecorder, attention_layers
from hf_structdistill.errors import InputError
from hf_structdistill.structure import TokenBytes

from . import tiny


def gpt2():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=600, n_embd=32, n_layer=2, n_head=4, n_positions=1024))


def qwen3():
    torch.manual_seed(0)
    return Qwen3ForCausalLM(
        Qwen3Config(vocab_size=600, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=2, head_dim=8)
    )  # fmt: skip


def gemma3():
    """The first layer with a window of 4 tokens, the last without."""
    torch.manual_seed(0)
    return Gemma3ForCausalLM(
        Gemma3TextConfig(vocab_size=600, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, head_dim=8, sliding_window=4,
                         layer_types=["sliding_attention", "full_attention"])
    )  # fmt: skip


def lfm2():
    """Attention between two convolutions."""
    torch.manual_seed(0)
    return Lfm2ForCausalLM(
        Lfm2Config(vocab_size=600, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
                   num_key_value_heads=2, layer_types=["conv", "full_attention", "conv"])
    )  # fmt: skip


@pytest.mark.parametrize("make", [tiny.student, gpt2, qwen3, gemma3])
@pytest.mark.parametrize("layer", [-1, 0])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_what_is_recorded_is_what_the_model_attends_with(make, layer, implementation):
    model = make().eval()
    ids = torch.randint(3, 500, (2, 9), generator=torch.Generator().manual_seed(1))
    model.set_attn_implementation(implementation)
    recorder = AttentionRecorder(model, attention_layers(model)[layer])
    with recorder.listening():
        logits = model(ids).logits
    seen = recorder.read(training=False)
    keys = seen.keys.repeat_interleave(seen.queries.size(1) // seen.keys.size(1), dim=1)
    hidden = torch.ones(9, 9, dtype=torch.bool).triu(1)
    if seen.window is not None:
        hidden |= torch.ones(9, 9, dtype=torch.bool).tril(-seen.window)
    weights = (seen.queries @ keys.transpose(2, 3) * seen.scaling).masked_fill(hidden, -torch.inf).softmax(-1)
    model.set_attn_implementation("eager")
    theirs = model(ids, output_attentions=True)
    torch.testing.assert_close(weights, theirs.attentions[layer])
    torch.testing.assert_close(logits, theirs.logits)


def test_the_attention_functions_are_as_before_also_after_an_error():
    model, before = tiny.student(), dict(AttentionInterface._global_mapping)
    with pytest.raises(RuntimeError), AttentionRecorder(model, 1).listening():
        raise RuntimeError
    assert AttentionInterface._global_mapping == before
    model.set_attn_implementation("eager")
    with AttentionRecorder(model, 1).listening():
        pass
    assert AttentionInterface._global_mapping == before


def train(folder, model=None, **options):
    settings = {**tiny.ALL_OFF, "attention_coef": 1.0, "structure_schedule": "constant", **options}
    trainer = StructureAwareTrainer(
        model=model or tiny.student(),
        args=StructureAwareConfig(**tiny.settings(folder, **settings)),
        train_dataset=tiny.dataset(16),
        processing_class=tiny.tokenizer(),
    )
    trainer.train()
    return trainer


def test_only_layers_that_attend_are_looked_at(tmp_path):
    assert attention_layers(gemma3()) == [0, 1] and attention_layers(lfm2()) == [1]
    log = train(tmp_path, model=lfm2(), max_steps=1).state.log_history
    assert any(entry.get("attention", 0) > 0 for entry in log)
    with pytest.raises(InputError, match=r"attends \(1\).* between -1 and -1; found 2"):
        train(tmp_path, model=lfm2(), attention_layer=2)


def test_training_makes_heads_look_for_names(tmp_path):
    log = train(tmp_path, max_steps=30, learning_rate=1e-2).state.log_history
    losses = [entry["attention"] for entry in log if "attention" in entry]
    assert sum(losses[-4:]) < 0.6 * sum(losses[:4])


def test_checkpointing_of_activations_gives_the_same_training(tmp_path):
    """A head that looks for names learns in the recomputed forward as in the kept one."""
    plain = train(tmp_path / "plain", max_steps=3)
    checkpointed = train(
        tmp_path / "checkpointed", max_steps=3, activation_checkpointing=True,
        activation_checkpointing_kwargs={"use_reentrant": False},
    )  # fmt: skip
    for ours, theirs in zip(checkpointed.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_reentrant_checkpointing_is_refused(tmp_path):
    with pytest.raises(InputError, match="use_reentrant"):
        train(tmp_path, activation_checkpointing=True, activation_checkpointing_kwargs={"use_reentrant": True})


@pytest.mark.parametrize("share, heads", [(0.5, 2), (0.75, 3), (0.01, 1)])
def test_a_share_of_the_heads(tmp_path, share, heads):
    found = [
        train(tmp_path, max_steps=1, attention_heads=number).state.log_history[0]["attention"]
        for number in (share, heads, heads + 1)
    ]
    assert found[0] == found[1] != found[2]


def test_by_default_all_heads_share_the_task(tmp_path):
    found = [
        train(tmp_path, max_steps=1, **options).state.log_history[0]["attention"]
        for options in ({}, {"attention_heads": None}, {"attention_heads": 4})
    ]
    assert found[0] == found[1] < found[2]  # the mean of the heads' attention finds more than their mean finds


@pytest.mark.parametrize("options, message", [
    ({"attention_layer": 2}, "attends .0, 1.,.* between -2 and -1; found 2"),
    ({"attention_heads": 5}, "at most 4, the heads of the layer; found 5"),
])  # fmt: skip
def test_a_layer_or_heads_that_the_model_lacks_are_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        train(tmp_path, **options)


def name_table():
    words = ["total", " total", "`total", "total(", "tot", "al", " al", "(", "2", "x2", " a b", "é", "\n    total"]
    tokens = [
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(w)[0][0] for w in words
    ]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys([*tokens, *letters]))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    table = TokenBytes.from_tokenizer(tokenizer)
    return lambda *text: table.name_ids([vocabulary[tokens[words.index(word)]] for word in text]).tolist()


def test_a_name_is_known_whatever_stands_around_it():
    names = name_table()
    first, *others = names("total", " total", "`total", "(", "total(", "\n    total")
    assert first > 0 and others == [first, first, 0, first, first]
    assert names("al", " al")[0] == names(" al", "(")[0] > 0
    assert names("tot", "al")[1] == 0  # goes on with the word before it
    assert names("(", "2", " a b") == [0, 0, 0]  # no name; two of them
    assert names("é")[0] > 0 and names("x2")[0] > 0 and names("é")[0] != names("x2")[0]


def test_a_model_with_attention_of_its_own_trains_without_the_term(tmp_path, caplog):
    torch.manual_seed(0)
    own = BloomForCausalLM(BloomConfig(vocab_size=600, hidden_size=32, n_layer=2, n_head=4))
    trainer = train(tmp_path, model=own, structure_weight=1.0, max_steps=1)
    assert list(trainer.objectives) == ["weighted_nll"]
    assert "BloomForCausalLM" in caplog.text and "the term is off" in caplog.text
