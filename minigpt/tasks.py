"""Ready tasks for fine-tuning, each in three parts: load_task("describe").train, .validation, .test.

The split never changes, and nothing of a test set is known from training: what a model pre-trained on
load_split("wikipedia"), ("chitchat") or ("python") has read is in the training part only, and no sentence of a
translation test occurs in its training part, in either language. Licences and attribution are those of the corpora:
get_corpus(name) for each name in `task.corpora`.
"""

import ast
import random
import re
import textwrap
from collections import Counter
from dataclasses import dataclass, replace

from .chat import Message, ask
from .questions import Question, make_questions
from .texts import Article, Pair, load_articles, load_pairs, split_articles, split_conversations, split_modules

# What a user says. The first wording is the one of the task's own messages; "mixed" draws from all.
PROMPTS = {
    "describe": (
        "Describe {title} in a few words:\n{source}",
        "{source}\n\nWhat is {title}, in a few words?",
        "Give a short description of {title}. {source}",
        "{source}\n\nSay that in less than ten words.",
    ),
    "topics": (
        "Which topic does this belong to?\n{source}",
        "{source}\n\nName the topic of this text.",
        "Topic of the article {title}? {source}",
    ),
    "en-es": ("Translate into Spanish: {source}", "{source}\nIn Spanish, please.", "What is the Spanish for: {source}"),
    "zh-en": ("Translate into English: {source}", "{source}\nIn English, please.", "What does this mean: {source}"),
    "qa": ("{context}\n\n{source}", "{source}\n\n{context}", "Answer from the text.\n{context}\nQuestion: {source}"),
    "closed-book": ("{source}", "Question: {source}", "Do you know this? {source}"),
    "python": (
        "Complete this Python function:\n{source}",
        "{source}\n\nWrite the body of this function.",
        "Finish this code.\n{source}",
    ),
}
TASKS = ("describe", "topics", "en-es", "zh-en", "qa", "closed-book", "chitchat", "python", "mixed")
TOPICS = (
    "Arts",
    "Biology and health sciences",
    "Everyday life",
    "Geography",
    "History",
    "Mathematics",
    "People",
    "Philosophy and religion",
    "Physical sciences",
    "Society and social sciences",
    "Technology",
)
TURNS = 6  # how many turns of a conversation make an example


@dataclass(frozen=True)
class Example:
    """What is given and what is asked for, and the same as messages, ready for chat.encode_chat()."""

    source: str  # the article, the sentence, the question, the beginning of the function, what was said so far
    target: str  # its description, topic, translation, answer, body, what is said next
    messages: list[Message]
    references: tuple[str, ...] = ()  # all known good targets, `target` first
    kind: str = ""  # "qa": the rule that made the question; "mixed": the task
    title: str = ""  # Wikipedia: the article's title
    context: str = ""  # "qa": the passage
    start: int = -1  # "qa": the answer is context[start : start + len(target)]


@dataclass(frozen=True)
class Task:
    """The examples of a task, and the names of the corpora that they are from."""

    name: str
    train: list[Example]
    validation: list[Example]
    test: list[Example]
    corpora: tuple[str, ...]


def load_task(name: str, max_length: int | None = None) -> Task:
    """The task of that name, one of TASKS.

    describe     the introduction of a Wikipedia article -> its short description, a person's years taken out
                 (the introductions do not tell them: asking for them would teach a model to invent)
    topics       the introduction -> one of TOPICS
    en-es        an English sentence -> Spanish. Validation and test have one example for each source sentence, with
    zh-en        all its translations as references; in training, each pair is an example
    qa           a question and the introduction as context -> a span of it; questions by rule (questions.py)
    closed-book  a question of "qa" without its context. Every fact of "qa"'s training part is trained in one wording;
                 validation and test ask some of these facts in the other wording. Questions about things that were
                 never read are load_task("qa").test, and about people who never were, invented_people()
    chitchat     six turns of a conversation of two people; who speaks first is the user, who replies the assistant
    python       signature and first docstring line of a standard-library function -> its body; differs between
                 versions of Python as the library does
    mixed        an instruction set from all of these, in several wordings

    max_length leaves out examples with a longer source, in words (zh-en: in characters); the split stays the same.
    Raises ValueError for another name, FileNotFoundError for a corpus that was not fetched.
    """
    makers = {
        "describe": lambda: ([_describe(part) for part in split_articles()], ("wikipedia",)),
        "topics": lambda: ([_topics(part) for part in split_articles()], ("wikipedia",)),
        "en-es": lambda: (_translations("en-es", load_pairs("tatoeba-en-es")), ("tatoeba-en-es",)),
        "zh-en": lambda: (_translations("zh-en", load_pairs("tatoeba-zh-en")), ("tatoeba-zh-en",)),
        "qa": lambda: ([_questions(part) for part in split_articles()], ("wikipedia",)),
        "closed-book": lambda: (_closed_book(split_articles()[0]), ("wikipedia",)),
        "chitchat": lambda: ([_conversations(part) for part in split_conversations()], ("chitchat",)),
        "python": lambda: ([_functions(part) for part in split_modules()], ("python",)),
        "mixed": _mixed,
    }
    if name not in makers:
        raise ValueError(f"There is no task {name!r}; choose one of: {', '.join(TASKS)}.")
    parts, corpora = makers[name]()
    if max_length is not None:
        parts = [[e for e in part if _length(name, e.source) <= max_length] for part in parts]
        if not all(parts):
            raise ValueError(f"No example of {name!r} has a source of at most {max_length}: use a larger max_length.")
    return Task(name, *parts, corpora)


