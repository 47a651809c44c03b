"""What the published data-flow extractors do at which node types: one table a language.

Facts about CodeXGLUE's walk as packaged in codebleu 0.7.0, wrong turns included (see docs/metrics.md): node types
that the grammars have since renamed are left out, because the walk never meets them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ...structure.languages import Language

# What to do at a node, in the order in which the walk asks.
DECLARE, ASSIGN, ASSIGN_PAIRED, INCREMENT, CLAUSES_FIRST, BRANCH, FOR_PAIRED, FOR_CLAUSES, FOR_EACH, REPEAT = range(10)


@dataclass(frozen=True)
class Rules:
    """The walk of one language: node type -> action."""

    actions: dict[str, int]
    branch_arms: frozenset[str]
    """BRANCH: children of these types, and with `arms_to_the_end` all behind the first of them, are alternatives."""
    arms_to_the_end: bool = True
    keeps_state_before: bool = False
    """BRANCH: the state before the statement always joins in, even where an else covers everything."""
    again_behind: str = ""
    """FOR_CLAUSES: what follows the child of this type is walked a second time."""
    update_first: bool = False
    """FOR_CLAUSES: the update clause of that child is walked in between."""


_PYTHON = Rules(
    actions={
        "default_parameter": DECLARE,
        "assignment": ASSIGN_PAIRED,
        "augmented_assignment": ASSIGN_PAIRED,
        "for_in_clause": ASSIGN_PAIRED,
        "if_statement": BRANCH,
        "for_statement": FOR_PAIRED,
        "while_statement": REPEAT,
    },
    branch_arms=frozenset({"elif_clause", "else_clause"}),
    arms_to_the_end=False,
)
_JAVA = Rules(
    actions={
        "variable_declarator": DECLARE,
        "assignment_expression": ASSIGN,
        "update_expression": INCREMENT,
        "if_statement": BRANCH,
        "for_statement": FOR_CLAUSES,
        "enhanced_for_statement": FOR_EACH,
        "while_statement": REPEAT,
    },
    branch_arms=frozenset({"if_statement", "else"}),
    again_behind="local_variable_declaration",
)
_JAVASCRIPT = Rules(
    actions={
        "variable_declarator": DECLARE,
        "assignment_pattern": ASSIGN,
        "augmented_assignment_expression": ASSIGN,
        "update_expression": INCREMENT,
        "if_statement": BRANCH,
        "for_statement": FOR_CLAUSES,
        "while_statement": REPEAT,
    },
    branch_arms=frozenset({"if_statement", "else"}),
    keeps_state_before=True,
    again_behind="variable_declaration",
)
_GO = Rules(
    actions={
        "var_spec": DECLARE,
        "assignment_statement": ASSIGN,
        "inc_statement": INCREMENT,
        "if_statement": BRANCH,
        "for_statement": FOR_CLAUSES,
    },
    branch_arms=frozenset({"if_statement", "else"}),
    keeps_state_before=True,
    again_behind="for_clause",
    update_first=True,
)
_RUST = Rules(
    actions={
        "function_item": DECLARE,
        "assignment_expression": ASSIGN,
        "compound_assignment_expr": ASSIGN,
        "if_expression": BRANCH,
        "match_expression": BRANCH,
        "for_expression": FOR_CLAUSES,
        "while_expression": REPEAT,
        "loop_expression": REPEAT,
    },
    branch_arms=frozenset({"if_expression", "match_expression", "else"}),
)
_RULES = {"go": _GO, "java": _JAVA, "javascript": _JAVASCRIPT, "python": _PYTHON, "rust": _RUST}


class KindRules:
    """`Rules` over the integer kinds and fields of the installed grammar."""

    def __init__(self, language: Language) -> None:
        rules = _RULES[language.name]
        names, named, grammar = language.kind_names, language.named_kinds, language.grammar
        self.rules = rules
        self.actions = {k: rules.actions[name] for k, name in names.items() if k in named and name in rules.actions}
        self.loops = frozenset(k for k, action in self.actions.items() if action >= FOR_PAIRED)
        self.arms = frozenset(k for k, name in names.items() if name in rules.branch_arms)
        self.elses = frozenset(k for k, name in names.items() if "else" in name)
        self.whole = frozenset(k for k, n in names.items() if n in ("string", "string_literal", "character_literal"))
        self.comments = frozenset(k for k, name in names.items() if name == "comment")
        self.identifiers = frozenset(k for k, name in names.items() if name == "identifier")
        self.again_behind = frozenset(k for k, name in names.items() if name == rules.again_behind)
        self.commas = frozenset(k for k, name in names.items() if name == ",")
        self.blocks = frozenset(k for k, name in names.items() if name == "block")
        self.comprehension_clauses = (
            frozenset(k for k, name in names.items() if name == "for_in_clause") if language.name == "python" else ()
        )
        self.declares_by_position = language.name == "rust"
        self.texts = names
        self.plain_lengths = {k: len(n) for k, n in names.items() if k not in named and "\n" not in n}
        self.plain_kinds = frozenset(self.plain_lengths) if language.name == "python" else frozenset()
        """Leaves whose text is their type and whose field no rule asks for: what an ASCII program without errors
        need not be asked about."""
        self.marks = frozenset({*self.actions, *self.whole, *self.comprehension_clauses})
        fields = ("name", "value", "left", "right", "body", "update")
        self.fields = {name: grammar.field_id_for_name(name) for name in fields}


@cache
def rules_of(language: Language) -> KindRules:
    return KindRules(language)
