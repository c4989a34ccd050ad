"""A model with our indexes, for SQLAlchemy and for Alembic."""

import pgvector.sqlalchemy
from sqlalchemy import Index
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from common import DIM, TYPE


class F32VEC(pgvector.sqlalchemy.VECTOR):
    """f32vec: read, written and compared as pgvector's vector is."""

    cache_ok = True

    def get_col_spec(self, **kw):
        return "F32VEC" if self.dim is None else f"F32VEC({self.dim})"


# for reflection
ischema_names["f32vec"] = F32VEC

Vector = pgvector.sqlalchemy.VECTOR if TYPE == "vector" else F32VEC


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[int]
    embedding: Mapped[list[float]] = mapped_column(Vector(DIM))

    __table_args__ = (
        Index("items_flat", "embedding", "kind", postgresql_using="vkflat",
              postgresql_ops={"embedding": f"{TYPE}_l2_ops"}),
        Index("items_ivf", "embedding", "kind", postgresql_using="vkivf", postgresql_with={"lists": 20},
              postgresql_ops={"embedding": f"{TYPE}_cosine_ops"}),
    )
