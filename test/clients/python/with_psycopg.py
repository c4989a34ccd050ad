"""psycopg 3 with pgvector-python: text and binary, COPY BINARY in and out."""

import psycopg
from pgvector import Bit, HalfVector, Vector
from pgvector.psycopg import register_vector
from pgvector.psycopg.halfvec import register_halfvec_info
from pgvector.psycopg.vector import register_vector_info
from psycopg.types import TypeInfo

from common import *


def register(conn):
    """pgvector's codecs for pgvector's types; those of vector and halfvec serve f32vec and f16vec."""
    if TYPE == "vector":
        register_vector(conn)
    else:
        register_vector_info(conn, TypeInfo.fetch(conn, "f32vec"))
        register_halfvec_info(conn, TypeInfo.fetch(conn, "f16vec"))


def fill(conn):
    conn.execute(f"CREATE TABLE items (id int PRIMARY KEY, kind int, embedding {TYPE}({DIM}))")
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO items VALUES (%s, %s, %s)",
                        [(row, kind(row), Vector(EMBEDDINGS[row])) for row in range(1, 101)])
        with cur.copy("COPY items FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "int4", TYPE])
            for row in range(101, ROWS + 1):
                copy.write_row((row, kind(row), Vector(EMBEDDINGS[row])))


def search(conn, checks, method, options=""):
    """k-NN, filter and range through an index of the method, in both formats."""
    conn.execute(f"CREATE INDEX items_{method} ON items USING {method} (embedding {TYPE}_l2_ops, kind){options}")
    query = Vector(QUERY)
    for name, binary, f in (("text", False, "%t"), ("binary", True, "%b")):
        cur = conn.cursor(binary=binary)
        nearest = f"SELECT id, embedding <-> {f} AS distance FROM items {{}} ORDER BY distance LIMIT {NEAREST}"
        within_radius = f"SELECT id FROM items WHERE embedding <-> {f} < %s"
        for what, statement, params in (("k-NN", nearest.format(""), (query,)), ("range", within_radius, (query, RADIUS))):
            plan = cur.execute("EXPLAIN " + statement, params)
            checks.uses(f"{method} {name}: plan of {what}", "\n".join(line for line, in plan), f"items_{method}")
        checks.nearest(f"{method} {name}: k-NN", cur.execute(nearest.format(""), (query,)), by_distance())
        checks.nearest(f"{method} {name}: filter",
                       cur.execute(nearest.format("WHERE kind = %s"), (query, KIND)), by_distance(of_kind=KIND))
        rows = cur.execute(within_radius, (query, RADIUS))
        checks.equal(f"{method} {name}: range", {row for row, in rows}, within())
    conn.execute(f"DROP INDEX items_{method}")


def declared_recall(conn, checks):
    """vkivf at its default, the recall of 0.95, and a setting for one transaction."""
    conn.execute(f"CREATE INDEX items_cosine ON items USING vkivf (embedding {TYPE}_cosine_ops) WITH (lists = 20)")
    statement = f"SELECT id, embedding <=> %s AS distance FROM items ORDER BY distance LIMIT {NEAREST}"
    found = 0
    for row in range(1, 21):
        query = [x + 1 for x in EMBEDDINGS[row]]
        nearest = {r for r, _ in by_distance("cosine", query)[:NEAREST]}
        found += len(nearest & {r for r, _ in conn.execute(statement, (Vector(query),))})
    checks.true("declared recall", found >= 0.85 * 20 * NEAREST, f"{found} of {20 * NEAREST}")
    with conn.transaction():
        conn.execute("SET LOCAL vkindex.target_recall = 1")
        checks.nearest("all of it", conn.execute(statement, (Vector(QUERY),)), by_distance("cosine"))
    conn.execute("DROP INDEX items_cosine")


def copy_out_and_in(conn, checks):
    with conn.cursor() as cur:
        with cur.copy("COPY (SELECT id, kind, embedding FROM items) TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "int4", TYPE])
            rows = {row: (k, v.to_list()) for row, k, v in copy.rows()}
        checks.equal("COPY BINARY out", rows, {row: (kind(row), EMBEDDINGS[row]) for row in EMBEDDINGS})
        cur.execute("CREATE TABLE items_copy (LIKE items)")
        with cur.copy("COPY items TO STDOUT (FORMAT BINARY)") as out:
            data = b"".join(out)
        with cur.copy("COPY items_copy FROM STDIN (FORMAT BINARY)") as into:
            into.write(data)
        cur.execute("SELECT count(*) FROM items JOIN items_copy c USING (id, kind) WHERE items.embedding = c.embedding")
        checks.equal("COPY BINARY in", cur.fetchone(), (ROWS,))


def search_column(conn, checks, column, declaration, operator, values, index, expected):
    """Another type: a table of one column, filled by COPY BINARY, and an index over it."""
    table, name = f"items_{column}", declaration.split("(")[0]
    conn.execute(f"CREATE TABLE {table} (id int, {column} {declaration})")
    with conn.cursor().copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int4", name])
        for row, vector in EMBEDDINGS.items():
            copy.write_row((row, values(vector)))
    conn.execute(f"CREATE INDEX {table}_index ON {table} USING {index}")
    statement = f"SELECT id, {column} {operator} %s AS distance FROM {table} ORDER BY distance LIMIT {NEAREST}"
    plan = "\n".join(line for line, in conn.execute("EXPLAIN " + statement, (values(QUERY),)))
    checks.uses(f"{name}: plan", plan, f"{table}_index")
    checks.nearest(f"{name}: k-NN", conn.execute(statement, (values(QUERY),)), expected)


def more_types(conn, checks):
    half = "halfvec" if TYPE == "vector" else "f16vec"
    search_column(conn, checks, "half", f"{half}({DIM})", "<->", HalfVector,
                  f"vkivf (half {half}_l2_ops) WITH (lists = 20)", by_distance())
    if TYPE == "vector":
        search_column(conn, checks, "code", f"bit({DIM})", "<~>", lambda vector: Bit(bits(vector)),
                      "vkflat (code bit_hamming_ops)", by_distance("hamming", convert=bits))


def main():
    checks = Checks()
    with psycopg.connect(autocommit=True) as conn:
        conn.execute(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION} CASCADE")
        register(conn)
        fill(conn)
        for binary in (False, True):
            embedding = conn.cursor(binary=binary).execute("SELECT embedding FROM items WHERE id = 7").fetchone()[0]
            checks.equal(f"value back, {'binary' if binary else 'text'}", embedding.to_list(), EMBEDDINGS[7])
        declared_recall(conn, checks)
        conn.execute("SET vkindex.target_recall = 1")
        search(conn, checks, "vkflat")
        search(conn, checks, "vkivf", " WITH (lists = 20)")
        copy_out_and_in(conn, checks)
        more_types(conn, checks)
    checks.finish()


main()
