"""The Space's page: a table to type programs into, and the README below it."""

import evaluate
from evaluate.utils import launch_gradio_widget

launch_gradio_widget(evaluate.load("verified_pass_at_k.py"))
