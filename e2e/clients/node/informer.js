// The Node.js client: typed and custom calls, patches, server-side apply through the object API, and informers that
// follow what happens, as a console made with it would.
//
// Reads the definition of the kind Widget from standard input.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const custom = config.makeApiClient(k8s.CustomObjectsApi);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const namespace = 'default';

async function until(what, look) {
    const limit = Date.now() + 20_000;
    for (;;) {
        const found = await look();
        if (found) return found;
        assert.ok(Date.now() < limit, `waited for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

async function refused(code, call) {
    await assert.rejects(call, (error) => {
        assert.equal(error.code, code, String(error));
        return true;
    });
}

/** Follows a kind, and keeps what it is told. */
async function informer(path, list) {
    const seen = [];
    const informer = k8s.makeInformer(config, path, list);
    for (const event of ['add', 'update', 'delete']) {
        informer.on(event, (object) => seen.push(`${event} ${object.metadata.name}`));
    }
    informer.on('error', (error) => seen.push(`error ${error}`));
    await informer.start();
    return { informer, seen, sees: (event) => until(event, () => seen.includes(event)) };
}

const definition = k8s.loadYaml(readFileSync(0, 'utf8'));
const group = definition.spec.group;
const kind = { group, version: 'v1', namespace, plural: 'widgets' };
await objects.create(definition);
await until('the kind to be served', async () => {
    const { status } = await objects.read(definition);
    return status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True');
});

const widgets = await informer(`/apis/${group}/v1/namespaces/${namespace}/widgets`, () =>
    custom.listNamespacedCustomObject(kind),
);
const maps = await informer(`/api/v1/namespaces/${namespace}/configmaps`, () => core.listNamespacedConfigMap({ namespace }));

await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'c' }, data: { a: '1' } } });
await maps.sees('add c');
const strategic = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.StrategicMergePatch);
const patched = await core.patchNamespacedConfigMap({ name: 'c', namespace, body: { data: { a: null, b: '2' } } }, strategic);
assert.deepEqual(patched.data, { b: '2' });
await maps.sees('update c');
assert.ok(patched.metadata.creationTimestamp instanceof Date);
await refused(404, () => core.readNamespacedConfigMap({ name: 'none', namespace }));
await refused(409, () => core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'c' } } }));

const apiVersion = `${group}/v1`;
const widget = { apiVersion, kind: 'Widget', metadata: { name: 'w', namespace }, spec: { color: 'red' } };
const apply = (body, manager, force) =>
    objects.patch(body, undefined, undefined, manager, force, k8s.PatchStrategy.ServerSideApply);
const made = await apply(widget, 'one');
assert.equal(made.spec.replicas, 1);
await widgets.sees('add w');
const blue = { ...widget, spec: { color: 'blue' } };
await refused(409, () => apply(blue, 'two'));
assert.equal((await apply(blue, 'two', true)).spec.color, 'blue');
await widgets.sees('update w');
await refused(422, () => apply({ ...widget, spec: { color: 'pink' } }, 'one', true));
const status = [{ op: 'add', path: '/status', value: { replicas: 2 } }];
const told = await custom.patchNamespacedCustomObjectStatus({ ...kind, name: 'w', body: status });
assert.deepEqual([told.status.replicas, told.metadata.generation], [2, 2]);
assert.equal(widgets.informer.get('w', namespace)?.spec.color, 'blue');
const { items } = await objects.list(apiVersion, 'Widget', namespace);
assert.deepEqual(items.map((item) => item.metadata.name), ['w']);

await objects.delete(widget);
await widgets.sees('delete w');
await core.deleteNamespacedConfigMap({ name: 'c', namespace });
await maps.sees('delete c');
for (const { informer, seen } of [widgets, maps]) {
    assert.deepEqual(seen.filter((event) => event.startsWith('error')), []);
    await informer.stop();
}
console.log('all is well');
process.exit(0);
