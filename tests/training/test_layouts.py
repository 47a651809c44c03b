"""Every layout SFTTrainer reads: structure is found, and the loss is that of the same tokens prepared by hand."""

import json
import logging

import pytest
import torch
from datasets import Dataset

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from hf_structdistill.errors import InputError

from . import tiny

NUMBER = 6
STRUCTURE = ("nll", "weighted_nll", "dataflow", "ast_path")
BANK = ("alignment", "embedding")


def tokenizer():
    found = tiny.tokenizer()
    found.chat_template = tiny.CHAT_TEMPLATE
    return found


def make_trainer(folder, data, **settings):
    return StructureAwareTrainer(
        model=tiny.student(),
        args=StructureAwareConfig(**tiny.settings(folder, **{**tiny.ALL_ON, **settings})),
        train_dataset=data,
        processing_class=tokenizer(),
    )


def components(trainer, features):
    """Loss and components of one batch, the student untrained."""
    trainer.model.eval()
    batch = trainer.data_collator([dict(feature) for feature in features])
    with torch.no_grad():
        loss = trainer.compute_loss(trainer.model, batch)
    logs = {}
    trainer.log(logs)
    return {"loss": loss.item(), **{name.removeprefix("eval_"): value for name, value in logs.items()}}


def own_components(trainer):
    columns = [name for name in ("input_ids", "labels", "seq_lengths") if name in trainer.train_dataset.column_names]
    return components(trainer, trainer.train_dataset.select_columns(columns))


def assert_same(found, expected, names):
    for name in names:
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name


def ids_of(text):
    return tokenizer()(text)["input_ids"]


def by_hand(prompt, completion, *, supervise_prompt=False):
    """Ids and labels of an example, and its completion, from which the bank is made."""
    ids, start = ids_of(prompt + completion), len(ids_of(prompt))
    return {"input_ids": ids, "labels": ids if supervise_prompt else [-100] * start + ids[start:]}


def pairs(supervise_prompt=False):
    rows = tiny.rows(NUMBER)
    return [by_hand(row["prompt"], row["completion"] + "<|end|>", supervise_prompt=supervise_prompt) for row in rows]


def chats(supervise_prompt=False):
    rows = tiny.rows(NUMBER)
    heads = [f"<|user|>\n{row['prompt']}<|assistant|>\n" for row in rows]
    tails = [f"{row['completion']}<|end|>" for row in rows]
    return [by_hand(*pair, supervise_prompt=supervise_prompt) for pair in zip(heads, tails, strict=True)]


def messages():
    turns = [[("user", row["prompt"]), ("assistant", row["completion"])] for row in tiny.rows(NUMBER)]
    return Dataset.from_dict({"messages": [[{"role": role, "content": text} for role, text in two] for two in turns]})


def texts():
    return Dataset.from_dict({"text": [row["prompt"] + row["completion"] for row in tiny.rows(NUMBER)]})


def shared_gpt():
    turns = [[("user", row["prompt"]), ("assistant", row["completion"])] for row in tiny.rows(NUMBER)]
    columns = [[{"from": role, "value": text} for role, text in two] for two in turns]
    return Dataset.from_dict({"conversations": columns})


