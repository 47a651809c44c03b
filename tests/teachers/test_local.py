"""TransformersTeacher with a real, tiny model that is made on the spot."""

import shutil

import pytest

from hf_structdistill.errors import InputError
from hf_structdistill.problems import load_problems
from hf_structdistill.teachers.local import TransformersTeacher


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A two-layer Llama that has learnt nothing, with a byte-level tokenizer; its folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<end>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder = tmp_path_factory.mktemp("models") / "tiny-teacher"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        eos_token_id=0,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def ask(folder, count=5, **options):
    problems = load_problems("seed", limit=count)
    teacher = TransformersTeacher(folder, max_tokens=12, device_map=None, **options)
    asked = [(request, problem) for problem in problems for request in teacher.requests(problem)]
    return {request.key: reply for batch in teacher.replies(asked) for request, reply in batch}, asked


def test_every_request_is_answered_and_counted(tiny):
    found, asked = ask(tiny, batch_size=2, temperatures=(0.0, 1.0))
    assert set(found) == {request.key for request, _ in asked} and len(found) == 10
    assert {request.teacher for request, _ in asked} == {"tiny-teacher"}
    for reply in found.values():
        assert reply.prompt_tokens > 100 and 1 <= reply.completion_tokens <= 12
        assert reply.finish_reason == ("length" if reply.completion_tokens == 12 else reply.finish_reason)


def test_greedy_replies_do_not_depend_on_the_batch(tiny):
    one, _ = ask(tiny, batch_size=1, temperatures=(0.0,))
    several, _ = ask(tiny, batch_size=3, temperatures=(0.0,))
    assert {key: reply.text for key, reply in one.items()} == {key: reply.text for key, reply in several.items()}


def test_samples_are_the_same_for_the_same_seed_only(tiny):
    first, _ = ask(tiny, temperatures=(1.0,))
    again, _ = ask(tiny, temperatures=(1.0,))
    other, _ = ask(tiny, temperatures=(1.0,), seed=1)
    assert first == again
    assert sorted(reply.text for reply in first.values()) != sorted(reply.text for reply in other.values())


def test_folders_of_one_name_and_retrained_ones_are_different_teachers(tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    from hf_structdistill.cli._teachers import Asking, make_teachers

    [problem] = load_problems("seed", limit=1)
    one, other = tmp_path / "run_a" / "final", tmp_path / "run_b" / "final"
    for folder in (one, other):
        shutil.copytree(tiny, folder)
    weights = load_file(other / "model.safetensors")
    save_file({name: -tensor for name, tensor in weights.items()}, other / "model.safetensors")

    def requests(*folders):
        teachers = make_teachers([f"local:{folder}" for folder in folders], Asking())
        return [request for teacher in teachers for request in teacher.requests(problem)]

    [first], [second] = requests(one), requests(other)
    assert first.teacher == second.teacher == "final" and first.key != second.key
    assert [request.teacher for request in requests(one, other)] == ["run_a/final", "run_b/final"]
    assert requests(one)[0].key == first.key
    shutil.copy(other / "model.safetensors", one)  # trained on in its folder
    assert requests(one)[0].key == second.key
    with pytest.raises(InputError, match="twice"):
        requests(one, f"{tmp_path}/run_a/../run_a/final")


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="causal language model"):
        ask(str(tmp_path / "nothing"))
