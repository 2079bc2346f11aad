"""Commands and code of the documentation's pages, and how they are run here: in a folder that holds
what a reader would have, with few steps of small models.

1. Every `$ ` line of a ```console block and every ```python block is run, unless `NOT_RUN` says in
   one line why it cannot be.
2. A recipe that comes with the program is shortened by `SHORTENED`, any other command by `CHANGED`.
3. `PAGES` says what a page takes for granted: runs, and commands that a reader has run before.
"""

import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from composed import chorales, tunes
from PIL import Image

from forked import Forks
from genwright.contents.music.midi_write import to_midi
from genwright.contents.music.score import Key, Meter, of_grid
from genwright.contents.music.write import to_musicxml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

NOT_RUN = {
    r"git clone ": "the test runs in what was cloned",
    r"make bench\b": "tests/whole/test_benchmarks.py runs each of them",
    r"make (setup|demo|test|check|docs)\b": (
        "they make or check the very environment of the test; the test of README runs make demo"
    ),
}

LITTLE = (
    "training.steps=2 training.batch_size=4 training.evaluate_every=0 training.precision=fp32 "
    "training.threads=1"
)
TEXT = (
    f"{LITTLE} data.path=notes/ data.context=48 data.held_out=0.1 model.depth=1 model.width=32 "
    "model.heads=2 codec.vocabulary=300 codec.sample=1 sampling.max_tokens=12"
)
PICTURES = f"{LITTLE} data.path=my-pictures/ codec.size=16 data.minimum=4 watching.samples=0"
MUSIC = (
    f"{LITTLE} data.context=64 data.minimum=2 model.depth=1 model.width=16 model.heads=1 "
    "sampling.max_tokens=40 sampling.passes=1"
)
POLICY = (
    f"{LITTLE} objective.candidates=2 objective.rollout.max_tokens=12 watching.samples=0 "
    "training.checkpoint_every=1"
)
# recipe -> settings that make it small; those that the command itself says, stand
SHORTENED = {
    "code": TEXT,
    "docs": TEXT,
    "docs-masked": TEXT.replace(" sampling.max_tokens=12", ""),
    "notes.yaml": TEXT,
    "my.yaml": TEXT,
    "arithmetic-base": f"{LITTLE} model.depth=1 model.width=16 model.heads=1",
    "arithmetic": f"{POLICY} model.depth=1 model.width=16 model.heads=1",
    "my-rl.yaml": f"{POLICY} model.depth=1 model.width=16 model.heads=1",
    "emoji-flow": f"{PICTURES} model.width=8 model.levels=2 sampling.steps=2",
    "emoji-gan": f"{PICTURES} model.generator.width=8 model.discriminator.width=8",
    "emoji-vq": f"{PICTURES} model.width=8 model.codes=16",
    "emoji-codes": (
        f"{LITTLE} data.path=my-pictures/ data.minimum=4 model.depth=1 model.width=16 model.heads=1"
    ),
    "emoji-colour": f"{POLICY} data.path=my-pictures/ objective.rollout.max_tokens=16",
    "sprites-vae": f"{LITTLE} watching.samples=0 data.held_out=0.1 model.width=8 model.units=4",
    "moons-flow": f"{LITTLE} data.points=300 data.held_out=60 watching.samples=0",
    "ring-gan": f"{LITTLE} data.points=300 data.held_out=60 watching.samples=0",
    "chorales": f"{MUSIC} data.path=my-chorales/",
    "chorales-masked": f"{MUSIC} data.path=my-chorales/",
    "chorales-harmony": f"{MUSIC} {POLICY} data.path=my-chorales/ objective.rollout.max_tokens=32",
    "folk-tunes": f"{MUSIC} data.path=my-tunes/",
    "folk-phrases": f"{MUSIC} {POLICY} data.path=my-tunes/",
    "tunes": f"{MUSIC} data.path=my-tunes/",
    "tunes-endings": (  # tunes of a model that knows nothing are all cut
        f"{MUSIC} {POLICY} data.path=my-tunes/ objective.rollout.max_tokens=48 "
        "objective.rollout.truncated=keep"
    ),
    "tunes.yaml": f"{MUSIC} {POLICY} data.path=my-tunes/ objective.rollout.max_tokens=48",
}