def _length(name: str, source: str) -> int:
    return len(source) if name == "zh-en" else len(source.split())


def _example(task: str, source: str, target: str, references: tuple[str, ...] = (), **more) -> Example:
    messages = ask(_prompt(PROMPTS[task][0], source, **more), target)
    return Example(source, target, messages, references or (target,), **more)


def _prompt(wording: str, source: str, title: str = "", context: str = "", **_) -> str:
    return wording.format(source=source, title=title, context=context)


def _describe(articles: list[Article]) -> list[Example]:
    years = re.compile(r" \((?:(?:c\. |born |died )?\d{1,4}\b[^()]*|[^()]*\bBCE?)\)$")
    short = [(article, years.sub("", article.description)) for article in articles]
    return [_example("describe", a.text, description, title=a.title) for a, description in short if description]


def _topics(articles: list[Article]) -> list[Example]:
    return [_example("topics", a.text, a.topic, title=a.title) for a in articles if a.topic in TOPICS]


def _translations(task: str, pairs: list[Pair]) -> tuple[list[Example], list[Example], list[Example]]:
    """Sentences that translate each other, directly or through others, stay together: the connected components of the
    graph of pairs. They are shuffled; the first with 2,000 pairs together are the test set, the next validation."""

    def key(sentence: str) -> str:  # "Go." and "Go!" count as one sentence
        return re.sub(r"[\W_]+", "", sentence).casefold() or sentence

    parent = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for pair in pairs:
        parent[root(("source", key(pair.source)))] = root(("target", key(pair.target)))
    components: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        components.setdefault(root(("source", key(pair.source))), []).append(pair)
    parts = [], [], []  # training, validation, test
    for component in random.Random(0).sample(list(components.values()), len(components)):
        parts[2 if len(parts[2]) < 2000 else 1 if len(parts[1]) < 2000 else 0].extend(component)
    train, *held_out = parts
    several = [_with_references(task, part) for part in held_out]
    return [_example(task, pair.source, pair.target) for pair in train], *several


def _with_references(task: str, pairs: list[Pair]) -> list[Example]:
    targets: dict[str, list[str]] = {}
    for pair in pairs:
        targets.setdefault(pair.source, []).append(pair.target)
    return [_example(task, source, known[0], references=tuple(known)) for source, known in targets.items()]


def _questions(articles: list[Article]) -> list[Example]:
    questions = [q for article in articles for q in make_questions(article)]
    return [
        _example("qa", q.wordings[0], q.answer, kind=q.kind, title=q.title, context=q.context, start=q.start)
        for q in questions
    ]


def _closed_book(articles: list[Article]) -> tuple[list[Example], list[Example], list[Example]]:
    questions = [q for article in articles for q in make_questions(article)]
    random.Random(0).shuffle(questions)

    def example(question: Question, wording: int) -> Example:
        return _example(
            "closed-book", question.wordings[wording], question.answer, kind=question.kind, title=question.title
        )

    # Half of the facts in each wording, so that both are known; the first 1,000 of the shuffled are asked in the other.
    return (
        [example(q, i % 2) for i, q in enumerate(questions)],
        [example(q, 1 - i % 2) for i, q in enumerate(questions[:500])],
        [example(q, 1 - i % 2) for i, q in enumerate(questions[500:1000])],
    )


