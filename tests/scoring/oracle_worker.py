"""Prints codebleu's data-flow match of each pair in a JSON file; run under one PYTHONHASHSEED."""

import json
import logging
import sys

from codebleu.dataflow_match import corpus_dataflow_match

from hf_structdistill.structure.languages import get_language

if __name__ == "__main__":
    logging.disable(logging.WARNING)
    with open(sys.argv[1]) as file:
        language, pairs = json.load(file)
    grammar = get_language(language).grammar
    scores = [corpus_dataflow_match([[reference]], [text], language, grammar) for text, reference in pairs]
    sys.stdout.write(json.dumps(scores))