# what else is made smaller: a pattern, and what stands in its place
CHANGED = (
    (r"^(genwright audit run .*) -n 2000", r"\1 -n 40"),
    (r"^(genwright train emoji-flow) training.steps=2000", r"\1"),
    (r"^(genwright sample .*) -n (?:1000|42)\b", r"\1 -n 4"),
    (r"^(genwright evaluate .*) --step 240", r"\1 --step 2"),
    (r"^(genwright sample .*) --walk 60", r"\1 --walk 3"),
    (r"^(genwright evaluate .*) --samples 100", r"\1 --samples 3"),
    (r"^(genwright evaluate (?!.*--samples).*)", r"\1 --samples 4"),
    (r"^(genwright reward (?:check|frontier) .*)", r"\1 -n 16"),
    # as two ranks of `Forks`; the test of README starts processes as --processes does
    (r"^torchrun --nproc-per-node 2 -m (.*)", r"\1"),
    (r"^(genwright train .*) --processes 2", r"\1"),
    (r"^(genwright train .* --resume training.steps)=2000", r"\1=3"),
    # of Python
    (r"\bn=2000\b", "n=40"),
    (
        r"values.append\(math.nan\)",
        "values.append(0.0)",
    ),  # what has learned little ends without notes
)
TWO_RANKS = re.compile(r"^torchrun |--processes 2")


@dataclass(frozen=True)
class Page:
    """What a page takes for granted. runs: folder in runs/ -> the recipe that it is of. before:
    commands that the reader has run. covered: the test that runs this page, where another does."""

    runs: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    covered: str = ""


def of(*recipes: str, **others: str) -> dict[str, str]:
    """Runs that are called like their recipe, and others."""
    return {name: name for name in recipes} | others


CORPUS = "genwright data build corpus.yaml --workers 1"
# every page with commands or code
PAGES = {
    "../CONTRIBUTING.md": Page(),
    "../README.md": Page(covered="tests/whole/test_readme.py"),
    "extending.md": Page(covered="tests/whole/test_extending.py"),
    "audits.md": Page(of(mine="folk-tunes", notes="code")),
    "balance.md": Page(),
    "benchmarks.md": Page(),
    "cards.md": Page(of(mine="code"), before=(CORPUS,)),
    "codecs.md": Page(),
    "corpora.md": Page(),
    "data.md": Page(),
    "evaluate.md": Page(of("code", other="docs")),
    "export.md": Page(of("code")),
    "gallery.md": Page(),
    "gaming.md": Page(
        of("arithmetic-base"),
        before=("genwright train my-rl.yaml --from runs/arithmetic-base --until 1",),
    ),
    "how-it-works.md": Page(),
    "images.md": Page(of("emoji-flow", "emoji-gan", "sprites-vae")),
    "index.md": Page(),
    "music.md": Page(of("chorales", "chorales-masked", "folk-tunes")),
    "recipes.md": Page(),
    "resume.md": Page(before=("genwright train code --until 1",)),
    "rewards.md": Page(
        of("folk-tunes", "emoji-codes", "emoji-vq"),
        before=(
            "genwright train folk-phrases --from runs/folk-tunes",
            "genwright train emoji-colour --from runs/emoji-codes",
        ),
    ),
    "sample.md": Page(of("code", "docs-masked")),
    "train.md": Page(of("docs"), before=("genwright export runs/docs --to hf HF_FOLDER",)),
}

OWN_FILES = {
    "my.yaml": "data: {path: notes/, context: 128}\ncodec: {kind: bpe, vocabulary: 2000}\n",
    "words.csv": "he,male\nhim,male\nshe,female\nher,female\n",
    "swaps.csv": "he,she\nhim,her\nhis,her\n",
    "answers.yaml": "limitations: few texts\n",
    "crows_pairs_anonymized.csv": (
        ",sent_more,sent_less,stereo_antistereo,bias_type\n"
        "0,He was late again.,She was late again.,stereo,gender\n"
        "1,She could not drive.,He could not drive.,stereo,gender\n"
        "2,Old people forget names.,Young people forget names.,stereo,age\n"
    ),
    "pro_stereotyped_type1.txt.test": (
        "1 [The driver] called the nurse because [he] was late.\n"
        "2 The driver called [the nurse] because [she] could help.\n"
    ),
    "anti_stereotyped_type1.txt.test": (
        "1 [The driver] called the nurse because [she] was late.\n"
        "2 The driver called [the nurse] because [he] could help.\n"
    ),
    "corpus.yaml": "name: mine\nsources: [{kind: files, path: notes/}]\n",
    "my-rl.yaml": (
        "data: {source: arithmetic, context: 64, held_out: 0.1}\ncodec: characters\n"
        "objective: {kind: policy, rewards: [{measure: right result}],"
        ' rollout: {cut_after: "="}}\n'
    ),
}


