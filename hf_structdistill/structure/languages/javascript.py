"""JavaScript, by the grammar of tree-sitter-javascript 0.25."""

from .language import Language

LANGUAGE = Language(
    name="javascript",
    package="tree_sitter_javascript",
    fence_names=("javascript", "js", "JavaScript", "jsx", "node"),
    control_keywords=frozenset(
        "if else for while do break continue return yield try catch finally throw switch case default with "
        "async await function class".split()
    ),
    operators=frozenset(
        "+ - * / % ** ++ -- << >> >>> & | ^ ~ && || ?? ! < <= == === != !== >= > ? => ... = += -= *= /= %= **= "
        "&= |= ^= &&= ||= ??= <<= >>= >>>= in instanceof typeof void delete new of".split()
    ),
    identifiers=frozenset(
        "identifier property_identifier private_property_identifier shorthand_property_identifier "
        "shorthand_property_identifier_pattern statement_identifier".split()
    ),
    comments=frozenset({"comment", "html_comment"}),
    strings=frozenset({"string", "template_string"}),
    literals=frozenset({"number", "true", "false", "null", "undefined", "regex"}),
)
