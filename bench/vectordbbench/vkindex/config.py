from typing import Literal, TypedDict

from pydantic import BaseModel, SecretStr

from ..api import DBCaseConfig, DBConfig, MetricType

METRICS = {
    MetricType.L2: ("<->", "f32vec_l2_ops"),
    MetricType.IP: ("<#>", "f32vec_ip_ops"),
    MetricType.COSINE: ("<=>", "f32vec_cosine_ops"),
}


class VkIndexConfigDict(TypedDict):
    """Keyword arguments of psycopg.connect"""

    host: str
    port: int
    dbname: str
    user: str
    password: str


class VkIndexConfig(DBConfig):
    user_name: SecretStr = SecretStr("postgres")
    password: SecretStr
    host: str = "localhost"
    port: int = 5432
    db_name: str = "vectordb"

    def to_dict(self) -> VkIndexConfigDict:
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.db_name,
            "user": self.user_name.get_secret_value(),
            "password": self.password.get_secret_value(),
        }


class VkIndexCaseConfig(BaseModel, DBCaseConfig):
    metric_type: MetricType | None = None
    method: Literal["vkivf", "vkflat"] = "vkivf"
    target_recall: float = 0.95
    # the columns that cases filter by, in the index as well
    filter_columns: bool = False
    maintenance_work_mem: str | None = None
    max_parallel_workers: int | None = None

    def operator(self) -> str:
        return METRICS[self.metric_type or MetricType.COSINE][0]

    def operator_class(self) -> str:
        return METRICS[self.metric_type or MetricType.COSINE][1]

    def index_param(self) -> dict:
        """Settings of the session that builds the index"""
        settings = {
            "maintenance_work_mem": self.maintenance_work_mem,
            "max_parallel_maintenance_workers": self.max_parallel_workers,
        }
        return {name: value for name, value in settings.items() if value is not None}

    def search_param(self) -> dict:
        """Settings of the sessions that search"""
        return {"vkindex.target_recall": self.target_recall}
