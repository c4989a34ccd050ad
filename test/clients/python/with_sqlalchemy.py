"""SQLAlchemy: tables and indexes made from a model, queries through the ORM, reflection."""

from sqlalchemy import MetaData, Table, create_engine, func, insert, select, text
from sqlalchemy.orm import Session

from common import *
from models import Base, Item, Vector


def fill(session):
    session.add(Item(id=1, kind=kind(1), embedding=EMBEDDINGS[1]))
    session.execute(insert(Item), [dict(id=row, kind=kind(row), embedding=EMBEDDINGS[row])
                                   for row in range(2, ROWS + 1)])
    session.commit()


def search(session, checks, index, metric, distance, radius):
    """k-NN, filter and range by the index of a metric; `distance` is its expression."""
    nearest = select(Item.id, distance.label("distance")).order_by(distance).limit(NEAREST)
    compiled = nearest.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
    checks.uses(f"{metric}: plan", "\n".join(session.scalars(text(f"EXPLAIN {compiled}"))), index)
    checks.nearest(f"{metric}: k-NN", session.execute(nearest), by_distance(metric))
    checks.nearest(f"{metric}: filter", session.execute(nearest.where(Item.kind == KIND)),
                   by_distance(metric, of_kind=KIND))
    rows = session.scalars(select(Item.id).where(distance < radius))
    checks.equal(f"{metric}: range", set(rows), {row for row, d in by_distance(metric) if d < radius})
    item = session.scalars(select(Item).order_by(distance)).first()
    row = by_distance(metric)[0][0]
    checks.equal(f"{metric}: object", (item.id, list(item.embedding)), (row, EMBEDDINGS[row]))


def main():
    checks = Checks()
    engine = create_engine("postgresql+psycopg://")
    with engine.begin() as conn:
        conn.execute(text(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION} CASCADE"))
    Base.metadata.create_all(engine)

    reflected = Table("items", MetaData(), autoload_with=engine)
    checks.equal("reflected indexes", {i.name: i.dialect_kwargs["postgresql_using"] for i in reflected.indexes},
                 {"items_flat": "vkflat", "items_ivf": "vkivf"})
    checks.equal("reflected type", repr(reflected.c.embedding.type), repr(Vector(DIM)))

    with Session(engine) as session:
        fill(session)
        checks.equal("rows", session.scalar(select(func.count()).select_from(Item)), ROWS)
        session.execute(text("SET LOCAL vkindex.target_recall = 1"))
        search(session, checks, "items_flat", "l2", Item.embedding.l2_distance(QUERY), RADIUS)
        search(session, checks, "items_ivf", "cosine", Item.embedding.cosine_distance(QUERY), 0.5)
    checks.finish()


main()
