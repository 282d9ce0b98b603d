"""The programs in JavaScript of docs/connect work with the service: a data provider, pages of a grid, and a flow."""

import json
import select
import shutil
import subprocess
from pathlib import Path

import pytest

from machine_monitor.client import Client
from machine_monitor.config import Settings
from machine_monitor.query.language import parser, values
from reliability.clients.accounts import add_users
from servers import threaded
from transcripts import blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/connect"
MODULES = ROOT / "frontend/node_modules"
# What openapi-typescript makes of docs/openapi.json; a test of the console keeps it current.
SCHEMA = ROOT / "frontend/src/api/schema.d.ts"
NODE = shutil.which("node")
LOGS = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.untraced,
    pytest.mark.skipif(NODE is None, reason="needs Node 20 or newer"),
]

PROVIDER = """
import assert from 'node:assert/strict'
import { createDataProvider } from './dataProvider.mjs'
const provider = createDataProvider(...process.argv.slice(2))
const list = (filter, page = 1, sort = { field: 'id', order: 'ASC' }, perPage = 20) =>
  provider.getList('logs', { pagination: { page, perPage }, sort, filter })

const machine = await provider.create('machines', { data: { name: 'Mill & 4', sector: '2B' } })
assert.equal(machine.data.id, 'Mill & 4')
const { data: log } = await provider.create('logs', { data: { machine: 'Mill & 4', type: 'error', comment: 'Oil' } })
assert.equal(log.id, log.uuid)
const { data: changed } = await provider.update('logs', {
  id: log.id, data: { ...log, severity: 'major', comment: null }, previousData: log })
assert.deepEqual([changed.version, changed.severity, changed.comment, changed.id], [2, 'major', null, log.id])
const conflict = provider.update('logs', { id: log.id, data: { ...log, cause: 'seal' }, previousData: log })
await assert.rejects(conflict, (error) => error.status === 412 && error.body.current.version === 2)
const many = await provider.getMany('machines', { ids: ['Saw', 'Mill & 4'] })
assert.deepEqual(many.data.map((one) => one.id), ['Saw', 'Mill & 4'])
const second = await list({ machine: ['Saw', 'Lathe'] }, 2, { field: 'started_at', order: 'DESC' })
assert.deepEqual([second.data.length, second.total, second.data[0].comment], [20, 60, 'number 39'])
const of = await provider.getManyReference('logs', {
  target: 'machine', id: 'Mill & 4', pagination: { page: 1, perPage: 9 }, sort: { field: 'id', order: 'ASC' } })
assert.deepEqual(of.data.map((one) => one.id), [log.id])
await provider.updateMany('logs', { ids: [log.id], data: { project: 'P' } })
assert.equal((await provider.getOne('logs', { id: log.id })).data.project, 'P')
await provider.delete('logs', { id: log.id, previousData: changed })
await assert.rejects(provider.getOne('logs', { id: log.id }), { status: 410 })
await assert.rejects(provider.deleteMany('machines', { ids: ['Saw'] }), { status: 409 })
await assert.rejects(list({ machin: 'Saw' }), /Did you mean 'machine'/)
"""

PAGES = """
import assert from 'node:assert/strict'
import { createPager } from './pages.mjs'
const get = async (query) => {
  const [url, token] = process.argv.slice(2)
  const headers = { Authorization: `Bearer ${token}` }
  const response = await fetch(`${url}/logs?${new URLSearchParams(query)}`, { headers })
  if (!response.ok) throw new Error((await response.json()).detail)
  return response.json()
}
const numbers = (items) => items.map((one) => Number(one.comment.split(' ')[1]))
const range = (first, count) => Array.from({ length: count }, (_, step) => first - step)
await assert.rejects(get({ offset: 21 }), /from 0 to 20/)
const pager = createPager(get, { filters: { q: 'number' }, size: 8, maxOffset: 20 })
const total = 60
// The last pages by the reverse order, the last one with fewer rows; then page after page by cursors.
assert.deepEqual(numbers(await pager(8, total)), [3, 2, 1, 0])
assert.deepEqual(numbers(await pager(7, total)), range(11, 8))
await assert.rejects(pager(4, 600), /add a filter/)
for (const page of [1, 2, 3, 4, 5, 6, 7, 8]) {
  assert.deepEqual(numbers(await pager(page, total)), range(59 - 8 * (page - 1), page === 8 ? 4 : 8))
}
"""

