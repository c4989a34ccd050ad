"""asyncpg with pgvector-python: binary and text codecs, COPY BINARY in and out."""

import asyncio
import io

import asyncpg
from pgvector import Vector
from pgvector.asyncpg import register_vector

from common import *

CODECS = {
    "binary": dict(format="binary", encoder=Vector.to_binary, decoder=Vector.from_binary),
    "text": dict(format="text", encoder=Vector.to_text, decoder=Vector.from_text),
}


async def connect(codec):
    conn = await asyncpg.connect()
    await conn.execute(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION} CASCADE; SET vkindex.target_recall = 1")
    if TYPE == "vector" and codec == "binary":
        await register_vector(conn)
    else:
        await conn.set_type_codec(TYPE, schema="public", **CODECS[codec])
    return conn


async def fill(conn, checks):
    await conn.execute(f"CREATE TABLE items (id int PRIMARY KEY, kind int, embedding {TYPE}({DIM}))")
    rows = [(row, kind(row), Vector(EMBEDDINGS[row])) for row in EMBEDDINGS]
    await conn.executemany("INSERT INTO items VALUES ($1, $2, $3)", rows[:100])
    await conn.copy_records_to_table("items", records=rows[100:])
    back = await conn.fetch("SELECT * FROM items ORDER BY id")
    checks.equal("COPY BINARY in, values back", [tuple(row) for row in back], rows)


async def search(conn, checks, codec, index):
    query = Vector(QUERY)
    nearest = f"SELECT id, embedding <-> $1 AS distance FROM items {{}} ORDER BY distance LIMIT {NEAREST}"
    plan = await conn.fetch("EXPLAIN " + nearest.format(""), query)
    checks.uses(f"{index} {codec}: plan", "\n".join(line for line, in plan), index)
    checks.nearest(f"{index} {codec}: k-NN", await conn.fetch(nearest.format(""), query), by_distance())
    # its plan is a generic one from the sixth time on
    statement = await conn.prepare(nearest.format("WHERE kind = $2"))
    for turn in range(KINDS + 2):
        k = turn % KINDS
        checks.nearest(f"{index} {codec}: filter {turn}", await statement.fetch(query, k), by_distance(of_kind=k))
    rows = await conn.fetch("SELECT id FROM items WHERE embedding <-> $1 < $2", query, RADIUS)
    checks.equal(f"{index} {codec}: range", {row["id"] for row in rows}, within())
    async with conn.transaction():
        cursor = await conn.cursor(nearest.format("").replace("LIMIT", "OFFSET 2 LIMIT"), query)
        rows = await cursor.fetch(3) + await cursor.fetch(NEAREST)
    checks.nearest(f"{index} {codec}: cursor", rows, by_distance()[2:])


async def copy_out_and_in(conn, checks):
    data = io.BytesIO()
    await conn.copy_from_query("SELECT id, kind, embedding FROM items", output=data, format="binary")
    await conn.execute("CREATE TABLE items_copy (LIKE items)")
    data.seek(0)
    await conn.copy_to_table("items_copy", source=data, format="binary")
    same = await conn.fetchval("SELECT count(*) FROM items JOIN items_copy c USING (id, kind) "
                               "WHERE items.embedding = c.embedding")
    checks.equal("COPY BINARY out and in", same, ROWS)


async def main():
    checks = Checks()
    conns = {codec: await connect(codec) for codec in CODECS}
    conn = conns["binary"]
    await fill(conn, checks)
    for method, options in (("vkflat", ""), ("vkivf", "WITH (lists = 20)")):
        await conn.execute(f"CREATE INDEX items_{method} ON items USING {method} "
                           f"(embedding {TYPE}_l2_ops, kind) {options}")
        for codec in CODECS:
            await search(conns[codec], checks, codec, f"items_{method}")
        await conn.execute(f"DROP INDEX items_{method}")
    await copy_out_and_in(conn, checks)
    for each in conns.values():
        await each.close()
    checks.finish()


asyncio.run(main())
