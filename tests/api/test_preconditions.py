"""ETag, If-Match and If-None-Match."""

import asyncio

import pytest

from api.resource_cases import LOGS, MACHINES, RESOURCES, create, entries
from conftest import serving
from machine_monitor.config import Settings
from query import samples

every_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.path)
in_module = pytest.mark.asyncio(loop_scope="module")

# The ETag "1" as proxies that compress responses pass it on.
CHANGED_BY_PROXIES = ['W/"1"', '"1-gzip"', '"1;gzip"', '"1-br"', '"1-zstd"', '"1--gzip"', 'W/"1-gzip"', '"1-gzip-br"']

READS = [
    ({"If-None-Match": '"1"'}, 304),
    ({"If-None-Match": '"9", W/"1"'}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"2"'}, 200),
    ({"If-None-Match": "1"}, 200),
    ({"If-None-Match": ""}, 200),
    ({"If-Match": '"1"'}, 200),
]
WRITES = [
    ({"If-Match": '"1"'}, True),
    ({"If-Match": '"7","1"'}, True),
    ({"If-Match": "*"}, True),
    ({"If-None-Match": '"7"'}, True),
    ({"If-Match": 'W/"2", "2-gzip", "11-gzip", "1-other", "1gzip", "-gzip"'}, False),
    ({"If-Match": '"2"'}, False),
    ({"If-Match": "1"}, False),
    ({"If-Match": ""}, False),
    ({"If-Match": '"01"'}, False),
    ({"If-None-Match": "*"}, False),
    ({"If-None-Match": "*", "If-Match": '"1"'}, False),
]


@in_module
@every_resource
@pytest.mark.parametrize(("headers", "status"), READS)
async def test_a_get_is_304_if_the_client_has_the_current_version(seeded, resource, headers, status):
    key, _ = await create(seeded, resource)
    for response in (
        await seeded.get(resource.path_of(key), headers=headers),
        await seeded.head(resource.path_of(key), headers=headers),
    ):
        assert (response.status_code, response.headers["ETag"]) == (status, '"1"')
        assert "X-Request-ID" in response.headers
        assert response.content == b"" or status == 200


@in_module
@every_resource
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(("headers", "allowed"), WRITES)
async def test_a_write_is_done_only_if_its_preconditions_hold(seeded, resource, method, headers, allowed):
    key, record = await create(seeded, resource, **({"label": "L"} if resource.key == "code" else {}))
    body = None if method == "DELETE" else resource.minimal_body | resource.change
    response = await seeded.request(method, resource.path_of(key), json=body, headers=headers)
    if allowed:
        assert response.status_code == (204 if method == "DELETE" else 200), response.text
        return
    assert (response.status_code, response.json()["code"]) == (412, "version-conflict")
    assert response.json()["current"] == record == (await seeded.get(resource.path_of(key))).json()


@in_module
@every_resource
async def test_a_put_with_if_match_does_not_create(seeded, resource):
    key = resource.new_key()
    for stale in ('"1"', "*"):
        refused = await seeded.put(resource.path_of(key), json=resource.minimal_body, headers={"If-Match": stale})
        assert (refused.status_code, refused.json()["code"]) == (412, "version-conflict")
    for method in ("PATCH", "DELETE"):
        body = None if method == "DELETE" else resource.change
        missing = await seeded.request(method, resource.path_of(key), json=body, headers={"If-Match": '"1"'})
        assert missing.status_code == 404
    created = await seeded.put(resource.path_of(key), json=resource.minimal_body, headers={"If-None-Match": "*"})
    assert (created.status_code, created.headers["ETag"]) == (201, '"1"')


@in_module
async def test_each_change_gives_a_new_etag(seeded):
    key, _ = await create(seeded, MACHINES)
    tag = '"1"'
    for number in range(3):
        response = await seeded.patch(MACHINES.path_of(key), json={"comment": str(number)}, headers={"If-Match": tag})
        assert response.status_code == 200
        assert response.headers["ETag"] not in (tag, None)
        stale = await seeded.patch(MACHINES.path_of(key), json={"comment": "-"}, headers={"If-Match": tag})
        assert stale.status_code == 412
        tag = response.headers["ETag"]
    assert [entry["version"] for entry in await entries(seeded, MACHINES, key)] == [4, 3, 2, 1]


@pytest.mark.parametrize("resource", [LOGS, MACHINES], ids=lambda resource: resource.path)
async def test_one_of_many_concurrent_writers_wins(client, resource):
    await samples.seed(client)
    key, _ = await create(client, resource)
    for version in range(1, 4):
        responses = await asyncio.gather(
            *[
                client.patch(
                    resource.path_of(key), json={"comment": f"{version} {i}"}, headers={"If-Match": f'"{version}"'}
                )
                for i in range(6)
            ]
        )
        assert sorted(response.status_code for response in responses) == [200, 412, 412, 412, 412, 412]
        winner = next(response for response in responses if response.status_code == 200).json()
        assert {response.json()["current"]["comment"] for response in responses if response.status_code == 412} == {
            winner["comment"]
        }
    assert len(await entries(client, resource, key)) == 4


@pytest.mark.parametrize("resource", [LOGS, MACHINES], ids=lambda resource: resource.path)
async def test_one_of_many_concurrent_creators_wins(client, resource):
    await samples.seed(client)
    key = resource.new_key()
    puts = [client.put(resource.path_of(key), json=resource.minimal_body) for _ in range(4)]
    posts = [client.post(f"/{resource.path}", json=resource.body(key)) for _ in range(4)]
    responses = await asyncio.gather(*puts, *posts)
    statuses = [response.status_code for response in responses]
    assert statuses.count(201) == 1
    assert set(statuses[:4]) <= {200, 201}
    assert set(statuses[4:]) <= {201, 409}
    assert len(await entries(client, resource, key)) == 1


@pytest.fixture
async def strict(database_url):
    async with serving(Settings(database_url=database_url, require_if_match=True)) as client:
        await samples.seed(client)
        yield client


async def test_a_site_can_require_if_match(strict):
    for resource in RESOURCES:
        key, record = await create(strict, resource, **({"label": "L"} if resource.key == "code" else {}))
        for method in ("PUT", "PATCH", "DELETE"):
            body = None if method == "DELETE" else resource.minimal_body | resource.change
            for headers in ({}, {"If-None-Match": '"99"'}):
                response = await strict.request(method, resource.path_of(key), json=body, headers=headers)
                assert response.status_code == 428, (method, headers)
                assert response.json()["code"] == "precondition-required"
            stale = await strict.request(method, resource.path_of(key), json=body, headers={"If-Match": '"99"'})
            assert stale.status_code == 412
        assert (await strict.get(resource.path_of(key))).json() == record
        exists = await strict.put(resource.path_of(key), json=resource.minimal_body, headers={"If-None-Match": "*"})
        assert exists.status_code in (412, 428)
        done = await strict.patch(resource.path_of(key), json=resource.change, headers={"If-Match": '"1"'})
        assert done.status_code == 200, done.text
        assert (await strict.delete(resource.path_of(key), headers={"If-Match": '"2"'})).status_code == 204
        missing = resource.new_key()
        assert (await strict.patch(resource.path_of(missing), json={})).status_code == 404
        assert (await strict.delete(resource.path_of(missing))).status_code == 404
        assert (await strict.put(resource.path_of(missing), json=resource.minimal_body)).status_code == 201


@in_module
@every_resource
async def test_a_tag_that_a_proxy_changed_names_the_same_version(seeded, resource):
    for tag in CHANGED_BY_PROXIES:
        key, _ = await create(seeded, resource)
        path = resource.path_of(key)
        assert (await seeded.get(path, headers={"If-None-Match": tag})).status_code == 304, tag
        assert (await seeded.get(path, headers={"If-Match": tag})).status_code == 200, tag
        for headers, status in (({"If-None-Match": tag}, 412), ({"If-Match": tag}, 200), ({"If-Match": tag}, 412)):
            written = await seeded.patch(path, json=resource.change, headers=headers)
            assert (written.status_code, written.headers.get("ETag")) == (status, '"2"' if status == 200 else None), tag
