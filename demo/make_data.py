#!/usr/bin/env python3
"""Make demo/data from the HTML of PostgreSQL's documentation.

    apt-get download postgresql-doc-15 && dpkg -x postgresql-doc-15_*.deb doc
    python3 -m venv venv && venv/bin/pip install numpy scikit-learn
    venv/bin/python demo/make_data.py doc/usr/share/doc/postgresql-doc-15/html

Deterministic for one version of the documentation, scikit-learn and numpy.
Writes passages.jsonl.xz, held_out.jsonl.xz (passages that are queries, not
rows), embeddings.npy and projection.npz.
"""

import argparse
import hashlib
import json
import lzma
import random
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from embed import Projection, embedded_text, first_sentence, terms

SEED = 15
DIMENSIONS = 384
VOCABULARY = 6000
SIGMA_POWER = 0.25          # each dimension is divided by its singular value to this power
HELD_OUT = 200
SHORTEST, USUAL, LONGEST = 180, 450, 700

SKIPPED_PAGES = re.compile(
    r"^(index|bookindex|biblio|legalnotice|acronyms|history|resources|git|preface|reference"
    r"|features|appendixes|appendix-obsolete.*|contrib-prog.*|docguide-.*|features-.*"
    r"|unsupported-features.*|release-15-.*|release-prior|sql-keywords-appendix)\.html$")
