"""The schema objects of a PostgreSQL database, read from its catalog: those of the schema that has our tables.

Members of extensions are not included: a site may have some there for its own use.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from machine_monitor.database.schema.definitions import (
    CONSTRAINT_WORDS,
    Objects,
    SchemaObject,
    constraint,
    definition,
    table_parts,
    tokens,
    without_literal_default,
)

SCHEMA = "(SELECT relnamespace FROM pg_class WHERE oid = to_regclass('history'))"
NOT_OF_EXTENSION = "NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = {0} AND e.objid = {1} AND e.deptype = 'e')"
RELATIONS = {
    "r": "table",
    "p": "table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
    "c": "type",
}
# Each query selects objects: kind, name, definition.
QUERIES = (
    f"""SELECT c.relkind::text, c.relname, concat_ws(' ', CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
    CASE WHEN c.relrowsecurity THEN 'row security' END,
    CASE WHEN NOT pg_table_is_visible(c.oid) THEN 'hidden by another schema' END)
    FROM pg_class c WHERE c.relnamespace = {SCHEMA} AND c.relkind = ANY ('{{r,p,v,m,f,S,c}}')
    AND {NOT_OF_EXTENSION.format("'pg_class'::regclass", "c.oid")}""",
    f"""SELECT 'column', c.relname || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || o.collname END,
    CASE WHEN a.attnotnull THEN 'not null' END,
    nullif('generated ' || a.attgenerated::text, 'generated '), nullif('identity ' || a.attidentity::text, 'identity '),
    'default ' || pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_collation o ON o.oid = a.attcollation
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = {SCHEMA} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    AND {NOT_OF_EXTENSION.format("'pg_class'::regclass", "c.oid")}""",
    f"""SELECT 'constraint', c.relname, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE c.relnamespace = {SCHEMA} AND k.contype NOT IN ('n', 't')
    AND {NOT_OF_EXTENSION.format("'pg_class'::regclass", "c.oid")}""",
    f"""SELECT 'index', c.relname || ' on ' || t.relname,
    pg_get_indexdef(c.oid) || CASE WHEN i.indisvalid THEN '' ELSE ' invalid' END
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    WHERE c.relnamespace = {SCHEMA} AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)
    AND {NOT_OF_EXTENSION.format("'pg_class'::regclass", "t.oid")}""",
    # A disabled trigger of a foreign key is internal, too.
    f"""SELECT 'trigger', t.tgname || ' on ' || c.relname,
    pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' disabled' END
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = {SCHEMA} AND (NOT t.tgisinternal OR t.tgenabled <> 'O')""",
    f"""SELECT 'rule', r.rulename || ' on ' || c.relname, pg_get_ruledef(r.oid)
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
    WHERE c.relnamespace = {SCHEMA} AND r.rulename <> '_RETURN'""",
    f"""SELECT 'policy', p.polname || ' on ' || c.relname, 'policy'
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = {SCHEMA}""",
    f"""SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
    CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE p.prosrc END
    FROM pg_proc p WHERE p.pronamespace = {SCHEMA} AND {NOT_OF_EXTENSION.format("'pg_proc'::regclass", "p.oid")}""",
    f"""SELECT 'object', pg_describe_object(d.classid, d.objid, 0), '' FROM pg_depend d
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = {SCHEMA} AND d.deptype = 'n'
    AND d.classid <> ALL ('{{pg_class,pg_proc,pg_extension,pg_constraint}}'::regclass[])
    AND {NOT_OF_EXTENSION.format("d.classid", "d.objid")}""",
)
_CAST = re.compile(r" :: \w+( \[ \])?")
_IN = re.compile(r"\bin \( ([^()]*) \)")
_BETWEEN = re.compile(r"(\S+) between (\S+) and (\S+)")
# PostgreSQL's name of a type in the catalog, by its name in DDL.
TYPES = {"varchar": ["character", "varying"], "bigserial": ["bigint"]}


def read(cursor: Any) -> Objects:
    """Return the schema objects with their definitions."""
    cursor.execute("SELECT nspname FROM pg_namespace WHERE oid = " + SCHEMA)
    row = cursor.fetchone()
    schema, objects = row[0].lower() if row else "", {}
    for query in QUERIES:
        cursor.execute(query)
        for kind, name, text in cursor.fetchall():
            words = _without_schema(tokens(text), schema)
            if kind == "constraint":
                objects[constraint(name, _condition(words))] = ""
            else:
                objects[SchemaObject(RELATIONS.get(kind, kind), name)] = _definition(kind, words)
    return objects


def of_statements(statements: Sequence[str]) -> Objects:
    """Return the schema objects that these DDL statements create."""
    return {found: text for sql in statements for found, text in _objects(sql)}


def _objects(sql: str) -> Iterator[tuple[SchemaObject, str]]:
    words = tokens(sql)
    kind, name = [word for word in words[:4] if word != "unique"][1:3]
    if kind == "table":
        yield SchemaObject(kind, name), ""
        for part in table_parts(sql)[0]:
            yield from _parts_of_table(name, part)
    elif kind == "function":
        yield SchemaObject(kind, f"{name}()"), _definition(kind, words)
    else:
        yield SchemaObject(kind, f"{name} on {words[words.index('on') + 1]}"), _definition(kind, words)


def _parts_of_table(table: str, part: Sequence[str]) -> Iterator[tuple[SchemaObject, str]]:
    name, *words = part
    if name in CONSTRAINT_WORDS:
        yield constraint(table, _condition(words[1:] if name == "constraint" else part)), ""
        return
    if words[0] == "bigserial":
        sequence = f"{table}_{name}_seq"
        yield SchemaObject("sequence", sequence), ""
        words += tokens(f"default nextval('{sequence}'::regclass)")
    catalog_words = [found for word in words for found in TYPES.get(word, [word])]
    yield SchemaObject("column", f"{table}.{name}"), _definition("column", catalog_words)


def _definition(kind: str, words: Sequence[str]) -> str:
    if kind == "column":
        return definition(without_literal_default(words))
    if kind == "index":
        return definition(_condition(words))
    return definition([word for word in words if word not in ("or", "replace")] if kind == "function" else words)


def _without_schema(words: Sequence[str], schema: str) -> list[str]:
    found: list[str] = []
    for word in words:
        if word == "." and found and found[-1] == schema:
            found.pop()
        else:
            found.append(word)
    return found


def _condition(words: Sequence[str]) -> list[str]:
    """Write a condition as PostgreSQL stores it, without casts and parentheses: `a IN (1)` becomes `a = ANY ARRAY [1]`.

    `a BETWEEN b AND c` becomes `a >= b AND a <= c`. Indexes are B-trees unless they say otherwise.
    """
    text = " ".join(words)
    text = _CAST.sub("", text)
    text = _IN.sub(r"= any array [ \1 ]", text)
    text = _BETWEEN.sub(r"\1 >= \2 and \1 <= \3", text)
    text = text.replace(" using btree", "").replace("fastupdate = 'false'", "fastupdate = false")
    return [word for word in text.split(" ") if word not in ("(", ")")]