def invented_people(count: int = 50, seed: int = 0) -> list[Example]:
    """Closed-book questions about people who never were: what a model answers, it makes up. `target` is empty.

    No article of the corpus "wikipedia" has their family names.
    """
    dice, text = random.Random(seed), "\n".join(article.text for article in load_articles())
    first = ("Ada", "Bruno", "Clara", "Dorian", "Elsa", "Felix", "Greta", "Hugo", "Ines", "Jonas", "Klara", "Leo")
    begin = ("Bram", "Cor", "Dun", "Fal", "Gren", "Hol", "Kest", "Lor", "Mar", "Nor", "Pell", "Quil", "Tarn", "Wex")
    end = ("abeck", "dowell", "ensby", "iforth", "ombrake", "orvane", "uldry", "wickham")
    families = [a + b for a in begin for b in end if a + b not in text]
    people = dice.sample([f"{a} {b}" for a in first for b in families], count)
    questions = ("When was {x} born?", "When did {x} die?", "Who was {x}?")
    asked = [(person, question.format(x=person)) for person in people for question in questions]
    return [Example(question, "", ask(question), title=person) for person, question in asked]


def _conversations(conversations: list[list[str]]) -> list[Example]:
    examples = []
    for turns in conversations:
        for first in range(0, len(turns) - 1, TURNS):
            window = turns[first : first + TURNS]
            window = window[: len(window) // 2 * 2]  # the last word is the assistant's
            if len(turns) < 4 or not all(window):
                continue  # nobody answered, or somebody sent a picture
            messages = [{"role": ("user", "assistant")[i % 2], "content": turn} for i, turn in enumerate(window)]
            examples.append(Example("\n".join(window[:-1]), window[-1], messages, (window[-1],)))
    return examples


def _functions(modules: list[str]) -> list[Example]:
    """Signature and first docstring line -> body. Each pair together is the function again, without the rest of its
    docstring; bodies have at most 20 lines, and a line break ends both parts."""
    examples = []
    for module in modules:
        try:
            tree = ast.parse(module)
        except SyntaxError:  # lib2to3 keeps some files in older Pythons' grammar
            continue
        lines = module.split("\n")
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or len(node.body) < 2:
                continue
            doc = (ast.get_docstring(node) or "").split("\n")[0].strip()
            if not doc or '"' in doc or "\\" in doc or node.body[0].lineno == node.lineno:
                continue
            head = textwrap.dedent("\n".join(lines[node.lineno - 1 : node.body[0].lineno - 1]))
            body = lines[node.body[0].end_lineno : node.end_lineno]
            while body and not body[0].strip():
                del body[0]
            indent = " " * (node.col_offset + 4)
            if not 0 < len(body) <= 20 or not all(line.startswith(indent) for line in body if line.strip()):
                continue
            source = f'{head}\n    """{doc}"""\n'
            target = "\n".join(line[node.col_offset :] for line in body) + "\n"
            if _same_code(source + target, node):
                examples.append(_example("python", source, target))
    return examples


def _same_code(text: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Is this text that function, its decorators and docstring aside?"""
    try:
        ours = ast.parse(text).body[0]
    except SyntaxError:
        return False
    return (type(ours), ours.name, ast.dump(ours.args)) == (type(node), node.name, ast.dump(node.args)) and [
        ast.dump(statement) for statement in ours.body[1:]
    ] == [ast.dump(statement) for statement in node.body[1:]]


def _mixed() -> tuple[list[list[Example]], tuple[str, ...]]:
    """At most 3,000 training examples of each task, 100 for validation and 100 for test, shuffled together; of one
    kind of question no more than a sixth, so that "What is …?" does not drown the others. Closed-book tests ask only
    facts that are trained here."""
    dice, parts, corpora = random.Random(0), ([], [], []), []
    for name in TASKS[:-1]:
        task = load_task(name)
        corpora += [corpus for corpus in task.corpora if corpus not in corpora]
        chosen = [_choose(task.train, 3000, dice)]
        trained = {(e.title, e.kind) for e in chosen[0]}
        for part in (task.validation, task.test):
            known = [e for e in part if name != "closed-book" or (e.title, e.kind) in trained]
            chosen.append(_choose(known, 100, dice))
        for part, examples in zip(parts, chosen, strict=True):
            part += [_reworded(name, example, dice) for example in examples]
    for part in parts:
        dice.shuffle(part)
    return list(parts), tuple(corpora)


def _choose(examples: list[Example], most: int, dice: random.Random) -> list[Example]:
    chosen, kinds = [], Counter()
    for example in dice.sample(examples, len(examples)):
        kinds[example.kind] += 1
        if not example.kind or kinds[example.kind] <= most // 6:
            chosen.append(example)
    return chosen[:most]


def _reworded(name: str, example: Example, dice: random.Random) -> Example:
    if name == "chitchat":
        return replace(example, kind=name)
    prompt = _prompt(dice.choice(PROMPTS[name]), example.source, example.title, example.context)
    return replace(example, kind=name, messages=ask(prompt, example.target))
