"""Java, by the grammar of tree-sitter-java 0.23."""

from .language import Language

LANGUAGE = Language(
    name="java",
    package="tree_sitter_java",
    fence_names=("java", "Java"),
    control_keywords=frozenset(
        "if else for while do break continue return yield try catch finally throw switch case default when "
        "synchronized assert class interface enum record".split()
    ),
    operators=frozenset(
        "+ - * / % ++ -- << >> >>> & | ^ ~ && || ! < <= == != >= > ? -> :: = += -= *= /= %= &= |= ^= <<= >>= >>>= "
        "instanceof new".split()
    ),
    identifiers=frozenset({"identifier", "type_identifier"}),
    comments=frozenset({"line_comment", "block_comment"}),
    strings=frozenset({"string_literal", "character_literal"}),
    literals=frozenset(
        "decimal_integer_literal hex_integer_literal octal_integer_literal binary_integer_literal "
        "decimal_floating_point_literal hex_floating_point_literal true false null_literal".split()
    ),
)