SKIPPED_CLASSES = {"navheader", "navfooter", "toc", "indexterm", "footnotes", "email",
                   "cmdsynopsis"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5"}
LEAVES = {"p", "pre", "dt", "tr"}
NUMBERING = re.compile(r"^(?:(?:Chapter|Appendix|Part)\s+)?(?:[A-Z]|[IVX]+|\d+)(?:\.\d+)*\.\s+")
ADMONITIONS = {"Note", "Tip", "Caution", "Warning", "Important", "Table of Contents"}


def tag_of(element):
    return element.tag.rsplit("}", 1)[-1]


def text_of(element):
    """Join the text of an element without its index terms, spaces collapsed."""
    pieces = []

    def walk(node):
        if SKIPPED_CLASSES.isdisjoint((node.get("class") or "").split()):
            pieces.append(node.text or "")
            for child in node:
                walk(child)
                pieces.append(child.tail or "")
    walk(element)
    return re.sub(r"\s+", " ", "".join(pieces)).strip()


def title_of(text):
    return NUMBERING.sub("", re.sub(r"\s+", " ", text)).strip()


def units_of(page):
    """Yield (section, kind, text) for each paragraph, term, table row and listing of a page."""
    root = ElementTree.parse(page).getroot()
    title = title_of(root.findtext(".//{*}title"))
    section = title

    def walk(node):
        nonlocal section
        tag = tag_of(node)
        classes = set((node.get("class") or "").split())
        if classes & SKIPPED_CLASSES:
            return
        text = text_of(node) if tag in HEADINGS or tag in LEAVES else ""
        if tag in HEADINGS:
            name = title_of(text)
            if name and name not in ADMONITIONS:
                section = name
            return
        if tag in LEAVES:
            is_head = tag == "tr" and not any(tag_of(cell) == "td" for cell in node)
            if text and not is_head and "title" not in classes:
                yield section, tag, text
            return
        for child in node:
            yield from walk(child)

    for unit in walk(root.find(".//{*}body")):
        yield (title,) + unit


def pieces_of(text):
    """Cut a text that is too long at the ends of sentences, else of words."""
    piece = ""
    for sentence in re.split(r"(?<=[.;:?!])\s+", text):
        while len(sentence) > LONGEST:
            cut = sentence.rfind(" ", 0, LONGEST)
            cut = cut if cut > 0 else LONGEST
            yield from filter(None, [piece, sentence[:cut].strip()])
            piece, sentence = "", sentence[cut:].strip()
        if piece and len(piece) + len(sentence) >= LONGEST:
            yield piece
            piece = sentence
        else:
            piece = (piece + " " + sentence).strip()
    if piece:
        yield piece


def passages_of(page):
    """Yield the passages of a page: neighbouring units of one section, up to LONGEST characters."""
    held = None

    for title, section, kind, text in units_of(page):
        for piece in pieces_of(text):
            fits = (held is not None and held["section"] == section
                    and len(held["body"]) + 1 + len(piece) <= LONGEST
                    and len(held["body"]) < USUAL
                    and not (kind == "dt" and len(held["body"]) >= SHORTEST))
            if fits:
                joint = ": " if held["kind"] == "dt" else " "
                held["body"] += joint + piece
                held["kind"] = kind
                continue
            if held is not None:
                yield held
            held = {"title": title, "section": section, "body": piece, "kind": kind}
    if held is not None:
        yield held


def read_passages(folder):
    """Collect the passages of all pages, short ones and repeated ones left out."""
    seen = set()
    passages = []
    for page in sorted(Path(folder).glob("*.html")):
        if SKIPPED_PAGES.match(page.name):
            continue
        for passage in passages_of(page):
            key = " ".join(terms(passage["body"]))
            digest = hashlib.sha256(key.encode()).digest()
            if len(passage["body"]) < SHORTEST or digest in seen:
                continue
            seen.add(digest)
            del passage["kind"]
            passages.append(passage)
    return passages


def fit_projection(texts):
    """Fit TF-IDF and SVD on the texts, and quantise the components to int8, a scale a term."""
    tfidf = TfidfVectorizer(analyzer=terms, sublinear_tf=True, min_df=2,
                            max_features=VOCABULARY, dtype=np.float64)
    matrix = tfidf.fit_transform(texts)
    svd = TruncatedSVD(DIMENSIONS, algorithm="randomized", n_iter=8, random_state=SEED).fit(matrix)
    components = (svd.components_ / (svd.singular_values_[:, None] ** SIGMA_POWER)).T
    scales = np.abs(components).max(axis=1) / 127
    codes = np.rint(components / scales[:, None]).astype(np.int8)
    return Projection(tfidf.get_feature_names_out().tolist(), tfidf.idf_.astype(np.float32), codes,
                      scales.astype(np.float32))


def hold_out(passages):
    """Take away HELD_OUT passages whose first sentence stands alone; return rest and taken."""
    random.seed(SEED)
    suitable = [i for i, passage in enumerate(passages)
                if 40 <= len(sentence := first_sentence(passage)) <= 200
                and len(sentence) < len(passage["body"])
                and re.match(r"[A-Z]\w* \w+ \w+", sentence)]
    chosen = set(random.sample(suitable, HELD_OUT))
    return ([p for i, p in enumerate(passages) if i not in chosen],
            [p for i, p in enumerate(passages) if i in chosen])


def write_lines(path, rows):
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(lzma.compress(lines.encode(), preset=9 | lzma.PRESET_EXTREME))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("html", help="folder of the documentation's HTML pages")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    options = parser.parse_args()

    passages, held_out = hold_out(read_passages(options.html))
    projection = fit_projection([embedded_text(p) for p in passages])
    vectors = [projection.embed(embedded_text(p)) for p in passages]
    kept = [i for i, vector in enumerate(vectors) if vector is not None]

    options.out.mkdir(parents=True, exist_ok=True)
    write_lines(options.out / "passages.jsonl.xz", [passages[i] for i in kept])
    write_lines(options.out / "held_out.jsonl.xz", held_out)
    np.save(options.out / "embeddings.npy", np.stack([vectors[i] for i in kept]).astype(np.float16))
    projection.save(options.out / "projection.npz")
    size = sum(f.stat().st_size for f in options.out.iterdir())
    lengths = [len(passages[i]["body"]) for i in kept]
    print(f"{len(kept)} passages of {np.percentile(lengths, 5):.0f}-"
          f"{np.percentile(lengths, 95):.0f} characters (5-95 %), {len(projection.vocabulary)} terms, "
          f"{size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
