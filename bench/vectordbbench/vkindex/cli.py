import os
from typing import Annotated, Unpack

import click
from pydantic import SecretStr

from vectordb_bench.backend.clients import DB

from ....cli.cli import (
    CommonTypedDict,
    cli,
    click_parameter_decorators_from_typed_dict,
    run,
)


class VkIndexTypedDict(CommonTypedDict):
    user_name: Annotated[str, click.option("--user-name", type=str, help="Db username", required=True)]
    password: Annotated[
        str,
        click.option(
            "--password",
            type=str,
            help="Postgres database password",
            default=lambda: os.environ.get("POSTGRES_PASSWORD", ""),
            show_default="$POSTGRES_PASSWORD",
        ),
    ]
    host: Annotated[str, click.option("--host", type=str, help="Db host", required=True)]
    port: Annotated[int, click.option("--port", type=int, help="Db port", default=5432, show_default=True)]
    db_name: Annotated[str, click.option("--db-name", type=str, help="Db name", required=True)]
    method: Annotated[
        str,
        click.option(
            "--method",
            type=click.Choice(["vkivf", "vkflat"]),
            help="Index access method",
            default="vkivf",
            show_default=True,
        ),
    ]
    target_recall: Annotated[
        float,
        click.option(
            "--target-recall",
            type=float,
            help="The recall that searches of vkivf declare",
            default=0.95,
            show_default=True,
        ),
    ]
    filter_columns: Annotated[
        bool,
        click.option(
            "--filter-columns/--no-filter-columns",
            type=bool,
            help="Whether the index has the columns that cases filter by",
            default=False,
            show_default=True,
        ),
    ]
    maintenance_work_mem: Annotated[
        str | None,
        click.option("--maintenance-work-mem", type=str, help="Memory for the build, as 4GB"),
    ]
    max_parallel_workers: Annotated[
        int | None,
        click.option("--max-parallel-workers", type=int, help="Parallel workers of the build"),
    ]


@cli.command()
@click_parameter_decorators_from_typed_dict(VkIndexTypedDict)
def VkIndex(**parameters: Unpack[VkIndexTypedDict]):
    from .config import VkIndexCaseConfig, VkIndexConfig

    run(
        db=DB.VkIndex,
        db_config=VkIndexConfig(
            db_label=parameters["db_label"],
            user_name=SecretStr(parameters["user_name"]),
            password=SecretStr(parameters["password"]),
            host=parameters["host"],
            port=parameters["port"],
            db_name=parameters["db_name"],
        ),
        db_case_config=VkIndexCaseConfig(
            method=parameters["method"],
            target_recall=parameters["target_recall"],
            filter_columns=parameters["filter_columns"],
            maintenance_work_mem=parameters["maintenance_work_mem"],
            max_parallel_workers=parameters["max_parallel_workers"],
        ),
        **parameters,
    )