LAYOUTS = {
    "prompt-completion": (lambda: tiny.dataset(NUMBER), {}, pairs),
    "whole pair supervised": (lambda: tiny.dataset(NUMBER), {"completion_only_loss": False}, lambda: pairs(True)),
    "conversational": (lambda: tiny.conversations(NUMBER), {}, chats),
    "conversational, answers only": (
        lambda: tiny.conversations(NUMBER),
        {"assistant_only_loss": True},
        chats,
    ),
    "messages, answers only": (messages, {"assistant_only_loss": True}, chats),
    "messages": (messages, {}, lambda: chats(True)),
    "ShareGPT": (shared_gpt, {}, lambda: chats(True)),
    "text": (texts, {}, lambda: pairs(True)),
    "truncated": (
        lambda: tiny.dataset(NUMBER),
        {"max_length": 250},
        lambda: [{name: column[:250] for name, column in row.items()} for row in pairs()],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_loss_is_that_of_the_same_tokens_prepared_by_hand(layout, tmp_path):
    make_data, settings, prepare = LAYOUTS[layout]
    found = own_components(make_trainer(tmp_path, make_data(), divergence_coef=0.0, **settings))
    completions = [row["completion"] for row in tiny.rows(NUMBER)]
    prepared = Dataset.from_list(
        [{**row, "completion": text} for row, text in zip(prepare(), completions, strict=True)]
    )
    expected = own_components(make_trainer(tmp_path, prepared, divergence_coef=0.0, completion_only_loss=None))
    assert found["code_share"] > 0.1
    assert_same(found, expected, ("loss", *STRUCTURE, *BANK, "code_share"))


def test_divergence_does_not_depend_on_what_is_supervised(tmp_path):
    """The wrong token is met at the same place, whether the prompt is supervised or not, in text and in chat."""
    plain = tiny.dataset(NUMBER, columns=tiny.WITH_REJECTED)
    expected = own_components(make_trainer(tmp_path, plain))["divergence"]
    whole = own_components(make_trainer(tmp_path, plain, completion_only_loss=False))["divergence"]
    assert whole == pytest.approx(expected, rel=1e-6)
    wrong = [[{"role": "assistant", "content": row["rejected"]}] for row in tiny.rows(NUMBER)]
    chat = tiny.conversations(NUMBER).add_column("rejected", wrong)
    answers = make_trainer(tmp_path, chat, assistant_only_loss=True)
    assert answers.data_collator([dict(row) for row in answers.train_dataset])["divergence"].size(0) == NUMBER
    assert own_components(answers)["divergence"] == pytest.approx(
        own_components(make_trainer(tmp_path, chat))["divergence"], rel=1e-6
    )


def test_bare_code_in_a_text_column(tmp_path):
    """No fence, no prompt: the text is code as a whole, and the bank learns it, though nothing stands before it."""
    code = ["def double(x):\n    return 2 * x\n", "def triple(n):\n    m = 3 * n\n    return m\n"]
    trainer = make_trainer(tmp_path, Dataset.from_dict({"text": code}), divergence_coef=0.0)
    found = own_components(trainer)
    assert found["code_share"] > 0.9
    assert found["dataflow"] > 0
    assert trainer.objectives["alignment"].bank.size(0) == 2


def test_no_wrong_completions_is_one_line_in_the_log(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="hf_structdistill.trainer"):
        trainer = make_trainer(tmp_path, tiny.dataset(NUMBER))
    assert "divergence" not in trainer.objectives
    assert [r.getMessage() for r in caplog.records if "term is off" in r.getMessage()] == [
        "divergence_coef is set but the data set has no `rejected` completions: the term is off."
    ]


# ---- rows that hold several examples -------------------------------------------------------------------------------


def cut(row, start, stop):
    return {name: row[name][start:stop] for name in ("input_ids", "labels")}


def test_bfd_split_equals_its_pieces_padded(tmp_path):
    """Each piece of a split example is an example of its own; the first still knows its prompt."""
    data, length = tiny.dataset(NUMBER, columns=tiny.WITH_REJECTED), 300
    packed = make_trainer(tmp_path, data, packing=True, packing_strategy="bfd_split", max_length=length)
    pieces = [cut(row, at, at + length) for row in pairs() for at in range(0, len(row["input_ids"]), length)]
    assert len(pieces) > NUMBER
    expected = components(make_trainer(tmp_path, data), pieces)
    # a piece's first token is predicted by nothing, in a row of its own as in a packed one
    assert_same(own_components(packed), expected, (*STRUCTURE, *BANK, "divergence", "loss"))


@pytest.mark.parametrize("whole", [False, True], ids=["completions", "everything supervised"])
def test_wrapped_rows_know_their_examples(tmp_path, whole):
    """Rows are cut anywhere; where an example ends in them is seen by its labels, or by the end-of-text token."""
    length, examples = 400, pairs(whole)
    data = tiny.dataset(NUMBER, columns=tiny.WITH_REJECTED)
    settings = {"completion_only_loss": not whole}
    wrapped = {"packing": True, "packing_strategy": "wrapped", "max_length": length}
    packed = make_trainer(tmp_path, data, **wrapped, **settings)
    stream = {name: [token for row in examples for token in row[name]] for name in ("input_ids", "labels")}
    ends, at = set(), 0
    for row in examples:
        at += len(row["input_ids"])
        ends.add(at)
    rows = []
    for start in range(0, at, length):
        stop = min(start + length, at)
        marks = [start, *sorted(end for end in ends if start < end < stop), stop]
        lengths = [right - left for left, right in zip(marks, marks[1:], strict=False)]
        rows.append({**cut(stream, start, stop), "seq_lengths": lengths})
    assert max(len(row["seq_lengths"]) for row in rows) > 1
    expected = components(make_trainer(tmp_path, data, **settings), rows)
    assert_same(own_components(packed), expected, ("loss", *STRUCTURE, *BANK, "divergence"))


def test_wrapped_rows_read_as_one_example_would_differ(tmp_path):
    data = tiny.dataset(NUMBER, columns=tiny.WITH_REJECTED)
    packed = make_trainer(tmp_path, data, packing=True, packing_strategy="wrapped", max_length=400)
    found = own_components(packed)
    packed.data_collator.wrapped = False
    assert own_components(packed)["alignment"] != pytest.approx(found["alignment"], rel=1e-5)


# ---- streams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["prompt-completion", "text"])
def test_a_stream_trains_as_the_data_set_does(tmp_path, layout):
    data = tiny.dataset(NUMBER) if layout == "prompt-completion" else texts()
    logs = []
    for source in (data, data.to_iterable_dataset()):
        trainer = make_trainer(
            tmp_path, source, alignment_coef=0.0, embedding_coef=0.0, max_steps=1, per_device_train_batch_size=NUMBER
        )
        trainer.train()
        logs.append(trainer.state.log_history[0])
    assert_same(logs[1], logs[0], ("loss", *STRUCTURE, "code_share"))


@pytest.mark.parametrize(
    "off, words",
    [
        ({"alignment_coef": 0.0, "embedding_coef": 0.0}, ["divergence_coef", "streaming"]),
        ({"divergence_coef": 0.0, "embedding_coef": 0.0}, ["alignment_coef", "finite", "IterableDataset"]),
    ],
)
def test_what_needs_a_pass_over_the_data_refuses_a_stream(tmp_path, off, words):
    stream = tiny.dataset(NUMBER, columns=tiny.WITH_REJECTED).to_iterable_dataset()
    with pytest.raises(InputError) as refused:
        make_trainer(tmp_path, stream, **off)
    assert all(word in str(refused.value) for word in words)


def test_formatting_func(tmp_path):
    """Rows of any columns, made into text: the loss is that of the text column."""
    columns = {
        "question": [row["prompt"] for row in tiny.rows(NUMBER)],
        "answer": [json.dumps(row["completion"]) for row in tiny.rows(NUMBER)],
    }
    trainer = StructureAwareTrainer(
        model=tiny.student(),
        args=StructureAwareConfig(**tiny.settings(tmp_path, **{**tiny.ALL_ON, "divergence_coef": 0.0})),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer(),
        formatting_func=lambda row: row["question"] + json.loads(row["answer"]),
    )
    expected = own_components(make_trainer(tmp_path, texts(), divergence_coef=0.0))
    assert_same(own_components(trainer), expected, ("loss", *STRUCTURE, *BANK))
