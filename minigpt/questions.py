"""Questions about Wikipedia introductions, made by rules, each with its answer's place in the text.

These are not questions that people asked, as in SQuAD (Rajpurkar et al., 2016). Each rule looks for one way in which
introductions state one kind of fact ("is a chemical element; it has symbol …"), and asks for it by template.
A rule would rather stay silent than ask a question that its answer does not answer.
"""

import re
from dataclasses import dataclass

from .texts import Article

# Two wordings for each kind: the first is the usual one, the second tests whether a model knows more than a pattern.
WORDINGS = {
    "born": ("When was {x} born?", "What is the year of birth of {x}?"),
    "died": ("When did {x} die?", "What is the year of death of {x}?"),
    "where": ("Where is {x}?", "In which part of the world can you find {x}?"),
    "capital": ("What is the capital of {x}?", "Which city is the capital of {x}?"),
    "capital of": ("What is {x} the capital of?", "Of which country or region is {x} the capital?"),
    "population": ("What is the population of {x}?", "How many people live in {x}?"),
    "by whom": ("Who {verb} {x}?", "By whom was {x} {participle}?"),
    "when": ("When was {x} {participle}?", "In which year was {x} {participle}?"),
    "named after": ("What is {x} named after?", "Where does {x} have its name from?"),
    "symbol": ("What is the chemical symbol of {x}?", "Which symbol stands for {x} in chemistry?"),
    "number": ("What is the atomic number of {x}?", "How many protons has an atom of {x}?"),
    "family": ("To which family does {x} belong?", "What is the biological family of {x}?"),
    "who": ("Who {be} {x}?", "Say in a few words who {x} {be}."),
    "what": ("What {be} {x}?", "Say in a few words what {x} {be}."),
}

_PAST = {"written": "wrote", "directed": "directed", "composed": "composed", "painted": "painted"}
_PAST |= {verb: verb for verb in ("discovered", "founded", "invented", "designed", "created", "developed", "proposed")}

_WORD = r"(?:[A-Z]\.|[A-ZÀ-ÖØ-ÞĀ-Ž][\w'’-]*)"  # with a capital; an initial has a full stop
_NAME = rf"{_WORD}(?: (?:(?:of|de|del|di|da|von|van|der|la|le|ibn) )*{_WORD})*(?<!\.)\b"
_SIDE = r"(?:the |north\w*[- ]|south\w*[- ]|east\w*[- ]|west\w*[- ]|central |upper |lower )*"
_PLACE = rf"{_SIDE}{_NAME}(?:,(?: {_SIDE}{_NAME}(?![\w ]*,? is)))*(?:,? and {_SIDE}{_NAME})?"
_DATE = (
    r"(?:(?:\d{1,2} )?(?:January|February|March|April|May|June|July|August|September|October|November|December) "
    r"(?:\d{1,2}, )?)?\d{3,4}(?: BCE?)?(?![\d,–%])(?! (?:BC|and|people|years|km|m|by|to|or|species))"
)
_END = r"(?=[,.;]| (?:and|in|on|from|during|for|that|which|who|first|based|starring|set|about|published|between)\b)"
_WORKS = {  # what is made, and the word for making it
    "film": "directed",
    "novel": "written",
    "novella": "written",
    "play": "written",
    "tragedy": "written",
    "book": "written",
    "poem": "written",
    "essay": "written",
    "painting": "painted",
    "fresco": "painted",
    "opera": "composed",
    "ballet": "composed",
    "symphony": "composed",
    "concerto": "composed",
}


_DATED = ("established", "built", "released", "published", "launched", "formed", "opened", "completed", "introduced")


@dataclass(frozen=True)
class Question:
    """A question by rule `kind`, in two wordings, and its answer: context[start : start + len(answer)]."""

    kind: str
    wordings: tuple[str, str]
    context: str
    answer: str
    start: int
    title: str


def context_of(article: Article) -> str:
    """The introduction; a person's years, which the data set took out of it, stand again behind the name.

    Wikipedia writes "Alvar Aalto (1898–1976) was …"; in the data, the years are left in the description only. Where
    that has several brackets, the years are those of reigns; a band's are not a life's.
    """
    years = re.search(r"\((\d{3,4}–\d{3,4}|born \d{4})\)$", article.description)
    name = re.match(r"[^,(\n]{2,80}?(?=,| was | is )", article.text)
    alive = article.topic == "People" and not re.search(r"\(.*\(|\b(?:band|duo|group)\b", article.description)
    if not alive or not years or not name:
        return article.text
    return f"{name[0].rstrip()} {years[0]}{article.text[name.end() :]}"


