"""The ready tasks: fixed splits without leaks, questions whose answers stand in the text, code that parses."""

import ast
import functools
import re

import pytest

from minigpt import tasks
from minigpt.chat import check_messages, render
from minigpt.corpora import CORPORA, state
from minigpt.questions import WORDINGS, context_of, make_questions
from minigpt.tasks import TASKS, TOPICS, invented_people, load_task
from minigpt.texts import Article, Pair, load_split, split_articles, split_conversations, split_modules

NEEDS = {"en-es": ["tatoeba-en-es"], "chitchat": ["chitchat"], "mixed": ["tatoeba-en-es", "chitchat"]}


def needs(*names):
    missing = [name for name in names if state(CORPORA[name]) not in ("ready", "built in")]
    return pytest.mark.skipif(bool(missing), reason=f"needs `python -m minigpt data fetch {' '.join(missing)}`")


@pytest.fixture(scope="module")
def loaded():
    """load_task(), which remembers; also where the mixture loads the other tasks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "load_task", functools.cache(load_task))
        yield tasks.load_task


SLOW = ("python", "en-es", "chitchat", "mixed")  # 2 to 20 seconds to load; the code they share runs in quick tests too
ALL = [pytest.param(n, marks=[needs(*NEEDS.get(n, [])), *[pytest.mark.long] * (n in SLOW)]) for n in TASKS]


@pytest.mark.parametrize("name", ALL)
def test_every_example_is_a_conversation(loaded, name):
    task = loaded(name)
    assert task.name == name and all(CORPORA[corpus].licence for corpus in task.corpora)
    for part in (task.train, task.validation, task.test):
        assert len(part) >= 80
        for example in part[:200]:
            check_messages(example.messages)
            assert example.messages[-1] == {"role": "assistant", "content": example.target}
            assert [m["role"] for m in example.messages] == ["user", "assistant"] * (len(example.messages) // 2)
            assert example.target.strip() and example.references[0] == example.target
            assert not re.search(r"\{(source|title|context)\}", render(example.messages))


def test_unknown_names_and_lengths():
    with pytest.raises(ValueError, match="no task 'summarise'; choose one of: describe, topics"):
        load_task("summarise")
    with pytest.raises(ValueError, match="source of at most 0: use a larger max_length"):
        load_task("topics", max_length=0)


def test_a_missing_corpus_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="data fetch wikipedia` downloads it"):
        load_task("describe")
    with pytest.raises(FileNotFoundError, match="data fetch chitchat` downloads it"):
        load_task("chitchat")


# Splits


def test_articles_of_a_test_were_never_read():
    read, unread = load_split("wikipedia")
    train, validation, test = split_articles()
    assert all(f"{a.title}\n{a.text}\n" in read for a in train[::50])
    assert all(f"{a.title}\n{a.text}\n" in unread for a in (*validation, *test))
    assert abs(len(validation) - len(test)) <= 1
    assert len({a.title for part in (train, validation, test) for a in part}) == len(train + validation + test)


@pytest.mark.long
@needs("chitchat")
def test_conversations_of_a_test_were_never_read():
    unread = load_split("chitchat")[1]
    train, validation, test = split_conversations()
    assert all("".join(f"{turn}\n" for turn in turns) in unread for turns in (*validation, *test))
    assert len(train) > 8 * len(validation + test)


@pytest.mark.long
def test_modules_of_a_test_were_never_read():
    unread = load_split("python")[1]
    assert all(source in unread for part in split_modules()[1:] for source in part)


def test_another_pythons_library_is_split_alike(tmp_path, monkeypatch):
    """A model may be trained on one version of Python and tested by another, with some modules more or less."""
    monkeypatch.setattr("minigpt.texts.sysconfig.get_paths", lambda: {"stdlib": str(tmp_path)})
    for i in range(300):
        path = tmp_path / f"package{i % 7}" / f"module{i}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"name = {i}\n" * 20, encoding="utf-8")
    read, _, _ = split_modules()
    for i in (0, 17, 150, 299):
        (tmp_path / f"package{i % 7}" / f"module{i}.py").unlink()
        (tmp_path / f"added{i}.py").write_text(f"name = {1000 + i}\n" * 20, encoding="utf-8")
    *_, unread = split_modules()
    assert len(unread) > 10 and not set(unread) & set(read)


def letters(sentence):
    return re.sub(r"[\W_]", "", sentence).casefold() or sentence


@pytest.mark.parametrize("name", [pytest.param("en-es", marks=[needs("tatoeba-en-es"), pytest.mark.long]), "zh-en"])
def test_no_sentence_recurs_across_a_translation_split(loaded, name):
    task = loaded(name)
    parts = (task.train, task.validation, task.test)
    sources = [{letters(e.source) for e in part} for part in parts]
    targets = [{letters(t) for e in part for t in e.references} for part in parts]
    for sides in (sources, targets):
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    for part in parts[1:]:
        assert len({e.source for e in part}) == len(part)  # one example, all references
        assert 2000 <= sum(len(e.references) for e in part) < 2100
        assert sum(len(e.references) > 1 for e in part) > 50


def test_translations_that_share_a_sentence_stay_together(monkeypatch):
    chains = [[(f"a{i}", f"b{i}"), (f"A{i}!", f"c{i}"), (f"d{i}", f"C{i}.")] for i in range(2000)]
    train, validation, test = tasks._translations("en-es", [Pair(*pair) for chain in chains for pair in chain])
    for part in (train, validation, test):
        numbers = [re.sub(r"\D", "", e.source) for e in part]
        assert all(numbers.count(n) == 3 for n in set(numbers[:50]))
    assert len(validation) == len(test) == 2001 and len(train) == 6000 - 4002
    (one,) = tasks._with_references("en-es", [Pair("Go.", "Ve."), Pair("Go.", "Vete.")])
    assert one.references == ("Ve.", "Vete.") and one.target == "Ve."


def test_max_length_keeps_the_split(loaded):
    short = load_task("zh-en", max_length=5)
    assert all(len(e.source) <= 5 for e in short.train)
    assert [e for e in loaded("zh-en").test if len(e.source) <= 5] == short.test


# What is asked


def test_descriptions_ask_for_nothing_the_text_cannot_tell(loaded):
    for example in loaded("describe").test:
        assert not re.search(r"\(\d{3,4}–\d{3,4}\)|\(born \d{4}\)", example.target)
    assert {e.target for e in loaded("topics").train} == set(TOPICS)
    made = [Article("A", "A was a king.", "Ruler (1200–1250)", "People"), Article("B", "B.", "(341–270 BC)", "People")]
    assert [e.target for e in tasks._describe(made)] == ["Ruler", "(341–270 BC)"]


MADE = [
    ("Ada King", "Ada King, Countess of Lovelace, was an English mathematician and writer known for work on engines.",
     "English mathematician (1815–1852)", "People",
     {"born": "1815", "died": "1852", "who": "an English mathematician and writer"}),
    ("Ada Yonath", "Ada Yonath is an Israeli crystallographer.", "Israeli scientist (born 1939)", "People",
     {"born": "1939", "who": "an Israeli crystallographer"}),
    ("Oz", "Oz is a city in northern Kansas, United States. The city has a population of about 1,234,567. It was "
     "founded in 1900.", "City", "Geography",
     {"where": "northern Kansas, United States", "population": "1,234,567", "when": "1900"}),
    ("Utopia", "Utopia is a country. Its capital and largest city is Port Moresby. It lies far away.",
     "Country in nowhere", "Geography", {"capital": "Port Moresby"}),
    ("Amaurot", "Amaurot is the capital and largest city of Utopia.", "City", "Geography",
     {"capital of": "Utopia", "where": "Utopia"}),
    ("Sahel", "Sahel is the belt that lies south of the Sahara.", "Region", "Geography", {}),
    ("Emma (novel)", "Emma is a 1815 novel written by the English author J. R. R. Austen. It is long.", "Novel", "Arts",
     {"by whom": "J. R. R. Austen", "when": "1815"}),
    ("Emma (film)", "Emma is a film produced by Walt Disney.", "Film", "Arts", {}),
    ("Tantalum", "Tantalum is a chemical element; it has symbol Ta and atomic number 73. It is named after Tantalus, a "
     "figure.", "Chemical element", "Physical sciences",
     {"symbol": "Ta", "number": "73", "named after": "Tantalus"}),
    ("Common myna", "The common myna is a bird in the family Sturnidae, native to Asia.", "Bird",
     "Biology and health sciences", {"family": "Sturnidae"}),
    ("Virus", "The virus infects members of the family Solanaceae.", "Virus", "Biology and health sciences", {}),
]


@pytest.mark.parametrize("title, text, description, topic, wanted", MADE, ids=[row[0] for row in MADE])
def test_rules_find_what_they_should_and_nothing_else(title, text, description, topic, wanted):
    article = Article(title, text, description, topic)
    found = {q.kind: q.answer for q in make_questions(article)}
    assert {kind: answer for kind, answer in found.items() if kind != "what"} == wanted


def test_years_stand_again_behind_the_name():
    article = Article("Abu Bakr", "Abu Bakr, born Abd Allah, was a companion.", "First caliph (573–634)", "People")
    assert context_of(article) == "Abu Bakr (573–634), born Abd Allah, was a companion."
    king = Article("Vasa", "Vasa was a king.", "King of Poland (1587–1632), King of Sweden (1592–1599)", "People")
    band = Article("Nirvana", "Nirvana was an American rock band.", "American rock band (1987–1994)", "People")
    for article in (king, band):  # neither bracket is a life
        assert context_of(article) == article.text
        assert not {q.kind for q in make_questions(article)} & {"born", "died"}
    assert context_of(Article("X", "X was a war.", "War (1914–1918)", "History")) == "X was a war."


def test_questions_read_well():
    (first,) = [q for q in make_questions(Article(*MADE[9][:4])) if q.kind == "family"]
    assert first.wordings[0] == "To which family does the common myna belong?"
    asked = {q.kind: q.wordings for q in make_questions(Article(*MADE[6][:4]))}
    assert asked["by whom"] == ("Who wrote Emma?", "By whom was Emma written?")


def test_every_answer_stands_in_its_context(loaded):
    task = loaded("qa")
    for e in (*task.train, *task.validation, *task.test):
        assert e.context[e.start : e.start + len(e.target)] == e.target and e.kind in WORDINGS
    assert {e.kind for e in task.test} >= {"born", "died", "where", "who", "what"}
    assert not {e.title for e in task.train} & {e.title for e in task.test}


def test_closed_book_asks_known_facts_in_other_words(loaded):
    task = loaded("closed-book")
    trained = {(e.title, e.kind): e for e in task.train}
    for e in (*task.validation, *task.test):
        assert trained[e.title, e.kind].target == e.target and trained[e.title, e.kind].source != e.source
    assert not {(e.title, e.kind) for e in task.validation} & {(e.title, e.kind) for e in task.test}
    assert not any(e.context for e in task.train)


def test_invented_people_are_in_no_article():
    people = invented_people(20)
    read = "".join(load_split("wikipedia"))
    assert len(people) == 60 and people == invented_people(20) and people != invented_people(20, seed=1)
    for e in people:
        assert e.title in e.source and e.title.split()[1] not in read and len(e.messages) == 1


def test_who_speaks_first_is_the_user():
    talk = ["Hi", "Hello", "How?", "Fine", "You?", "Too", "Bye", "Bye bye", "…"]
    examples = tasks._conversations([talk, ["Hello?"], ["Hi", "", "Hi", "Yes"]])
    assert [[m["content"] for m in e.messages] for e in examples] == [talk[:6], talk[6:8]]
    assert [m["role"] for m in examples[0].messages] == ["user", "assistant"] * 3


CODE = '''
class Box:
    @property
    def area(self, scale=1):
        """The area.

        In pixels.
        """

        # width times height
        return (self.w
                * self.h)

    def text(self):
        """A text."""
        return """two
