"""What is wrong with the brackets and braces of a word that was to be a list or key: value
lines."""

NAMES = {"[": "bracket [", "]": "bracket ]", "{": "brace {", "}": "brace }"}
CLOSING = {"[": "]", "{": "}"}
_QUOTES = "'\""


def unbalanced(word: str) -> str:
    """The first bracket, brace or quote that a word lacks, as words: "a brace } is missing"; ""
    where they are in order."""
    opened: list[str] = []
    quote = ""
    before = ""  # the last sign that is no space
    for sign in word:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in _QUOTES and before in "[{,:":  # elsewhere it is a letter
            quote = sign
        elif sign in CLOSING:
            opened.append(sign)
        elif sign in CLOSING.values():
            if not opened:
                return f"a {NAMES[_opening(sign)]} is missing"
            wanted = CLOSING[opened.pop()]
            if sign != wanted:
                return f"a {NAMES[wanted]} is missing before {sign}"
        if not sign.isspace():
            before = sign
    if quote:
        return f"a quote {quote} is missing"
    if opened:
        return f"a {NAMES[CLOSING[opened[-1]]]} is missing"
    return ""


def _opening(closing: str) -> str:
    return next(sign for sign, other in CLOSING.items() if other == closing)
