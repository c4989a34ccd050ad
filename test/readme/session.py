"""A session in which the blocks of one file run: one psql, fed block by block."""

import os
import subprocess
import sys
import tempfile

MARK = "block-ends-here"


def psql(sql, database="postgres"):
    subprocess.run(["psql", "-Xqc", "SET client_min_messages = warning", "-c", sql, database],
                   check=True)


def python():
    """A Python that has psycopg: the package of Debian is for Debian's own."""
    for program in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([program, "-c", "import psycopg"], capture_output=True,
                          check=False).returncode == 0:
            return program
    return sys.executable


class Session:
    """psql by way of plans-as-15, so that plans read alike on every version."""

    def __init__(self, top, database, others):
        self.top = top
        self.database = database
        self.databases = [database] + others

    def __enter__(self):
        for database in self.databases:
            psql(f"DROP DATABASE IF EXISTS {database}")
            psql(f"CREATE DATABASE {database}")
        psql("CREATE EXTENSION vkindex", self.database)
        self.folder = tempfile.TemporaryDirectory()
        self.environment = dict(os.environ, PGDATABASE=self.database, PGOPTIONS="",
                                PYTHONUNBUFFERED="1")
        self.process = subprocess.Popen(
            [os.path.join(self.top, "test/plans-as-15"), "psql", "-Xq", "-P", "pager=off",
             self.database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self.environment, cwd=self.folder.name)
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()
        for database in self.databases:
            psql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def run(self, language, text):
        """What a block prints, errors included."""
        if language == "sql":
            return self.run_sql(text)
        program = {"sh": ["bash", "-e"], "python": [python(), "-"]}.get(language)
        if program is None:
            return ""
        done = subprocess.run(program, input=text, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=self.environment,
                              cwd=self.folder.name, check=False)
        return done.stdout + (f"ERROR:  exit status {done.returncode}\n" if done.returncode else "")

    def run_sql(self, text):
        self.process.stdin.write(f"{text}\n\\warn {MARK}\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.strip() == MARK:
                return "".join(lines)
            lines.append(line)
        return "".join(lines) + "ERROR:  psql has ended\n"
