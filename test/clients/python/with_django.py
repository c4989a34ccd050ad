"""Django: migrations that make the extension and our indexes, queries through the ORM."""

import io
import os
import pathlib
import sys
import tempfile

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from pgvector.django import CosineDistance, L2Distance

from common import *

EXTENSION_MIGRATION = f"""
from django.contrib.postgres.operations import CreateExtension
from django.db import migrations

class Migration(migrations.Migration):
    initial = True
    operations = [CreateExtension(name) for name in
                  {["vkindex", "vector", "vkindex_pgvector"] if TYPE == "vector" else ["vkindex"]}]
"""


def configure():
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"],
                               "OPTIONS": {"options": "-c vkindex.target_recall=1"}}},
        INSTALLED_APPS=["django.contrib.postgres", "shop"], MIGRATION_MODULES={"shop": "shop_migrations"},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
    django.setup()


def command(*args, **options):
    """What a command of manage.py prints."""
    out = io.StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def up_to_date():
    try:
        command("makemigrations", check=True, dry_run=True)
    except SystemExit:
        return False
    return True


def migrate(folder, checks):
    """A migration of our own for the extensions; the next is generated from the model."""
    package = pathlib.Path(folder, "shop_migrations")
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "0001_extensions.py").write_text(EXTENSION_MIGRATION)
    sys.path.insert(0, folder)
    command("makemigrations", "shop", name="items")
    script = (package / "0002_items.py").read_text()
    for declared in ("VkFlatIndex(", "VkIvfIndex(", "lists=20"):
        checks.true(f"generated: {declared}", declared in script, script)
    command("migrate")
    checks.true("nothing left to do", up_to_date())
    sql = command("sqlmigrate", "shop", "0002")
    checks.true("SQL", f'USING vkivf ("embedding" {TYPE}_cosine_ops, "kind" int4_ops) WITH (lists = 20)' in sql, sql)


def search(checks, Item, index, metric, distance, radius):
    items = Item.objects.annotate(distance=distance)
    nearest = items.order_by("distance")
    checks.uses(f"{metric}: plan", nearest[:NEAREST].explain(), index)
    pairs = nearest.values_list("id", "distance")
    checks.nearest(f"{metric}: k-NN", pairs[:NEAREST], by_distance(metric))
    checks.nearest(f"{metric}: filter", pairs.filter(kind=KIND)[:NEAREST], by_distance(metric, of_kind=KIND))
    checks.equal(f"{metric}: range", set(items.filter(distance__lt=radius).values_list("id", flat=True)),
                 {row for row, d in by_distance(metric) if d < radius})
    item = nearest.first()
    checks.equal(f"{metric}: object", (item.id, list(item.embedding)), (item.id, EMBEDDINGS[item.id]))


def main():
    checks = Checks()
    configure()
    with tempfile.TemporaryDirectory() as folder:
        migrate(folder, checks)
        from shop.models import Item

        Item.objects.bulk_create(Item(id=row, kind=kind(row), embedding=EMBEDDINGS[row]) for row in EMBEDDINGS)
        checks.equal("rows", Item.objects.count(), ROWS)
        search(checks, Item, "items_flat", "l2", L2Distance("embedding", QUERY), RADIUS)
        search(checks, Item, "items_ivf", "cosine", CosineDistance("embedding", QUERY), 0.5)
        # the neighbours of a row, in one query
        first = Item.objects.get(id=1)
        neighbor = Item.objects.exclude(id=1).order_by(L2Distance("embedding", first.embedding)).first()
        checks.equal("neighbour of a row", neighbor.id, by_distance(query=EMBEDDINGS[1])[1][0])
        command("migrate", "shop", "0001")
        checks.equal("undone", connection.introspection.table_names().count("shop_item"), 0)
    checks.finish()


main()
