"""Whether the manual names every object and setting, and the catalogs describe them."""

import glob
import os
import re
import subprocess

import links
from session import psql

DATABASE = "vk_reference"

# Catalogs of named objects, with the column of the name.
CATALOGS = [
    ("functions", "pg_proc", "proname"),
    ("views", "pg_class", "relname"),
    ("types", "pg_type", "typname"),
    ("operators", "pg_operator", "oprname"),
    ("operator classes", "pg_opclass", "opcname"),
    ("operator families", "pg_opfamily", "opfname"),
    ("access methods", "pg_am", "amname"),
]

# What psql is to show of an index and of the extension: command, and words of its output.
COMMANDS = [
    ("\\d+ t_v_idx", ["vkivf", "embedding", "kind", "Options: lists=4"]),
    ("\\d+ t", ['"t_v_idx" vkivf (embedding f32vec_cosine_ops, kind)', "f32vec(3)"]),
    ("\\dx+ vkindex", ["access method vkflat", "access method vkivf", "type f32vec",
                       "function vk_recall(regclass,integer,integer)"]),
    ("\\dx vkindex", ["1.0", "vkflat (exact)"]),
    ("\\dA+ vk*", ["vkflat_handler", "vkivf_handler", "exact", "recall"]),
    ("\\dAc vkivf f32vec", ["f32vec_l2_ops", "yes", "f32vec_cosine_ops"]),
    ("\\dAc vkflat integer", ["int4_ops"]),
    ("\\dAf vkivf f32vec", ["f32vec_cosine_ops", "f32vec_ip_ops"]),
    ("\\dAo vkivf f32vec_cosine_ops", ["<=>(f32vec,f32vec)", "ordering", "<<=>>"]),
    ("\\dAp vkivf f32vec_cosine_ops", ["f32vec_cosine_support"]),
    ("\\df vk_recall", ["k integer DEFAULT 10", "samples integer DEFAULT 100"]),
    ("\\df+ vk_stats", ["volatile", "index regclass"]),
    ("\\dT+ f32vec", ["single-precision vector"]),
    ("\\do <=> f32vec f32vec", ["double precision", "cosine"]),
]


def ask(sql, database=DATABASE):
    """Rows of a query, as lists of strings."""
    out = subprocess.run(["psql", "-XAtq", "-F", "\t", "-c", sql, database],
                         capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def members(extension, catalog, column):
    """(name, description) of an extension's objects in a catalog."""
    return ask(f"""
        SELECT DISTINCT {column}, COALESCE(obj_description(o.oid, '{catalog}'), '')
        FROM pg_depend d JOIN {catalog} o ON o.oid = d.objid
        JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = '{catalog}'::regclass AND d.refclassid = 'pg_extension'::regclass
            AND d.deptype = 'e' AND e.extname = '{extension}' ORDER BY 1""")


class Names:
    """What a manual's reference has in backticks; <type> and <metric> stand for each of theirs."""

    PLACES = {"<type>": r"(?:f32vec|f16vec|bf16vec|i8vec|vector|halfvec|bit)",
              "<metric>": r"(?:l2|ip|cosine|l1|hamming|jaccard)"}

    def __init__(self, text):
        self.words, self.patterns = set(), []
        for span in re.findall(r"`([^`\n]+)`", text):
            span = span.replace("\\|", "|")
            for word in re.findall(r"[^\s,;()]+", span):
                self.words.add(word)
                pattern = re.escape(word)
                for place, names in self.PLACES.items():
                    pattern = pattern.replace(place, names)
                if pattern != re.escape(word):
                    self.patterns.append(re.compile(pattern))

    def __contains__(self, name):
        return name in self.words or any(p.fullmatch(name) for p in self.patterns)


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def add(self, what, missing):
        """One test, passed where nothing is missing."""
        if missing:
            print(f"{what}: {', '.join(sorted(set(missing)))}")
        self.passed += not missing
        self.failed += bool(missing)


def options(top):
    """Names of the options of CREATE INDEX, as the library makes them."""
    found = set()
    for path in glob.glob(os.path.join(top, "src/am/*.c")):
        with open(path, encoding="utf-8") as f:
            found |= set(re.findall(r'add_\w+_reloption\(\s*\w+,\s*"(\w+)"', f.read()))
    return found


def check_extension(extension, names, tally):
    for kind, catalog, column in CATALOGS:
        found = members(extension, catalog, column)
        tally.add(f"{extension}: {kind} that the reference does not name",
                  [name for name, _ in found if name not in names])
        tally.add(f"{extension}: {kind} without a comment",
                  [name for name, comment in found if not comment])


def check_psql(tally):
    psql("CREATE TABLE t (embedding f32vec(3), kind int);"
         "CREATE INDEX t_v_idx ON t USING vkivf (embedding f32vec_cosine_ops, kind)"
         " WITH (lists = 4)", DATABASE)
    for command, wanted in COMMANDS:
        out = subprocess.run(["psql", "-X", "-P", "pager=off", "-c", command, DATABASE],
                             capture_output=True, text=True, check=False).stdout
        missing = [words for words in wanted if words not in out]
        tally.add(f"psql's {command} lacks", missing)


def check(top):
    """(passed, failed) of the reference of README.md."""
    tally = Tally()
    with open(os.path.join(top, "README.md"), encoding="utf-8") as f:
        manual = f.read()
    tally.add("links that lead nowhere", list(links.broken(top)))
    names = Names(manual[manual.index("\n## Reference\n"):])
    psql(f"DROP DATABASE IF EXISTS {DATABASE}")
    psql(f"CREATE DATABASE {DATABASE}")
    try:
        psql("CREATE EXTENSION vkindex", DATABASE)
        check_extension("vkindex", names, tally)
        tally.add("settings that the reference does not name",
                  [name for (name,) in ask("LOAD 'vkindex'; SELECT name FROM pg_settings"
                                           " WHERE name LIKE 'vkindex.%'") if name not in names])
        tally.add("options of CREATE INDEX that the reference does not name",
                  [name for name in options(top) if name not in names])
        check_psql(tally)
        if ask("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
            psql("SET client_min_messages = warning;"
                 "CREATE EXTENSION vkindex_pgvector CASCADE", DATABASE)
            check_extension("vkindex_pgvector", names, tally)
        else:
            print("vkindex_pgvector: not looked at, since there is no extension vector")
    finally:
        psql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    return tally.passed, tally.failed
