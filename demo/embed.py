"""Turn text into unit vectors: the one projection of passages and of queries.

demo/make_data.py fits it (TF-IDF, then a truncated SVD) and stores it in
demo/data/projection.npz; the demo loads it to embed what a user types.  Both
run the code below, so "vacuum a table" meets "vacuuming tables".
"""

import json
import math
import re
from collections import Counter

import numpy as np

WORD = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")

STOP_WORDS = frozenset("""
a about above after all also although am an and another any are as at be because been before being
below between both but by can cannot could did do does doing done down each eg either else etc
ever few for from further get gets getting got had has have having he her here how however i ie if
in into is it its itself just let lets like made make makes many may me might more most much must
my need needs no nor not now of off often on once one only or other otherwise our out over own
same see shall should since so some still such than that the their them then there therefore these
they this those through thus to too two under until up upon us very via want was way we well were
what when where whether which while who whose why will with within without would yet you your
""".split())

# Two ways to write one thing.
PHRASES = re.compile(r"\b(back|dump|roll|start|log|clean)(?:ing|ed)?[ -](up|down|back|in|out)\b")
IRREGULAR = {"postgres": "postgresql", "indices": "index", "indexes": "index",
             "schemata": "schema", "matrices": "matrix"}

# Tried in order; a suffix goes only where the rest keeps three letters and a vowel.
SUFFIXES = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"),
            ("ss", "ss"), ("us", "us"), ("is", "is"), ("s", ""))
ENDINGS = (("ization", "ize"), ("ication", "icate"), ("ations", "ate"), ("ation", "ate"),
           ("ator", "ate"), ("ing", ""), ("ed", ""), ("ly", ""))


def strip(word, rules):
    """Replace the first suffix of rules that the word ends with."""
    for suffix, replacement in rules:
        if word.endswith(suffix):
            rest = word[:len(word) - len(suffix)]
            if len(rest) >= 3 and re.search("[aeiouy]", rest):
                return rest + replacement
            return word
    return word


def stem(word):
    """Strip plural and verb endings, so that forms of one word are one term."""
    if len(word) < 4:
        return word
    word = IRREGULAR.get(word, word)
    whole = strip(word, SUFFIXES)
    word = strip(whole, ENDINGS)
    if word != whole and len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]                    # dropping -> drop
    if len(word) > 3 and word[-1] == "e":
        word = word[:-1]                    # create, creating -> creat
    if len(word) > 3 and word[-1] == "y":
        word = word[:-1] + "i"
    return word


def terms(text):
    """List the terms of a text: the stems of its words, identifiers whole and in parts."""
    found = []
    for word in WORD.findall(PHRASES.sub(r"\1\2", text.lower())):
        if word in STOP_WORDS:
            continue
        parts = [stem(part) for part in word.split("_") if part not in STOP_WORDS]
        if "_" in word:
            found.append(word)
        found.extend(parts)
    return found


def embedded_text(passage):
    """Return the text that stands for a passage: its titles count as words of it."""
    return "\n".join((passage["title"], passage["section"], passage["body"]))


def first_sentence(passage):
    return re.split(r"(?<=[.?!])\s+", passage["body"])[0]


class Projection:
    """Terms, their inverse document frequencies, and the SVD's components: int8, a scale a term."""

    def __init__(self, vocabulary, idf, codes, scales):
        self.vocabulary = vocabulary
        self.column = {term: i for i, term in enumerate(vocabulary)}
        self.idf = idf
        self.codes = codes
        self.scales = scales

    @classmethod
    def load(cls, path):
        with np.load(path) as data:
            vocabulary = json.loads(data["vocabulary"].tobytes().decode())
            return cls(vocabulary, data["idf"], data["codes"], data["scales"])

    def save(self, path):
        vocabulary = np.frombuffer(json.dumps(self.vocabulary).encode(), dtype=np.uint8)
        np.savez_compressed(path, vocabulary=vocabulary, idf=self.idf, codes=self.codes,
                            scales=self.scales)

    def embed(self, text):
        """Return the unit vector of a text, or None where it has no known term."""
        counts = Counter(self.column[term] for term in terms(text) if term in self.column)
        if not counts:
            return None
        columns = np.fromiter(counts.keys(), dtype=np.int64)
        weights = np.array([1.0 + math.log(n) for n in counts.values()]) * self.idf[columns]
        vector = (weights * self.scales[columns]) @ self.codes[columns].astype(np.float64)
        norm = np.linalg.norm(vector)
        return (vector / norm).astype(np.float32) if norm > 0 else None