# Runs the function nodes of the flow with the objects that Node-RED gives them.
FLOW = """
import http from 'node:http'
import https from 'node:https'
import { readFileSync } from 'node:fs'
import vm from 'node:vm'
const [url, token, position] = process.argv.slice(2)
const nodes = Object.fromEntries(JSON.parse(readFileSync('node-red.json')).map((node) => [node.id, node]))
const functionOf = (id, code = 'func') => `(function (msg) {${nodes[id][code]}\\n})`
const stored = new Map([['position', position]])
const context = { get: (name) => stored.get(name), set: (name, value) => stored.set(name, value) }
const env = { get: (name) => ({ MM_URL: url, MM_TOKEN: token })[name] }
const send = (message) => {
  if (message.topic === 'replaced') return console.log(JSON.stringify({ topic: message.topic }))
  const shown = vm.runInNewContext(functionOf('breakdowns'))(message)
  console.log(JSON.stringify({ position: stored.get('position'), topic: message.topic, shown: shown?.payload ?? null }))
}
const node = { send, error: (text) => console.log(JSON.stringify({ error: text })), status: () => undefined }
// Shorten the waits: the flow reconnects after a tenth of a second instead of five seconds.
const soon = (done, milliseconds) => setTimeout(done, milliseconds / 50)
const sandbox = vm.createContext({ http, https, context, env, node, URL, setTimeout: soon, clearTimeout })
vm.runInContext(functionOf('listen', 'initialize'), sandbox)()
process.stdin.on('data', () => {
  vm.runInContext(functionOf('listen', 'finalize'), sandbox)()
  process.stdin.destroy()
})
"""


TYPESCRIPT = """
import { readFileSync, writeFileSync } from 'node:fs'
import ts from 'typescript'
const text = readFileSync('client.ts', 'utf8')
const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true }
writeFileSync('client.mjs', ts.transpileModule(text, { compilerOptions: options }).outputText)
const { recordBreakdown } = await import('./client.mjs')
console.log(JSON.stringify(await recordBreakdown(...process.argv.slice(2), 'Lathe', '2B')))
"""


@pytest.fixture
def address(sqlite_database_url, monkeypatch):
    """The URL of a service with sixty logs, whose offset ends at 20, and a token."""
    monkeypatch.setattr(parser, "parse_offset", values.integer_between(0, 20))
    token = add_users(sqlite_database_url, ONE="write")["ONE"]
    with threaded(Settings(database_url=sqlite_database_url)) as (_, port):
        url = f"http://127.0.0.1:{port}"
        with Client(url, token) as client:
            for name in ("Saw", "Lathe"):
                client.request("PUT", f"/machines/{name}", body={"sector": "2B"})
            items = [
                {"machine": "Saw", "type": "info", "comment": f"number {n}", "started_at": f"2025-07-01T08:{n:02}Z"}
                for n in range(LOGS)
            ]
            client.request("POST", "/logs/bulk", body={"items": items})
        yield url, token


@pytest.fixture
def run(tmp_path):
    """A function that runs a program beside those of the documentation."""
    for page in DOCS.glob("*.md"):
        for block in blocks(page.read_text()):
            if block.title.endswith((".mjs", ".ts")):
                (tmp_path / block.title).write_text(block.text)
    shutil.copy(DOCS / "node-red.json", tmp_path)

    def start(program, *arguments):
        (tmp_path / "program.mjs").write_text(program)
        command = [NODE, "program.mjs", *arguments]
        return subprocess.Popen(
            command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    return start


@pytest.mark.parametrize("program", [PROVIDER, PAGES], ids=["data provider", "pages"])
def test_a_program_for_web_pages_works(address, run, program):
    with run(program, *address) as process:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output


@pytest.mark.skipif(not MODULES.is_dir(), reason="needs frontend/node_modules: make console")
def test_the_types_fit_the_program_in_typescript_which_works(address, run, tmp_path):
    (tmp_path / "node_modules").symlink_to(MODULES)
    shutil.copy(SCHEMA, tmp_path / "api.d.ts")
    strict = ["--strict", "--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"]
    command = [NODE, MODULES / "typescript/bin/tsc", *strict, "--target", "es2022", "--lib", "es2022,dom", "client.ts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    with run(TYPESCRIPT, *address) as process:
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, json.loads(output)) == (0, ["Lathe major"])


def lines_of(process, count):
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def test_the_flow_of_node_red_gives_each_breakdown_once(address, run):
    with Client(*address) as client:
        start = client.newest_position()
        with run(FLOW, *address, start) as process:
            client.record("Saw", "error", comment="Blade bent")
            client.record("Saw", "info", comment="Chips")
            first, second = lines_of(process, 2)
            assert (first["topic"], first["shown"]) == ("change", "Saw: Blade bent")
            assert (second["topic"], second["shown"]) == ("change", None)
            process.communicate("end", timeout=20)
        # A flow that starts again continues after the position that it has stored.
        client.record("Lathe", "error")
        with run(FLOW, *address, first["position"]) as process:
            _, third = lines_of(process, 2)
            assert third["shown"] == "Lathe: "
            process.communicate("end", timeout=20)
        # After a backup was restored, the flow does not report old breakdowns again.
        with run(FLOW, *address, f"999-{16 * 'a'}") as process:
            assert lines_of(process, 1) == [{"topic": "replaced"}]
            # The flow needs a moment to connect again. It then shows the breakdowns that are recorded from then on.
            is_shown = False
            while not is_shown:
                client.record("Lathe", "error", comment="New")
                is_shown, *_ = select.select([process.stdout], [], [], 1)
            (new,) = lines_of(process, 1)
            assert new["shown"] == "Lathe: New"
            process.communicate("end", timeout=20)
