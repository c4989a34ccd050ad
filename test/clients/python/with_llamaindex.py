"""LlamaIndex's PGVectorStore, whose table is made by it and whose index by SQL.

Its column is of type vector, so it needs pgvector.  A range is added to its query by customize_query_fn.
"""

import asyncio

import psycopg
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.vector_stores.postgres import PGVectorStore

from common import *


def within_radius(statement, table, radius=None, **kwargs):
    """What a query asks for besides, by an argument of its own."""
    return statement if radius is None else statement.where(table.embedding.cosine_distance(QUERY) < radius)


def make_store():
    options = {"connect_args": {"options": "-c vkindex.target_recall=1"}}
    return PGVectorStore.from_params(
        connection_string="postgresql+psycopg://", async_connection_string="postgresql+asyncpg://",
        table_name="items", embed_dim=DIM, use_jsonb=True, create_engine_kwargs=options,
        customize_query_fn=within_radius)


def pairs(result):
    """The store returns similarities, 1 - distance."""
    return [(int(row), 1 - similarity) for row, similarity in zip(result.ids, result.similarities)]


def main():
    checks = Checks()
    with psycopg.connect(autocommit=True) as conn:
        conn.execute(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION} CASCADE")
        store = make_store()
        store.add([TextNode(id_=str(row), text=f"row {row}", embedding=vector, metadata={"kind": kind(row)})
                   for row, vector in EMBEDDINGS.items()])
        for method, options in (("vkflat", ""), ("vkivf", "WITH (lists = 20)")):
            conn.execute(f"CREATE INDEX items_{method} ON data_items USING {method} "
                         f"(embedding vector_cosine_ops, ((metadata_->>'kind')::int)) {options}")
            query = VectorStoreQuery(query_embedding=QUERY, similarity_top_k=NEAREST)
            checks.nearest(f"{method}: k-NN", pairs(store.query(query)), by_distance("cosine"))
            filtered = VectorStoreQuery(query_embedding=QUERY, similarity_top_k=NEAREST, filters=MetadataFilters(
                filters=[MetadataFilter(key="kind", value=KIND)]))
            checks.nearest(f"{method}: filter", pairs(store.query(filtered)), by_distance("cosine", of_kind=KIND))
            many = VectorStoreQuery(query_embedding=QUERY, similarity_top_k=ROWS)
            checks.equal(f"{method}: range", {row for row, _ in pairs(store.query(many, radius=0.5))},
                         {row for row, distance in by_distance("cosine") if distance < 0.5})
            store.client.dispose()
            checks.equal(f"{method}: scans of the index", scans(conn, f"items_{method}"), 3)
            conn.execute(f"DROP INDEX items_{method}")
        store.delete_nodes(["264"])
        checks.true("deleted", "264" not in store.query(query).ids)
        asyncio.run(store.close())
    checks.finish()


main()
