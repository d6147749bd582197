// Segment's libraries for Node.js, and RudderStack's, against braze_receive behind
// Apache httpd: answers get lost on the way and the database is restarted in
// the middle, and each call arrives once.
'use strict';

const fs = require('fs');
const http = require('http');
const zlib = require('zlib');

const { ok, is, runAll, until } = require('./tap');
const { sql, setOptions, restart } = require('./database');
const { readBody } = require('./standin');
const { startProxy } = require('./proxy');

const CALLS = 2000;
const SMALL = 20000;
const WARM = 4000;
const httpd = new URL(process.env.HTTPD_URL);

function createKey() {
  return sql("SELECT braze_create_write_key('site', 'braze');");
}

// each has a function that takes a call, and one that returns when all are sent
const libraries = {
  '@segment/analytics-node': (key, url) => {
    const { Analytics } = require('@segment/analytics-node');
    const analytics = new Analytics({ writeKey: key, host: url, flushAt: 20, flushInterval: 200, maxRetries: 50 });
    analytics.on('error', () => {});
    return { call: (call) => analytics[call.type](call), end: () => analytics.closeAndFlush({ timeout: 120000 }) };
  },
  'analytics-node': (key, url) => {
    const Analytics = require('analytics-node');
    const analytics = new Analytics(key, { host: url, flushAt: 20, flushInterval: 200, retryCount: 50, errorHandler: () => {} });
    // its own delays grow without an end
    analytics.axiosInstance.defaults['axios-retry'] = { retryDelay: () => 100 };
    return { call: (call) => analytics[call.type](call), end: () => analytics.flush() };
  },
  '@rudderstack/rudder-sdk-node': (key, url) => {
    const Rudder = require('@rudderstack/rudder-sdk-node');
    const analytics = new (Rudder.default || Rudder)(key, {
      dataPlaneUrl: url, flushAt: 20, flushInterval: 200, maxQueueSize: 1000000, retryCount: 50, gzip: false, errorHandler: () => {}, logLevel: 'off',
    });
    return { call: (call) => analytics[call.type](call), end: () => analytics.flush() };
  },
};

function callOf(i) {
  const userId = `u${i % 50}`;
  if (i % 10 === 0) return { type: 'identify', userId, traits: { seq: i, plan: 'pro' } };
  if (i % 10 === 5) return { type: 'page', userId, name: 'Home', properties: { seq: i } };
  return { type: 'track', userId, event: 'Song Played', properties: { seq: i } };
}

const ARRIVED = `SELECT count(*) || ' ' || count(DISTINCT seq) FROM (
  SELECT coalesce(call #> '{properties,seq}', call #> '{traits,seq}') AS seq FROM braze_queue) q`;

function arrived() {
  try {
    return sql(`${ARRIVED};`);
  } catch (error) {
    return 'not up';
  }
}

async function run(name, proxy) {
  sql('DELETE FROM braze_queue;');
  const lost = proxy.lost;
  const library = libraries[name](createKey(), proxy.url);
  for (let i = 0; i < CALLS; i += 1) {
    library.call(callOf(i));
    if (i % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 20));
    if (i === CALLS / 2) restart();
  }
  await Promise.resolve(library.end()).catch(() => {});
  await until(() => arrived().endsWith(` ${CALLS}`), 120000);
  is(arrived(), `${CALLS} ${CALLS}`, `${name}: each of ${CALLS} calls arrived once, the server restarted meanwhile`);
  ok(proxy.lost - lost > 3, `${name}: answers were lost (${proxy.lost - lost}), and repeats known`);
  is(sql("SELECT count(*) FROM braze_queue WHERE NOT call ? 'messageId' OR NOT call ? 'receivedAt';"), '0',
    `${name}: with messageId and the time of their arrival`);
  is(sql("SELECT count(*) FROM braze_queue, braze_map(call, 'braze') m WHERE outcome = 'reject';"), '0', `${name}: none would be rejected`);
}

