"""A wrong folder, a missing right, a database of another encoding: each command says what is wrong and what to do."""

import os

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from machine_monitor.database import database_urls
from machine_monitor.database.engines.sqlite import path_faults
from machine_monitor.database.schema import migrations
from ordinary_user import as_nobody, let_everybody_enter, needs_root

READING = (
    ["user", "list"],
    ["token", "list"],
    ["token", "add", "ADM"],
    ["token", "revoke", "3"],
    ["export", "x.csv"],
    ["export", "old", "--legacy"],
    ["export", "x.csv", "--files", "files"],
    ["files", "prune"],
    ["files", "prune", "--dry-run"],
    ["verify"],
    ["verify", "--files"],
    ["backup", "x.db"],
    ["doctor", "--rebuild-search"],
)
PASSWORD = "s3cr3t"  # noqa: S105 -- only a test password


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_command_in_the_wrong_folder_creates_no_database(mm, working_folder, words):
    code, out, err = mm(*words)
    assert (code, out) == (2, "")
    assert f"There is no database at sqlite:///{working_folder}/machine-monitor.db. Run the command in" in err
    assert [*working_folder.iterdir()] == []


def test_a_command_that_creates_a_database_says_where(mm, working_folder):
    assert f"Created a new database: {working_folder}/machine-monitor.db" in mm("user", "add", "ADM")[2]
    assert "Created" not in mm("user", "add", "LEA")[2]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("folder", "it is a folder. Name a file in it, such as {0}/folder/machine-monitor.db."),
        ("missing/x.db", "the folder {0}/missing does not exist. Create it, or correct the path."),
        ("file/x.db", "{0}/file is a file, not a folder. Correct the path."),
        ("pipe", "it is not a file. Correct the path."),
        ("file", "file is not a database."),
    ],
)
@pytest.mark.parametrize("words", [["migrate"], ["serve", "--port", "0"], ["user", "list"], ["verify"]], ids=" ".join)
def test_a_path_that_cannot_be_used_is_explained(mm, working_folder, path, sentence, words):
    (working_folder / "folder").mkdir()
    (working_folder / "file").write_text("not a database, but long enough to be one" * 100)
    os.mkfifo(working_folder / "pipe")
    before = sorted(working_folder.iterdir())
    code, out, err = mm(*words, database_url=f"sqlite:///{path}")
    place = f"The database sqlite:///{working_folder}/{path} cannot be used: "
    assert (code, out, err) == (2, "", place + sentence.format(working_folder) + "\n")
    assert sorted(working_folder.iterdir()) == before
    code, out, _ = mm("doctor")
    assert code == 1
    assert place in out


@needs_root
def test_a_missing_right_is_named(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open/private.db").touch(mode=0o600)
    let_everybody_enter(tmp_path)
    names = ("closed/x.db", "open/x.db", "open/private.db")
    reasons = [as_nobody(path_faults.find, tmp_path / name) for name in names]
    sentences = ("this user may not look into the folder {}/closed.", "this user may not write to the folder {}/open.")
    sentences += ("this user may not read the file.",)
    for sentence, expected in zip(filter(None, reasons), sentences, strict=True):
        assert sentence.startswith(expected.format(tmp_path))
        assert sentence.endswith("choose another file with MM_DATABASE_URL.")


@pytest.fixture
def server(postgresql_url):
    """A function that runs a statement as the superuser of PostgreSQL."""
    with psycopg.connect(database_urls.parse(postgresql_url).conninfo, autocommit=True) as connection:
        yield lambda statement, *names: connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_is_not_in_utf8_is_refused_by_every_command(mm, server, postgresql_url, encoding):
    name = f"mm_{encoding.lower()}"
    server(f"CREATE DATABASE {{}} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'", name)
    url = database_urls.parse(postgresql_url).sqlalchemy_url.set(database=name).render_as_string(hide_password=False)
    sentence = f"The database {name} has the encoding {encoding}, and must have UTF8. Create another one: createdb"
    for words in (["migrate"], ["serve", "--port", "0"], ["user", "add", "ADM"], *READING[:-1]):
        code, out, err = mm(*words, database_url=url)
        assert (code, out, err.count("\n"), err.startswith(sentence)) == (2, "", 1, True), err
    code, out, _ = mm("doctor")
    assert code == 1
    assert sentence in out
    server("DROP DATABASE {}", name)


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_a_missing_right_in_postgresql_is_named(mm, server, empty_url, working_folder):  # noqa: ARG001 -- `mm` writes there
    url = database_urls.parse(empty_url).sqlalchemy_url
    weak = url.set(username="mm_weak").render_as_string(hide_password=False)
    server("CREATE ROLE {} LOGIN", "mm_weak")

    def refused(*words) -> str:
        code, out, err = mm(*words, database_url=weak)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        return err

    try:
        for words in (["migrate"], ["serve", "--port", "0"], ["user", "add", "ADM"]):
            assert "permission denied for schema public. Grant the right to the user of the URL" in refused(*words)
        migrations.ensure_schema(database_urls.parse(empty_url))
        for words in (["migrate"], ["serve", "--port", "0"], ["user", "list"], ["verify"]):
            assert "permission denied for table alembic_version. Grant the right" in refused(*words)
        with psycopg.connect(database_urls.parse(empty_url).conninfo) as connection:
            connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO mm_weak")
        for words in (["user", "list"], ["verify"], ["export", "x.csv"], ["doctor"]):
            assert mm(*words, database_url=weak)[0] == 0
        assert "permission denied for table users. Grant the right" in refused("user", "add", "ADM")
        server("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", str(url.database))
        assert 'permission denied for database "' in refused("user", "list")
    finally:
        with psycopg.connect(database_urls.parse(empty_url).conninfo) as connection:
            connection.execute("DROP OWNED BY mm_weak")
        server("DROP ROLE {}", "mm_weak")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("user", "database", "query", "sentence"),
    [
        ("mm_nobody", "postgres", {}, "Create this user with createuser, or correct the URL."),
        ("postgres", "mm_nowhere", {}, "Create it: createdb --encoding UTF8"),
        ("postgres", "postgres", {"target_session_attrs": "standby"}, "No server has the `target_session_attrs`"),
        ("postgres", "postgres", {"host": "/nowhere"}, "Check that the server is running there"),
        ("postgres", "postgres", {"host": "/nowhere,/none"}, "(/nowhere/.s.PGSQL.5432); No such file"),
        ("postgres", "postgres", {"host": "no.example"}, "Check the name of the host."),
        ("postgres", "postgres", {"options": "-c no.such"}, "cannot be used"),
    ],
)
def test_a_connection_that_fails_is_explained_in_one_line(mm, postgresql_url, user, database, query, sentence):
    url = database_urls.parse(postgresql_url).sqlalchemy_url
    url = url.set(username=user, database=database, password=PASSWORD).update_query_dict(query)
    for words in (["user", "list"], ["serve", "--port", "0"]):
        code, out, err = mm(*words, database_url=url.render_as_string(hide_password=False))
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert sentence in err
        assert PASSWORD not in err


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_the_first_of_several_hosts_that_accepts_writes_is_used(mm, empty_url):
    parsed_url = database_urls.parse(empty_url)
    host = conninfo_to_dict(parsed_url.conninfo)["host"]
    hosts = {"host": f"/nowhere,{host}", "target_session_attrs": "read-write"}
    several = parsed_url.sqlalchemy_url.update_query_dict(hosts).render_as_string(hide_password=False)
    assert mm("migrate", database_url=several)[0] == 0
    assert mm("user", "list")[0] == 0