def make_questions(article: Article) -> list[Question]:
    """All questions that the rules find in an article, at most one of each kind."""
    context = context_of(article)
    name = re.sub(r" \(.*\)$", "", article.title)
    small = name[0].lower() + name[1:]
    if f" {small}" in context or "is a chemical element; it" in context:  # no proper name: no capital
        name = small
    has_article = context.startswith(f"The {name}") or f"he {name} is" in context or f"he {name} was" in context
    the = "the " if has_article else ""
    found = []

    def add(kind: str, match: re.Match | None, group: int = 1, **words: str) -> None:
        if match and match[group] not in name and kind not in (question.kind for question in found):
            words = {"x": the + name} | words
            wordings = tuple(wording.format(**words) for wording in WORDINGS[kind])
            found.append(Question(kind, wordings, context, match[group], match.start(group), article.title))

    first = re.match(r".*?[a-z0-9)”\"]{2}\.(?= [A-Z“\"]|\n|$)", context)  # the first sentence
    first = first[0] if first else context

    def states(pattern: str) -> re.Match | None:
        """The first sentence of this pattern that speaks of the article's subject: "It …", "The city …", its name."""
        for match in re.finditer(rf"\b(It|[Tt]he [a-z]+|(?:The )?{_NAME}(?: [a-z]+)?) {pattern}", context):
            speaks_of = match[1].lower().removeprefix("the ")
            if speaks_of in (name.lower(), "it") or match[1][4:].islower():
                return match
        return None

    if context != article.text:
        add("born", re.search(r"\((?:born )?(\d{3,4})\b", context))
        add("died", re.search(r"\(\d{3,4}–(\d{3,4})\)", context))
    if article.topic != "People":
        _ask_about_works_and_deeds(add, first, states)
    if article.topic == "Geography":
        add(
            "capital of",
            re.match(
                rf"[^.;]*? is the (?:\w+ and )?capital(?: city)?(?: and [a-z -]+)? of ({_PLACE})"
                r"(?=[,.;]| and| in| with)",
                first,
            ),
        )
        add(
            "where",
            re.match(
                rf"(?!.* (?:in|of) the world).*? is (?:an? |the |one of )[^.;,]*?(?<!(?:ou|or)th)(?<![ew]est)(?<!east)"
                rf"(?: in| of) ({_PLACE})(?=[,.;]|$)",
                first,
            ),
        )
        if article.description.startswith("Country"):
            add(
                "capital",
                re.search(
                    rf"\b(?:[Tt]he|[Ii]ts) (?:national |federal )?capital(?:,? (?:and|city)[a-z ,]*)?"
                    rf" is ({_NAME})",
                    context,
                ),
            )
        add(
            "population",
            states(
                r"ha[sd] an? (?:\w+ )?population of "
                r"(?:\w+ |more than )??(\d[\d,.]*\d(?: million| billion)?)"
            ),
            group=2,
        )
    add(
        "named after",
        states(r"(?:is|was) named (?:after|in honou?r of) ([\w'’-]+(?: [\w'’-]+){0,8})(?=[.,;])"),
        group=2,
    )
    if article.topic == "Biology and health sciences":
        add("family", re.search(r"(?<!members) (?:in|of|to) the (?:\w+ )?family ([A-Z]\w+dae|[A-Z]\w+ceae)\b", first))
    element = re.search(r"is a (?:synthetic )?chemical element; it has symbol (\w+) and atomic number (\d+)", first)
    add("symbol", element)
    add("number", element, group=2)
    _ask_what_it_is(add, first, the + name, article.topic == "People")
    return found


def _ask_about_works_and_deeds(add, first: str, states) -> None:
    """Who wrote, painted, founded, discovered … it, and when?"""
    preface = r"(?:(?:the |an? )?(?:[\w’'-]+ ){0,4}?[a-z]{4,} )??"
    if work := re.search(rf"\b(?:is|was) (?:an? |the )(?:(\d{{4}}) )?[^.;]*?\b({'|'.join(_WORKS)})\b", first):
        made = _WORKS[work[2]]
        by = re.search(rf"\b(?:{made}(?: and \w+)?|{work[2]}) by {preface}({_NAME}){_END}", first)
        add("by whom", by, verb=_PAST[made], participle=made)
        if work[1]:
            add("when", work, participle={"directed": "released", "written": "published"}.get(made, made))
    deed = r"was (?:first |originally |officially )?(\w+)"
    if by := states(rf"{deed}(?: in {_DATE})? by {preface}({_NAME})(?=[,.;]| in )"):
        if by[2] in _PAST:
            add("by whom", by, group=3, verb=_PAST[by[2]], participle=by[2])
    if when := states(rf"{deed} (?:in|on) ({_DATE})"):
        if when[2] in {*_PAST, *_DATED}:
            add("when", when, group=3, participle=when[2])


def _ask_what_it_is(add, first: str, name: str, person: bool) -> None:
    """Who or what is it? The noun phrase after "is", up to the word that begins to say more."""
    stop = (
        r"(?:(?:by|that|which|who|whose|where|when|used|located|situated|based|made|found|native|with|such|"
        r"as|in|on|from|for|to|at|is|are|was|were|has|have|had|one|among|any|not|known (?:as|for|by|to))\b|"
        r"\w+(?:ed|ing) (?:by|in|from|to|with|for|on|as|at|the|an?|between|around|of)\b)"
    )
    word = rf"(?!{stop})[\w'’-]+"
    aside = r"(?: \([^)]*\))?(?:, [^.;()]{1,80},)?"
    kind = re.match(
        rf"((?:An? |The )?[^.,;()]{{2,60}}?){aside} (is|are|was|were) ({word}(?: {word}){{1,11}})"
        rf"(?<! and)(?<! or)(?<! of)(?<! the)(?= {stop}|[.,;])",
        first,
    )
    if kind and kind[3].split()[0] in ("a", "an", "the") and len(kind[3].split()) < 3:
        return  # "the process", "a device": true of too many things
    if kind and name.lower() in kind[1].lower() and len(kind[1]) <= len(name) + 4:
        be = kind[2] if person else {"was": "is", "were": "are"}.get(kind[2], kind[2])
        x = re.sub(r"^(An?|The) ", lambda word: word[0].lower(), kind[1])
        add("who" if person else "what", kind, group=3, x=x, be=be)