def blocks(page: str, *languages: str) -> list[tuple[str, str]]:
    """(language, text) of the code blocks of a page in these languages, in their order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [(language, block) for language, block in found if language in languages]


def commands_of(block: str) -> list[str]:
    """The lines after `$ ` of a console block, without what is said of them."""
    lines = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s+# .*$", "", line) for line in lines]


def pages() -> list[str]:
    """Pages that have a command or code, by their path from docs/."""
    paths = [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    names = [os.path.relpath(path, DOCS) for path in sorted(paths)]
    return [name for name in names if blocks(name, "console", "python", "bash", "sh", "shell")]


def why_not(command: str) -> str:
    """Why a command is not run; "" where it is."""
    for pattern, reason in NOT_RUN.items():
        if re.match(pattern, command):
            return reason
    return ""


def changed(text: str) -> str:
    """A command, or code, with what makes it smaller."""
    for pattern, replacement in CHANGED:
        text = re.sub(pattern, replacement, text)
    return text


def shortened(command: str) -> list[str]:
    """The same command, with few steps of a small model."""
    words = shlex.split(changed(command))
    if words[:2] not in (["genwright", "train"], ["genwright", "inspect"]):
        if words[:3] == ["genwright", "reward", "check"]:
            return [*words, *settings_beside(words, words[4])]
        if words[:3] == ["genwright", "audit", "data"]:
            return [*words, *settings_beside(words, words[3])]
        return words
    if "--resume" in words:
        return words
    return [*words, *settings_beside(words, words[2])]


def settings_beside(words: list[str], recipe: str) -> list[str]:
    """Settings that make a recipe small, without those that the words give."""
    given = {word.partition("=")[0] for word in words if re.match(r"[a-z]+[\w.]*=", word)}
    beside = []
    for setting in SHORTENED.get(recipe, "").split():
        key = setting.partition("=")[0]
        if key not in given and key.partition(".")[0] not in given:
            beside.append(setting)
    return list({setting.partition("=")[0]: setting for setting in beside}.values())


def write_notes(folder: Path) -> None:
    """Short texts of people, some of them code, and pages of the web."""
    dice = np.random.default_rng(0)
    pages = " ".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    words = sorted(set(re.findall(r" ([a-z]{3,9}) ", pages)))
    for number in range(70):
        sentences = []
        for _ in range(int(dice.integers(8, 14)) if number else 2):
            who, whose = (("She", "her"), ("He", "his"))[int(dice.random() < 0.5)]
            one, two, three, four = dice.choice(words, 4)
            sentences.append(f"{who} {one} the {two} of {whose} {three} and was {four} with that.")
        (folder / "notes").mkdir(exist_ok=True)
        (folder / "notes" / f"{number}.txt").write_text("\n".join(sentences) + "\n")
        if number < 55:
            (folder / "reference").mkdir(exist_ok=True)
            text = "\n".join(sentence.replace("He ", "She ") for sentence in sentences)
            (folder / "reference" / f"{number}.txt").write_text(f"{text}\nShe was number {number}.")
        if number < 8:
            for name in ("src", "pages"):
                (folder / name).mkdir(exist_ok=True)
            code = f"def number_{number}():\n    return {number} * {number + 1}\n" * 8
            (folder / "src" / f"{number}.py").write_text(code)
            body = "".join(f"<p>{number} {sentence}</p>" for sentence in sentences)
            page = f"<html><body><article>{body}</article></body></html>"
            (folder / "pages" / f"{number}.html").write_text(page)


def write_pictures(folder: Path) -> None:
    """Faces of two tones with the attributes of emoji, and a single picture."""
    dice = np.random.default_rng(1)
    colours = {"light": (250, 220, 180), "dark": (90, 60, 40)}
    lines = ["file,tone,gender,group,name"]
    for name in ("my-pictures", "my pictures #2"):
        (folder / name).mkdir()
    for number in range(96):
        tone = ("light", "dark")[number % 3 == 0]
        gender = ("woman", "man")[number % 2]
        group = ("smileys-emotion", "food-drink")[number % 4 == 1]
        what = ("face", "heart")[number % 5 == 0]
        values = np.full((16, 16, 3), 255, np.uint8)
        top, left = dice.integers(0, 5, 2)
        values[top : top + 10, left : left + 10] = colours[tone]
        values[15, :, number % 3] = dice.integers(0, 255, 16)  # no two are equal
        picture = Image.fromarray(values)
        picture.save(folder / "my-pictures" / f"{number}.png")
        picture.save(folder / "my pictures #2" / f"{number}.png")
        lines.append(f"{number}.png,{tone},{gender},{group},{what}")
    (folder / "my-pictures" / "attributes.csv").write_text("\n".join(lines) + "\n")
    picture.save(folder / "picture.png")


def write_music(folder: Path) -> None:
    """Tunes, chorales, a melody, and a piece of four voices."""
    tunes(folder / "my-tunes", 16)
    chorales(folder / "my-chorales", 8)
    (folder / "theme.abc").write_text("X:1\nT:Theme\nR:jig\nM:6/8\nL:1/8\nK:G\nGABcde|\n")
    melody = np.repeat([[64], [65], [67], [65]], 4, axis=0)
    voices = np.repeat([[67, 60, 55, 48]], 16 * 8, axis=0)
    metre, key = (Meter(0, 4, 4),), (Key(0, 0, "major"),)
    piece = of_grid(voices, bars=tuple(range(0, 16 * 8, 16)), meters=metre, keys=key)
    (folder / "melody.musicxml").write_text(to_musicxml(of_grid(melody, meters=metre, keys=key)))
    (folder / "piece.mid").write_bytes(to_midi(piece))


class Reader:
    """Somebody who reads one page after another in one folder, and types what stands there."""

    def __init__(self, folder: Path, forks: Forks):
        self.folder = folder
        self.forks = forks
        write_notes(folder)
        write_pictures(folder)
        write_music(folder)
        for name, text in OWN_FILES.items():
            (folder / name).write_text(text)
        (folder / "trained").mkdir()

    def run(self, words: list[str], ranks: int = 1) -> None:
        """Runs a command, and fails with what it said."""
        if ranks > 1:
            self.forks.run_ranks(ranks, words, self.folder)
            return
        environment = {
            "GENWRIGHT_CACHE": str(self.folder / "cache"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "100",
        }
        done: subprocess.CompletedProcess = self.forks.run(words, self.folder, environment)
        said = f"{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
        assert done.returncode == 0, f"$ {shlex.join(words)}\n{said}"

    def trained(self, recipe: str) -> Path:
        """A run of a recipe, made when it is first asked for."""
        path = self.folder / "trained" / recipe
        if not path.is_dir():
            if recipe == "emoji-codes":
                self.trained("emoji-vq")
            words = ["genwright", "train", recipe, "--run", str(path), "--quiet"]
            if recipe == "emoji-codes":
                words.append(f"codec.run={self.folder / 'trained' / 'emoji-vq'}")
            self.run([*words, *settings_beside(words, recipe)])
        return path

    def read(self, name: str) -> int:
        """Runs all of a page; gives how many commands and blocks of code were run."""
        page = PAGES[name]
        subprocess.run(["rm", "-rf", "runs", "corpora", "exported", "HF_FOLDER"], cwd=self.folder)
        (self.folder / "runs").mkdir()
        for run, recipe in page.runs.items():
            subprocess.run(
                ["cp", "-r", str(self.trained(recipe)), str(self.folder / "runs" / run)], check=True
            )
        self.write_files(name)
        for command in page.before:
            self.run(shortened(command))
        count = 0
        for language, block in blocks(name, "console", "python"):
            if language == "python":
                count += self.run_code(block)
                continue
            for command in commands_of(block):
                if not why_not(command):
                    self.run(shortened(command), 2 if TWO_RANKS.search(command) else 1)
                    count += 1
        return count

    def write_files(self, name: str) -> None:
        """Files that the page shows: blocks whose first line is their name, as a comment. Code
        without a name that needs a file before it goes on with that file."""
        last = None
        written = set()
        for language, block in blocks(name, "yaml", "python"):
            named = re.match(r"# (\S+\.(?:yaml|py))\n", block)
            if named and named[1] not in written:
                last = self.folder / named[1]
                written.add(named[1])
                last.write_text(changed(block), encoding="utf-8")
            elif language == "python" and last and not block.startswith(("import", "from")):
                with last.open("a", encoding="utf-8") as opened:
                    opened.write("\n\n" + changed(block))

    def run_code(self, block: str) -> int:
        """Runs code as a program of its own. Of a file that commands name, and of what goes on with
        it, nothing is run here."""
        if not block.startswith(("import", "from")):
            return 0
        script = self.folder / "typed.py"
        script.write_text(changed(block), encoding="utf-8")
        self.run([str(script)])
        return 1