lines"""

def plain(a): return a

def bare():
    """Only words."""
'''


def test_functions_become_prompt_and_body():
    (example,) = tasks._functions([CODE, "not python ("])
    assert example.source == 'def area(self, scale=1):\n    """The area."""\n'
    assert example.target == "    # width times height\n    return (self.w\n            * self.h)\n"


@pytest.mark.long
def test_every_completion_parses(loaded):
    task = loaded("python")
    for example in (*task.train, *task.validation, *task.test):
        ast.parse(example.source + example.target)
        assert example.target.count("\n") <= 20


@pytest.mark.long
@needs("tatoeba-en-es", "chitchat")
def test_the_mixture_holds_every_task_in_several_wordings(loaded):
    task = loaded("mixed")
    for part, most in ((task.train, 3000), (task.test, 100)):
        kinds = [e.kind for e in part]
        assert set(kinds) == set(TASKS) - {"mixed"} and max(map(kinds.count, set(kinds))) <= most
    facts = {(e.title, e.target) for e in task.train if e.kind == "closed-book"}
    assert all((e.title, e.target) in facts for e in task.test if e.kind == "closed-book")
    openings = {e.messages[0]["content"].replace(e.source, "") for e in task.train if e.kind == "en-es"}
    assert len(openings) == 3
    assert not {e.title for e in task.train if e.kind == "qa"} & {e.title for e in task.test if e.kind == "qa"}
