"""LangChain's stores of langchain-postgres: PGVector, and PGVectorStore with our indexes.

PGVector makes a column of type vector, and so needs pgvector.  PGVectorStore also works over a table
with f32vec that somebody else has made.  Neither sends a range to the server: a threshold of the
score is applied to the k nearest.
"""

import asyncio
from dataclasses import dataclass

import psycopg
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_postgres import Column, PGEngine, PGVector, PGVectorStore
from langchain_postgres.v2.indexes import BaseIndex, DistanceStrategy, QueryOptions

from common import *

URL = "postgresql+psycopg://"


class TableOfEmbeddings(Embeddings):
    """An embedding model that knows the rows by their numbers."""

    def embed_documents(self, texts):
        return [EMBEDDINGS[int(text)] for text in texts]

    def embed_query(self, text):
        return QUERY


@dataclass
class VkIndex(BaseIndex):
    """A base for both methods; `columns` are attribute columns."""

    columns: tuple = ()

    def get_index_function(self):
        return ", ".join([super().get_index_function().replace("vector_", f"{TYPE}_"), *self.columns])


@dataclass
class VkFlatIndex(VkIndex):
    index_type: str = "vkflat"
    bits: int = 4

    def index_options(self):
        return f"(bits = {self.bits})"


@dataclass
class VkIvfIndex(VkIndex):
    index_type: str = "vkivf"
    lists: int = 0

    def index_options(self):
        return f"(lists = {self.lists})"


@dataclass
class VkIvfQueryOptions(QueryOptions):
    target_recall: float = 0.95

    def to_parameter(self):
        return [f"vkindex.target_recall = {self.target_recall}"]

    def to_string(self):
        return self.to_parameter()[0]


def pairs(found):
    return [(int(document.page_content), distance) for document, distance in found]


def documents():
    return [Document(id=str(row), page_content=str(row), metadata={"kind": kind(row)}) for row in EMBEDDINGS]


def use_pgvector(conn, checks):
    """The older store: one table for all collections, metadata in jsonb."""
    store = PGVector(TableOfEmbeddings(), connection=URL, embedding_length=DIM, collection_name="items",
                     engine_args={"connect_args": {"options": "-c vkindex.target_recall=1"}})
    store.add_documents(documents())
    conn.execute("CREATE INDEX embedding_ivf ON langchain_pg_embedding USING vkivf "
                 "(embedding vector_cosine_ops, collection_id) WITH (lists = 20)")
    checks.nearest("PGVector: k-NN", pairs(store.similarity_search_with_score("?", k=NEAREST)), by_distance("cosine"))
    checks.nearest("PGVector: filter",
                   pairs(store.similarity_search_with_score("?", k=NEAREST, filter={"kind": {"$eq": KIND}})),
                   by_distance("cosine", of_kind=KIND))
    store._engine.dispose()
    checks.equal("PGVector: scans of the index", scans(conn, "embedding_ivf"), 2)


def make_table(conn, engine):
    """The store's own table where there is pgvector; else one with the columns that it expects."""
    if TYPE == "vector":
        engine.init_vectorstore_table("items", DIM, metadata_columns=[Column("kind", "integer")],
                                      id_column=Column("langchain_id", "text"))
    else:
        conn.execute(f"CREATE TABLE items (langchain_id text PRIMARY KEY, content text NOT NULL, "
                     f"embedding {TYPE}({DIM}) NOT NULL, kind integer, langchain_metadata json)")


def use_store(conn, checks):
    """The newer store: a table of its own, metadata in columns, indexes by classes."""
    engine = PGEngine.from_connection_string(URL)
    make_table(conn, engine)
    for metric, strategy, index in (
            ("l2", DistanceStrategy.EUCLIDEAN, VkFlatIndex("items_flat", columns=("kind",))),
            ("cosine", DistanceStrategy.COSINE_DISTANCE, VkIvfIndex("items_ivf", lists=20, columns=("kind",)))):
        store = PGVectorStore.create_sync(engine, TableOfEmbeddings(), "items", metadata_columns=["kind"],
                                          distance_strategy=strategy,
                                          index_query_options=VkIvfQueryOptions(target_recall=1))
        if metric == "l2":
            store.add_documents(documents())
        index.distance_strategy = strategy
        store.apply_vector_index(index, concurrently=metric == "cosine")
        checks.true(f"{index.name}: index", store.is_valid_index(index.name))
        checks.nearest(f"{index.name}: k-NN", pairs(store.similarity_search_with_score("?", k=NEAREST)),
                       by_distance(metric))
        checks.nearest(f"{index.name}: filter",
                       pairs(store.similarity_search_with_score("?", k=NEAREST, filter={"kind": KIND})),
                       by_distance(metric, of_kind=KIND))
    retriever = store.as_retriever(search_type="similarity_score_threshold",
                                   search_kwargs={"k": 50, "score_threshold": 0.5})
    checks.equal("threshold", {int(document.page_content) for document in retriever.invoke("?")},
                 {row for row, distance in by_distance("cosine") if distance <= 0.5})
    asyncio.run(engine.close())
    checks.equal("scans of our indexes", scans(conn, "items_flat") + scans(conn, "items_ivf"), 5)


def main():
    checks = Checks()
    with psycopg.connect(autocommit=True) as conn:
        conn.execute(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION} CASCADE")
        if TYPE == "vector":
            use_pgvector(conn, checks)
        use_store(conn, checks)
    checks.finish()


main()
