"""The code blocks of a Markdown file, and whether an output is the one that is shown."""

import math
import re
from dataclasses import dataclass, field, replace

CLIENT_LANGUAGES = {"js", "go", "java", "rust"}
LANGUAGES = {"sql", "sh", "python"} | CLIENT_LANGUAGES
COUNT = re.compile(r"^\(\d+ rows?\)$")
NOISE = re.compile(r"^\(\d+ rows?\)$|^[-+\s]*$|^-\[ RECORD \d+ \][-+]*$")
NOTICE = re.compile(r"^(NOTICE|WARNING|INFO|DETAIL|HINT|LOG):")
ERROR = re.compile(r"^(?:psql: )?(?:\w+: )?(?:ERROR|FATAL|PANIC):|^Traceback", re.M)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass
class Block:
    language: str
    line: int
    text: str
    expected: str = None            # what the manual shows as its output
    shown: tuple = None             # the lines, from and to, that show it
    varies: set = field(default_factory=set)


def note(block, comment):
    """Take down what a comment before a block says."""
    words = comment.split()
    if words[:1] != ["varies:"]:
        raise ValueError(f'line {block.line}: unknown comment "{comment}"')
    block.varies |= set(words[1:])


def read(path):
    """The blocks of a file that have a language, with the outputs shown behind them."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    found, comments, number = [], [], 0
    while number < len(lines):
        comment = re.fullmatch(r"<!-- (.*) -->", lines[number])
        if comment:
            comments.append(comment[1])
        elif lines[number].startswith("```"):
            language, first = lines[number][3:].strip(), number + 1
            number = lines.index("```", first)
            text = "\n".join(lines[first:number])
            if language in LANGUAGES:
                found.append(Block(language, first, text))
                for comment in comments:
                    note(found[-1], comment)
                ends = number
            elif not language and found and first - 2 == ends:
                found[-1].expected, found[-1].shown = text, (first, number)
            elif language:
                raise ValueError(f'{path}: line {first}: no such language "{language}"')
            comments = []
        elif lines[number]:
            comments = []
        number += 1
    return found


def write(path, outputs):
    """Put outputs in the place of those that the file shows."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for block, output in reversed(outputs):
        first, last = block.shown
        shown = [line.rstrip() for line in output.split("\n") if not COUNT.match(line)]
        lines[first:last] = "\n".join(shown).strip("\n").split("\n")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines))


def cells(line):
    return [" ".join(cell.split()) for cell in line.split("|")]


def content(text, block):
    """The rows of an output as lists of cells, without what may vary."""
    rows, hidden = [], set()
    for line in text.split("\n"):
        line = line.rstrip()
        if re.fullmatch(r"-[-+]*", line) and rows:
            hidden = {i for i, name in enumerate(rows[-1]) if name in block.varies}
        if NOISE.match(line):
            hidden = hidden if line else set()
            continue
        row = cells(line)
        if len(row) == 2 and row[0] in block.varies:
            row[1] = ""
        rows.append(["" if i in hidden else cell for i, cell in enumerate(row)])
    return rows


def shape(cell):
    """A cell as its text with # for numbers, and the numbers."""
    return NUMBER.sub("#", cell), [float(n) for n in NUMBER.findall(cell)]


def same_cell(left, right, figures_vary):
    (left_text, left_numbers), (right_text, right_numbers) = shape(left), shape(right)
    return left_text == right_text and (figures_vary or all(
        math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12)
        for a, b in zip(left_numbers, right_numbers)))


def strict(block):
    """The block without what may vary."""
    return replace(block, varies=set())


def judge(block, output):
    """None if a block has done what the manual says, otherwise what is wrong."""
    if ERROR.search(output):
        return "an error"
    if block.expected is None:
        return None
    shows_notices = any(NOTICE.match(line) for line in block.expected.split("\n"))
    if not shows_notices:
        output = "\n".join(line for line in output.split("\n") if not NOTICE.match(line))
    wanted, got = content(block.expected, block), content(output, block)
    if len(wanted) != len(got):
        return f"{len(got)} lines of output, and the manual shows {len(wanted)}"
    for one, other in zip(wanted, got):
        if len(one) != len(other) or not all(
                same_cell(a, b, "figures" in block.varies) for a, b in zip(one, other)):
            return f'not as shown: "{" | ".join(one)}"'
    return None
