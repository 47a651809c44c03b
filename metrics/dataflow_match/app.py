"""The Space's page: a prediction, a reference, their scores, and the README below."""

from pathlib import Path

import evaluate
import gradio

metric = evaluate.load("dataflow_match.py")


def score(prediction, reference, mode):
    return metric.compute(predictions=[prediction], references=[reference], mode=mode)


page = gradio.Interface(
    score,
    inputs=[
        gradio.Code("def f(a, b):\n    return a - b", language="python", label="Prediction"),
        gradio.Code("def g(x, y):\n    return x + y", language="python", label="Reference"),
        gradio.Radio(["strict", "codexglue"], value="strict", label="Mode"),
    ],
    outputs=gradio.JSON(label="Scores"),
    title="Data-flow match",
    article=Path(__file__).with_name("README.md").read_text(encoding="utf-8").split("---\n", 2)[2],
)

if __name__ == "__main__":
    page.launch()
