"""Wrapper around PostgreSQL with vkindex over VectorDB"""

import logging
import struct
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psycopg
from psycopg import sql
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types import TypeInfo

from vectordb_bench.backend.filter import Filter, FilterOp

from ..api import VectorDB
from .config import VkIndexCaseConfig, VkIndexConfigDict

log = logging.getLogger(__name__)


class VectorDumper(Dumper):
    """Arrays as f32vec in its binary form: dimensions, a zero, the elements"""

    format = Format.BINARY

    def dump(self, obj: np.ndarray) -> bytes:
        return struct.pack(">HH", len(obj), 0) + obj.astype(">f4").tobytes()


class VkIndex(VectorDB):
    """Use psycopg instructions"""

    thread_safe: bool = False
    supported_filter_types: list[FilterOp] = [
        FilterOp.NonFilter,
        FilterOp.NumGE,
        FilterOp.StrEqual,
    ]

    def __init__(
        self,
        dim: int,
        db_config: VkIndexConfigDict,
        db_case_config: VkIndexCaseConfig,
        collection_name: str | None = None,
        drop_old: bool = False,
        with_scalar_labels: bool = False,
        **kwargs: Any,
    ):
        self.name = "VkIndex"
        self.dim = dim
        self.connect_config = dict(db_config)
        self.case_config = db_case_config
        collection_name = collection_name or "vdbbench_vkindex"
        self.table = sql.Identifier(collection_name)
        self.index = sql.Identifier(f"{collection_name}_embedding")
        self.with_scalar_labels = with_scalar_labels
        self.conn: psycopg.Connection | None = None
        self.search = self._search_statement(sql.SQL(""))

        with self._connect() as conn:
            if drop_old:
                log.info(f"{self.name} client drop table: {collection_name}")
                conn.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self.table))
            label = sql.SQL(", label varchar(64)" if with_scalar_labels else "")
            conn.execute(
                sql.SQL("CREATE TABLE IF NOT EXISTS {} (id int8 PRIMARY KEY, embedding f32vec({}){})").format(
                    self.table, sql.Literal(dim), label
                )
            )

    def _connect(self) -> psycopg.Connection:
        conn = psycopg.connect(**self.connect_config, autocommit=True)
        conn.execute("CREATE EXTENSION IF NOT EXISTS vkindex")
        vector = TypeInfo.fetch(conn, "f32vec")
        vector.register(conn)
        conn.adapters.register_dumper(np.ndarray, type("F32vecDumper", (VectorDumper,), {"oid": vector.oid}))
        return conn

    def _set(self, settings: dict) -> None:
        for name, value in settings.items():
            self.conn.execute("SELECT set_config(%s, %s, false)", (name, str(value)))

    @contextmanager
    def init(self) -> Generator[None, None, None]:
        """
        Examples:
            >>> with self.init():
            >>>     self.insert_embeddings()
            >>>     self.search_embedding()
        """
        self.conn = self._connect()
        try:
            self._set(self.case_config.search_param())
            yield
        finally:
            self.conn.close()
            self.conn = None

    def insert_embeddings(
        self,
        embeddings: list[list[float]],
        metadata: list[int],
        labels_data: list[str] | None = None,
        **kwargs: Any,
    ) -> tuple[int, Exception | None]:
        columns, types = ["id", "embedding"], ["int8", "f32vec"]
        rows = zip(metadata, np.asarray(embeddings, np.float32))
        if self.with_scalar_labels:
            columns, types = [*columns, "label"], [*types, "varchar"]
            rows = ((*row, label) for row, label in zip(rows, labels_data))
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
            self.table, sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        try:
            with self.conn.cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row((int(row[0]), *row[1:]))
        except Exception as e:
            log.warning(f"Failed to insert data into table, error: {e}")
            return 0, e
        return len(metadata), None

    def optimize(self, data_size: int | None = None) -> None:
        """Builds the index over the rows that were inserted"""
        columns = [sql.SQL("embedding {}").format(sql.Identifier(self.case_config.operator_class()))]
        if self.case_config.filter_columns:
            columns.append(sql.Identifier("id"))
            if self.with_scalar_labels:
                columns.append(sql.Identifier("label"))
        self._set(self.case_config.index_param())
        self.conn.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(self.index))
        self.conn.execute(
            sql.SQL("CREATE INDEX {} ON {} USING {} ({})").format(
                self.index,
                self.table,
                sql.Identifier(self.case_config.method),
                sql.SQL(", ").join(columns),
            )
        )
        self.conn.execute(sql.SQL("VACUUM ANALYZE {}").format(self.table))

    def _search_statement(self, where: sql.Composable) -> sql.Composed:
        return sql.SQL("SELECT id FROM {}{} ORDER BY embedding {} %s LIMIT %s").format(
            self.table, where, sql.SQL(self.case_config.operator())
        )

    def prepare_filter(self, filters: Filter) -> None:
        if filters.type == FilterOp.NonFilter:
            where = sql.SQL("")
        elif filters.type == FilterOp.NumGE:
            where = sql.SQL(" WHERE id >= {}").format(sql.Literal(filters.int_value))
        elif filters.type == FilterOp.StrEqual:
            where = sql.SQL(" WHERE label = {}").format(sql.Literal(filters.label_value))
        else:
            msg = f"Not support Filter for VkIndex - {filters}"
            raise ValueError(msg)
        self.search = self._search_statement(where)

    def search_embedding(
        self,
        query: list[float],
        k: int = 100,
        timeout: int | None = None,
        **kwargs: Any,
    ) -> list[int]:
        vector = np.asarray(query, np.float32)
        found = self.conn.execute(self.search, (vector, k), prepare=True, binary=True)
        return [row[0] for row in found.fetchall()]
