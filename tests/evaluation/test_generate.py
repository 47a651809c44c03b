"""Generation by a student that knows its answers by heart: what comes back must be exactly those."""

import pytest
import torch
from tiny_students import PROBLEMS, answers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from hf_structdistill.errors import InputError
from hf_structdistill.evaluation import bits_per_byte, generate_completions, load_student
from hf_structdistill.evaluation.generate import encode_prompt
from hf_structdistill.evaluation.prompts import choose_format, make_prompts
from hf_structdistill.problems.prompting import student_prompt

PROMPTS = [student_prompt(problem) for problem in PROBLEMS]


def test_completions_stop_after_the_fence_in_prompt_order(good_student):
    texts = generate_completions(str(good_student), None, PROMPTS, max_new_tokens=120, batch_size=3)
    assert [text.rstrip("\n") for text in texts] == [answer.rstrip("\n") for answer in answers()]


def test_without_the_stop_the_student_goes_on_to_its_end_token(good_student):
    texts = generate_completions(good_student, None, PROMPTS[:2], max_new_tokens=120, stop_after_fence=False)
    assert texts == [answer + "And more." for answer in answers()[:2]]


def test_a_batch_gives_what_single_prompts_give(good_student):
    model, tokenizer = load_student(good_student)
    together = generate_completions(model, tokenizer, PROMPTS, max_new_tokens=40, batch_size=4)
    alone = [generate_completions(model, tokenizer, [prompt], max_new_tokens=40)[0] for prompt in PROMPTS]
    assert together == alone


def test_greedy_is_greedy_whatever_the_model_ships(good_student):
    """generate() fills gaps from the model's generation config; Qwen's samples and penalises repetition."""
    model, tokenizer = load_student(good_student)
    before = generate_completions(model, tokenizer, PROMPTS, max_new_tokens=60)
    model.generation_config.update(do_sample=True, temperature=9.0, top_k=3, repetition_penalty=3.0)
    model.generation_config.update(no_repeat_ngram_size=2, min_length=200)
    assert generate_completions(model, tokenizer, PROMPTS, max_new_tokens=60) == before
    sampled = generate_completions(model, tokenizer, PROMPTS, max_new_tokens=60, temperature=0.01)
    assert sampled == before


def test_max_new_tokens_cuts(good_student):
    model, tokenizer = load_student(good_student)
    text = generate_completions(model, tokenizer, PROMPTS[:1], max_new_tokens=5)[0]
    assert len(tokenizer(text)["input_ids"]) == 5
    assert answers()[0].startswith(text)


def test_a_prompt_that_fills_the_context_gets_an_empty_completion(good_student, caplog):
    texts = generate_completions(good_student, None, ["x = 1\n" * 300, PROMPTS[0]], max_new_tokens=120)
    assert texts[0] == ""
    assert texts[1].startswith("1. I write double.")
    assert "1 prompts fill the model's context of 256 tokens" in caplog.text


def test_samples_differ_and_are_reproducible():
    torch.manual_seed(0)
    from tiny_students import train_tokenizer

    tokenizer = train_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    model = LlamaForCausalLM(config).eval()
    options = {"max_new_tokens": 8, "temperature": 1.0, "num_samples": 3}
    first = generate_completions(model, tokenizer, PROMPTS[:2], seed=1, **options)
    assert [len(samples) for samples in first] == [3, 3]
    assert len({text for samples in first for text in samples}) > 1
    assert first == generate_completions(model, tokenizer, PROMPTS[:2], seed=1, **options)
    assert first != generate_completions(model, tokenizer, PROMPTS[:2], seed=2, **options)
    with pytest.raises(InputError, match="temperature above 0"):
        generate_completions(model, tokenizer, PROMPTS[:2], num_samples=2)


def test_progress_counts_every_completion(good_student):
    counts = []
    generate_completions(good_student, None, PROMPTS, max_new_tokens=3, batch_size=3, progress=counts.append)
    assert counts == [3, 4]


def test_an_adapter_folder_answers_like_its_merged_model(good_student, tmp_path):
    from peft import LoraConfig, get_peft_model

    model, tokenizer = load_student(good_student)
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter")
    from_folder = generate_completions(tmp_path / "adapter", None, PROMPTS, max_new_tokens=30)
    merged = generate_completions(adapted.merge_and_unload(), tokenizer, PROMPTS, max_new_tokens=30)
    assert from_folder == merged
    assert from_folder != [answer[: len(text)] for answer, text in zip(answers(), from_folder, strict=True)]


def test_four_bit_student_loads_and_answers(good_student):
    texts = generate_completions(str(good_student), None, PROMPTS[:2], max_new_tokens=8, load_in_4bit=True)
    assert all(texts)


def test_chat_prompts_go_through_the_template(good_student):
    model, tokenizer = load_student(good_student)
    chat = [asked.prompt for asked in make_prompts(PROBLEMS, "chat")]
    with pytest.raises(InputError, match="no chat template"):
        generate_completions(model, tokenizer, chat, max_new_tokens=3)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n\n{% endfor %}"
    texts = generate_completions(model, tokenizer, chat, max_new_tokens=120)
    assert [text.rstrip("\n") for text in texts] == [answer.rstrip("\n") for answer in answers()]


def test_a_prompt_is_tokenized_as_it_stands_before_its_completion(good_student, shared_student):
    for tokenizer in (load_student(good_student)[1], AutoTokenizer.from_pretrained(shared_student)):
        for prompt, answer in zip(PROMPTS, answers(), strict=True):
            ids = encode_prompt(tokenizer, prompt)
            assert tokenizer(prompt + answer)["input_ids"][: len(ids)] == ids
            assert tokenizer.decode(ids) == prompt
            assert tokenizer(prompt)["input_ids"] != ids  # the trap is there
        for prompt in ("no white space", "a space ", "", "\n"):
            assert tokenizer.decode(encode_prompt(tokenizer, prompt)) == prompt


def test_the_card_says_whether_a_student_wants_chat(good_student, tmp_path):
    from hf_structdistill.model_card import write_student_card

    tokenizer = load_student(good_student)[1]
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    tokenizer.save_pretrained(tmp_path)
    assert choose_format(str(tmp_path), "auto") == "chat"
    write_student_card(tmp_path, prompt_format="plain")
    assert choose_format(str(tmp_path), "auto") == "plain"
    assert choose_format(str(tmp_path), "chat") == "chat"
    with pytest.raises(InputError, match="no chat template"):
        choose_format(str(good_student), "chat")


def test_bits_per_byte_is_low_for_what_is_known_by_heart(good_student):
    model, tokenizer = load_student(good_student)
    known = bits_per_byte(model, tokenizer, PROBLEMS, prompts=[p + "1. I write it.\n\n" for p in PROMPTS])
    torch.manual_seed(0)
    fresh = bits_per_byte(LlamaForCausalLM(model.config).eval(), tokenizer, PROBLEMS)
    assert known < fresh / 2
    one_by_one = bits_per_byte(
        model, tokenizer, PROBLEMS, prompts=[p + "1. I write it.\n\n" for p in PROMPTS], batch_size=1
    )
    assert known == pytest.approx(one_by_one, rel=1e-4)


@pytest.mark.parametrize("name", ["/no/such/folder", "./missing", "a/b/c"])
def test_a_missing_model_folder_is_named(name):
    with pytest.raises(InputError, match="does not exist"):
        generate_completions(name, None, PROMPTS)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="neither config.json nor adapter_config.json"):
        load_student(tmp_path)
