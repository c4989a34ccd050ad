"""A Django app with our indexes."""

from django.contrib.postgres.indexes import PostgresIndex
from django.db import models
from pgvector.django import VectorField

from common import DIM, TYPE


class F32vecField(VectorField):
    """f32vec: read, written and compared as pgvector's vector is."""

    def db_type(self, connection):
        return f"f32vec({self.dimensions})"


class VkFlatIndex(PostgresIndex):
    suffix = "vkflat"


class VkIvfIndex(PostgresIndex):
    suffix = "vkivf"

    def __init__(self, *expressions, lists=None, **kwargs):
        self.lists = lists
        super().__init__(*expressions, **kwargs)

    def deconstruct(self):
        path, args, kwargs = super().deconstruct()
        return path, args, kwargs if self.lists is None else {**kwargs, "lists": self.lists}

    def get_with_params(self):
        return [] if self.lists is None else [f"lists = {self.lists}"]


class Item(models.Model):
    kind = models.IntegerField()
    embedding = (VectorField if TYPE == "vector" else F32vecField)(dimensions=DIM)

    class Meta:
        indexes = [
            VkFlatIndex(name="items_flat", fields=["embedding", "kind"], opclasses=[f"{TYPE}_l2_ops", "int4_ops"]),
            VkIvfIndex(name="items_ivf", fields=["embedding", "kind"], lists=20,
                       opclasses=[f"{TYPE}_cosine_ops", "int4_ops"]),
        ]
