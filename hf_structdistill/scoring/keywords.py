"""Reserved words per language, as the published weighted n-gram match weighs them (oddities of its lists included)."""

_LISTS = {
    "go": """break case chan const continue default defer else fallthrough false for func go goto if import interface
        map package range return select struct switch true type var""",
    "java": """abstract assert boolean break byte case catch char class const continue default do double else enum
        extends final finally float for goto if implements import instanceof int interface long native new package
        private protected public return short static strictfp super switch synchronized this throw throws transient
        try void volatile while""",
    "javascript": """True await break case catch class const continue debugger default delete do else enum export
        extends false finally for function if implements import in instanceof interface let new null package private
        protected public return static super switch this throw try typeof var void while with yield""",
    "python": """False None True and as assert async await break case class continue def del elif else except finally
        for from global if import in is lambda match nonlocal not or pass raise return try type while with yield""",
    "rust": """as async await block bool break char const continue crate default dyn else enum expr extern f32 f64
        false fn for i128 i16 i32 i64 i8 ident if impl in isize item let lifetime literal loop macro_rules! match meta
        mod move mut pat path pub ref return self static stmt str struct super trait true tt ty type u128 u16 u32 u64
        u8 union unsafe use usize vis where while yield""",
}

KEYWORDS = {language: frozenset(words.split()) for language, words in _LISTS.items()}
