// Node's pg with pgvector-node: vectors as text, COPY in, COPY BINARY out and in.

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { fromSql, toSql } from 'pgvector';
import { registerTypes } from 'pgvector/pg';

const type = process.env.VK_TYPE; // vector, pgvector's, or f32vec of vkindex alone
const rows = 1000, dim = 16, kinds = 5, kind = 3, radius = 120, k = 10;

// ------------------------------------------------------------ right answers

const numbers = (n, f) => Array.from({ length: n }, (_, i) => f(i));
const query = numbers(dim, (j) => j * 37 % 100 - 50);
const embeddings = numbers(rows, (i) => {
  const row = i + 1;
  return numbers(dim, (j) => (row * row * (j + 3) + row * (2 * j + 1) * 37) % 1009 % 100 - 50);
});
const bits = (vector) => vector.map((x) => (x > 0 ? 1 : 0)).join('');

const distances = {
  l2: (a, b) => Math.hypot(...a.map((x, j) => x - b[j])),
  hamming: (a, b) => a.filter((x, j) => (x > 0) !== (b[j] > 0)).length,
};

function byDistance(metric = 'l2', ofKind = null) {
  return embeddings
    .map((vector, i) => ({ id: i + 1, distance: distances[metric](vector, query) }))
    .filter(({ id }) => ofKind === null || id % kinds === ofKind)
    .sort((a, b) => a.distance - b.distance);
}

const within = () => byDistance().filter(({ distance }) => distance < radius).map(({ id }) => id);

// ------------------------------------------------------------------- checks

let passed = 0, failed = 0;

function check(name, right, otherwise = '') {
  console.log(right ? 'ok' : 'NOT OK', name, right ? '' : otherwise);
  right ? passed++ : failed++;
}

const close = (a, b) => Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(b));

// the distances of the best rows, each at its own row
function checkNearest(name, found, expected) {
  const own = new Map(expected.map(({ id, distance }) => [id, distance]));
  check(name, found.length === k && found.every(({ id, distance }, i) =>
    close(distance, expected[i].distance) && close(distance, own.get(id))), JSON.stringify(found));
}

// -------------------------------------------------------------------- tests

async function connect() {
  const client = new pg.Client({ options: '-c vkindex.target_recall=1' });
  await client.connect();
  return client;
}

// the codec of vector serves f32vec
async function register(client) {
  if (type === 'vector') {
    await registerTypes(client);
  } else {
    const { rows: [{ oid }] } = await client.query('SELECT $1::regtype::oid AS oid', [type]);
    client.setTypeParser(oid, 'text', fromSql);
  }
}

async function fill(client) {
  await client.query(`CREATE TABLE items (id int PRIMARY KEY, kind int, embedding ${type}(${dim}))`);
  for (let row = 1; row <= 100; row++) {
    await client.query('INSERT INTO items VALUES ($1, $2, $3)', [row, row % kinds, toSql(embeddings[row - 1])]);
  }
  const lines = embeddings.slice(100).map((vector, i) => `${i + 101}\t${(i + 101) % kinds}\t${toSql(vector)}\n`);
  await pipeline(Readable.from(lines), client.query(copyFrom('COPY items FROM STDIN')));
  const { rows: back } = await client.query('SELECT embedding FROM items ORDER BY id');
  check('values back', JSON.stringify(back.map((row) => row.embedding)) === JSON.stringify(embeddings));
}

async function search(client, method, options) {
  const index = `items_${method}`;
  await client.query(`CREATE INDEX ${index} ON items USING ${method} (embedding ${type}_l2_ops, kind) ${options}`);
  const nearest = (where) =>
    `SELECT id, embedding <-> $1 AS distance FROM items ${where} ORDER BY distance LIMIT ${k}`;
  const vector = toSql(query);
  const plan = await client.query('EXPLAIN ' + nearest(''), [vector]);
  check(`${method}: plan`, JSON.stringify(plan.rows).includes(`using ${index} on`), JSON.stringify(plan.rows));
  let result = await client.query(nearest(''), [vector]);
  checkNearest(`${method}: k-NN`, result.rows, byDistance());
  for (let turn = 0; turn < kinds + 2; turn++) {
    // a statement with a name is prepared once, and has a generic plan from the sixth time on
    result = await client.query({ name: method, text: nearest('WHERE kind = $2'), values: [vector, turn % kinds] });
    checkNearest(`${method}: filter ${turn}`, result.rows, byDistance('l2', turn % kinds));
  }
  result = await client.query('SELECT id FROM items WHERE embedding <-> $1 < $2 ORDER BY embedding <-> $1',
    [vector, radius]);
  check(`${method}: range`, JSON.stringify(result.rows.map(({ id }) => id)) === JSON.stringify(within()));
  await client.query(`DROP INDEX ${index}`);
}

async function copyOutAndIn(client) {
  await client.query('CREATE TABLE items_copy (LIKE items)');
  const other = await connect();
  await pipeline(client.query(copyTo('COPY items TO STDOUT (FORMAT BINARY)')),
    other.query(copyFrom('COPY items_copy FROM STDIN (FORMAT BINARY)')));
  await other.end();
  const { rows: [{ count }] } = await client.query(
    'SELECT count(*)::int FROM items JOIN items_copy c USING (id, kind) WHERE items.embedding = c.embedding');
  check('COPY BINARY out and in', count === rows, count);
}

async function moreTypes(client) {
  await client.query(`CREATE TABLE others (id int, half halfvec(${dim}), code bit(${dim}))`);
  const lines = embeddings.map((vector, i) => `${i + 1}\t${toSql(vector)}\t${bits(vector)}\n`);
  await pipeline(Readable.from(lines), client.query(copyFrom('COPY others FROM STDIN')));
  await client.query('CREATE INDEX ON others USING vkivf (half halfvec_l2_ops) WITH (lists = 20)');
  await client.query('CREATE INDEX ON others USING vkflat (code bit_hamming_ops)');
  const half = await client.query(
    `SELECT id, half <-> $1 AS distance FROM others ORDER BY distance LIMIT ${k}`, [toSql(query)]);
  checkNearest('halfvec: k-NN', half.rows, byDistance());
  const code = await client.query(
    `SELECT id, code <~> $1 AS distance FROM others ORDER BY distance LIMIT ${k}`, [bits(query)]);
  checkNearest('bit: k-NN', code.rows, byDistance('hamming'));
}

const client = await connect();
await client.query(`CREATE EXTENSION IF NOT EXISTS ${type === 'vector' ? 'vkindex_pgvector' : 'vkindex'} CASCADE`);
await register(client);
await fill(client);
await search(client, 'vkflat', '');
await search(client, 'vkivf', 'WITH (lists = 20)');
await copyOutAndIn(client);
if (type === 'vector') {
  await moreTypes(client);
}
await client.end();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
