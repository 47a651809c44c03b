"""The published CodeBLEU scores (Ren et al. 2020, arXiv 2009.10297), as the package codebleu 0.7.0 computes them.

Kept equal on purpose, quirks included, so that numbers compare with papers; `strict` mode is what to optimise.
"""
