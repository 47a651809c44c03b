"""Go, by the grammar of tree-sitter-go 0.25."""

from .language import Language

LANGUAGE = Language(
    name="go",
    package="tree_sitter_go",
    fence_names=("go", "golang", "Go"),
    control_keywords=frozenset(
        "if else for range break continue return goto fallthrough switch case default select defer go func".split()
    ),
    operators=frozenset(
        "+ - * / % ++ -- << >> & &^ | ^ && || ! < <= == != >= > <- := = += -= *= /= %= &= &^= |= ^= <<= >>= ~".split()
    ),
    identifiers=frozenset(
        "identifier type_identifier field_identifier package_identifier blank_identifier label_name".split()
    ),
    comments=frozenset({"comment"}),
    strings=frozenset({"interpreted_string_literal", "raw_string_literal", "rune_literal"}),
    literals=frozenset({"int_literal", "float_literal", "imaginary_literal", "true", "false", "nil", "iota"}),
)
