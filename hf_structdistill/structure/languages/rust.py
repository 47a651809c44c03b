"""Rust, by the grammar of tree-sitter-rust 0.24."""

from .language import Language

LANGUAGE = Language(
    name="rust",
    package="tree_sitter_rust",
    fence_names=("rust", "rs", "Rust"),
    control_keywords=frozenset(
        "if else for while loop break continue return yield match async await fn unsafe impl trait".split()
    ),
    operators=frozenset(
        "+ - * / % << >> & | ^ && || ! < <= == != >= > ? => .. ..= = += -= *= /= %= &= |= ^= <<= >>= as ref".split()
    ),
    identifiers=frozenset(
        "identifier type_identifier field_identifier shorthand_field_identifier self metavariable".split()
    ),
    comments=frozenset({"line_comment", "block_comment"}),
    strings=frozenset({"string_literal", "raw_string_literal", "char_literal"}),
    literals=frozenset({"integer_literal", "float_literal", "boolean_literal"}),
)
