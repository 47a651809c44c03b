"""The Space's page: a candidate, tests, the verdict, and the README below."""

from pathlib import Path

import evaluate
import gradio

metric = evaluate.load("verified_pass_at_k.py")


def score(candidate, tests):
    return metric.compute(predictions=[[candidate]], references=[tests], k=[1], num_workers=1)


page = gradio.Interface(
    score,
    inputs=[
        gradio.Code("def add(a, b):\n    return a + b", language="python", label="Candidate"),
        gradio.Code("assert add(1, 2) == 3", language="python", label="Tests"),
    ],
    outputs=gradio.JSON(label="Verdict"),
    title="Verified pass@k",
    article=Path(__file__).with_name("README.md").read_text(encoding="utf-8").split("---\n", 2)[2],
)

if __name__ == "__main__":
    page.launch()