// what the libraries for other languages send, by their documentation
async function imitations() {
  const key = createKey();
  const basic = `Basic ${Buffer.from(`${key}:`).toString('base64')}`;
  let last;
  const post = (path, body, headers) => new Promise((resolve, reject) => {
    const request = http.request({ host: httpd.hostname, port: httpd.port, method: 'POST', path, headers }, async (answer) => {
      const text = await readBody(answer);
      last = JSON.parse(text.startsWith('{') ? text : '{}');
      last.origin = answer.headers['access-control-allow-origin'];
      resolve([answer.statusCode, last.success === true]);
    });
    request.on('error', reject);
    request.end(body);
  });
  const batch = (name) => JSON.stringify({
    batch: [{ type: 'track', userId: 'u1', event: name, messageId: `${name} ${process.pid}`, timestamp: new Date().toISOString(), integrations: {},
      context: { library: { name } } }],
    sentAt: new Date().toISOString(),
  });
  sql('DELETE FROM braze_queue;');
  is(await post('/v1/batch', batch('ruby'), { Authorization: basic, 'Content-Type': 'application/json', Accept: 'application/json' }), [200, true],
    'as the library for Ruby sends');
  is(last, { success: true, queued: 1, duplicates: 0, dead_letters: 0, dropped: 0, origin: '*' }, 'whose answer has counts');
  const mixed = `{"batch": [${['{"type": "track", "userId": "u1", "event": "mixed", "messageId": "m1"}', '{"type": "track", "userId": "u1", "event": "a\\u0000b"}',
    '{"type": "track"}', '{"type": "track", "userId": "u1", "event": "again", "messageId": "m1"}'].join(', ')}]}`;
  is(await post('/v1/batch', mixed, { Authorization: basic }), [200, true], 'a batch with calls that are worth nothing is taken');
  is(last, { success: true, queued: 1, duplicates: 1, dead_letters: 2, dropped: 0, origin: '*' }, 'and counted');
  await post('/v1/batch', `{"batch": [${Array.from({ length: 2500 }, () => '{"type":"track","userId":"u1","event":"many"}').join(',')}]}`, { Authorization: basic });
  is([last.success, last.queued], [true, 2500], 'as many as a batch may have');
  sql("DELETE FROM braze_queue WHERE call ->> 'event' IN ('mixed', 'many');");
  is(await post('/v1/batch', batch('go'), { Authorization: basic, 'Content-Type': 'application/json' }), [200, true], 'as the one for Go');
  is(await post('/v1/batch', zlib.gzipSync(batch('python')), { Authorization: basic, 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }),
    [200, true], 'as the one for Python, compressed');
  is(await post('/v1/batch', batch('chunked'), { Authorization: basic, 'Transfer-Encoding': 'chunked' }), [200, true], 'a body whose length is not known');
  is(await post('/v1/track', JSON.stringify({ userId: 'u1', event: 'body', writeKey: key }), {}), [200, true], 'a key in the body');
  is(await post('/v1/batch', batch('nobody'), { Authorization: 'Basic bm9ib2R5Og==' }), [401, false], 'a key that is not known is refused');
  is(await post('/v1/batch', batch('nobody'), { Authorization: `Basic ${Buffer.from([0x6e, 0xff, 0x00, 0x3a]).toString('base64')}` }), [401, false], 'also one that is no text');
  is(await post('/v1/%ff', batch('nowhere'), { Authorization: basic }), [400, false], 'a path that is no text');
  is(await post('/v1/batch', 'no JSON', { Authorization: basic }), [400, false], 'and a body that is no JSON');
  is(await post('/v1/batch', Buffer.from([0x7b, 0xff, 0x00]), { Authorization: basic }), [400, false], 'nor UTF-8');
  is(await post('/v1/nothing', '{}', { Authorization: basic }), [400, false], 'and a path that is not known');
  is(await post('/v1/batch', `{"batch": [], "x": "${'x'.repeat(550000)}"}`, { Authorization: basic }), [413, false], 'and what is too large');
  is(last.origin, '*', 'which a browser may read');
  await post('/v1/batch', `{"batch": [], "x": "${'x'.repeat(650000)}"}`, { Authorization: basic });
  is(last.origin, '*', 'also where httpd itself refuses it');
  is(await post('/v1/batch', zlib.gzipSync('x'.repeat(5000000)), { Authorization: basic, 'Content-Encoding': 'gzip' }).then((answer) => answer[0] >= 400, () => true),
    true, 'or is, once it is decompressed');
  is(sql("SELECT string_agg(call ->> 'event', ' ' ORDER BY id) FROM braze_queue;"), 'ruby go python chunked body', 'the others arrived');
  sql('ALTER ROLE segment_api CONNECTION LIMIT 0; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = \'segment_api\';');
  is(await post('/v1/batch', batch('later'), { Authorization: basic }), [503, false], 'without a connection, the client is to try again');
  sql('ALTER ROLE segment_api CONNECTION LIMIT -1;');
  ok(await until(async () => (await post('/v1/batch', batch('later'), { Authorization: basic }))[0] === 200, 60000), 'which it can, once there is one');
}

// what the one process of httpd that serves has for itself, in kB
function memoryOfHttpd() {
  const pid = fs.readFileSync(process.env.HTTPD_PIDFILE, 'utf8').trim();
  const child = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return Number(/RssAnon:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child}/status`, 'utf8'))[1]);
}

// httpd runs for months: what a request takes is given back.  A few bytes in
// the memory of a connection, which is kept, would be some 4 MB here.
async function memory() {
  const began = Date.now();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const headers = { Authorization: `Basic ${Buffer.from(`${createKey()}:`).toString('base64')}` };
  const statuses = {};
  let before;
  const post = (i) => new Promise((resolve, reject) => {
    const request = http.request({ agent, host: httpd.hostname, port: httpd.port, method: 'POST', path: '/v1/track', headers }, async (answer) => {
      statuses[answer.statusCode] = (statuses[answer.statusCode] || 0) + 1;
      await readBody(answer);
      resolve();
    });
    request.on('error', reject);
    request.end(`{"userId": "u1", "event": "small", "messageId": "small ${i}"}`);
  });
  for (let i = 0; i < SMALL; i += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, seq) => post(i + seq)));
    if (i + 100 === WARM) before = memoryOfHttpd();
  }
  agent.destroy();
  const after = memoryOfHttpd();
  console.log(`# httpd: ${before} kB after ${WARM} requests, ${after} kB after ${SMALL}, in ${Math.round((Date.now() - began) / 1000)} s`);
  is(statuses, { 200: SMALL }, `${SMALL} small requests are taken`);
  ok(after - before < 3072, 'and httpd does not keep what they took');
  sql('DELETE FROM braze_queue;');
}

async function main() {
  const asked = process.argv.slice(2);
  sql(`SET client_min_messages = error; ${setOptions({ custom_api_endpoint: process.env.BRAZE_URL, track_all_pages: 'true' })} GRANT USAGE ON FOREIGN SERVER braze TO site;`);
  const proxy = await startProxy(process.env.HTTPD_URL);
  for (const name of Object.keys(libraries)) {
    if (asked.length === 0 || asked.includes(name)) await run(name, proxy);
  }
  console.log(`# answers of the server: ${JSON.stringify(proxy.statuses)}`);
  proxy.stop();
  if (asked.length === 0) await imitations();
  if (asked.length === 0 || asked.includes('memory')) await memory();
}

runAll(main);
