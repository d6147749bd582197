// A server that delivers, the exporters that read its numbers, and the Prometheus
// that scrapes them: everything that monitoring/ asks Prometheus has an answer,
// which is the database's, and the alerts fire when they should.
//
//	node monitoring.js [--smoke]
'use strict';

const fs = require('fs');
const path = require('path');

const { ok, is, done, until } = require('../browser/tap');
const { sql } = require('../browser/database');
const { ask, query, range } = require('./prometheus');

const MONITORING = path.join(__dirname, '..', '..', 'monitoring');
const DOC = path.join(__dirname, '..', '..', 'doc');
const SMOKE = process.argv.includes('--smoke');
const JOBS = ['postgres', 'sql'];
const ENDPOINTS = process.env.ENDPOINTS.trim().split(' ');
const LONG = 60000;

// numbers that differ from one second to the next
const CLOCKS = /_(age|wait)_seconds$/;

const control = async (endpoint, what, body) => {
  const answer = await fetch(`${endpoint}/_control/${what}`, { method: 'POST', body: JSON.stringify(body || {}) });
  if (!answer.ok) throw new Error(`${what}: ${await answer.text()}`);
};

const createDestination = (name, endpoint, options) => sql(`
  CREATE SERVER ${name} FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint '${endpoint}'${options || ''});
  CREATE USER MAPPING FOR CURRENT_USER SERVER ${name} OPTIONS (rest_api_key 'test-key');`);

// ---- the same numbers ----

// versions of Prometheus differ in how they write a bound: 1 or 1.0
const plain = (label, value) => (label === 'le' && value !== '+Inf' ? Number(value) : value);
const key = (name, labels) => [name, ...Object.entries(labels).filter(([, value]) => value !== '')
  .map(([label, value]) => `${label}=${plain(label, value)}`).sort()].join(' ');

// what the database says, under the names and labels of Prometheus
const numbersOfDatabase = () => new Map(sql(`
  SELECT jsonb_build_array(name, labels || jsonb_build_object('datname', current_database(), 'destination', coalesce(destination, '')), value)
  FROM braze_metrics()`).split('\n').map(JSON.parse).map(([name, labels, value]) => [key(name, labels), { name, value }]));

// labels that only say where a number was read
const PLACES = ['__name__', 'job', 'instance', 'server', 'driver', 'host', 'database', 'user', 'sql_job'];

async function numbersOfPrometheus(job) {
  const samples = await query(`{__name__=~"segment_braze_.*", job="${job}"}`);
  return new Map(samples.map(({ labels, value }) => {
    const own = Object.entries(labels).filter(([label]) => !PLACES.includes(label));
    return [key(labels.__name__, Object.fromEntries(own)), { name: labels.__name__, value }];
  }));
}

// those that differ; waits until the last scrape has seen what is there
async function differences(job) {
  let found;
  await until(async () => {
    const database = numbersOfDatabase();
    const prometheus = await numbersOfPrometheus(job);
    found = [];
    for (const [series, { name, value }] of database) {
      const other = prometheus.get(series);
      const same = other && (CLOCKS.test(name) ? Math.abs(other.value - value) < 30 : Math.abs(other.value - value) <= 1e-9 * Math.abs(value));
      if (!same) found.push(`${series}: ${value}, Prometheus has ${other ? other.value : 'none'}`);
    }
    for (const series of prometheus.keys()) if (!database.has(series)) found.push(`${series}: not in the database`);
    return found.length === 0;
  }, LONG);
  return found.slice(0, 10);
}

// ---- the dashboard ----

const dashboard = JSON.parse(fs.readFileSync(path.join(MONITORING, 'grafana', 'segment_braze.json'), 'utf8'));

// as Grafana fills in a variable when all is chosen
const filled = (expression) => expression.replace(/\$(datname|destination)\b/g, '.*').replace(/\$__rate_interval/g, '1m');

async function checkVariables() {
  for (const variable of dashboard.templating.list.filter(({ type }) => type === 'query')) {
    const [, metric, label] = /^label_values\((.*), (\w+)\)$/.exec(filled(variable.query));
    const values = await ask(`label/${label}/values`, { 'match[]': metric });
    is(values.filter((value) => value !== ''), sql(label === 'datname' ? 'SELECT current_database()' :
      `SELECT DISTINCT destination COLLATE "C" FROM braze_metrics() WHERE destination IS NOT NULL ORDER BY 1`).split('\n'), `the values of ${variable.name}`);
  }
}

async function checkPanels() {
  for (const { title, targets } of dashboard.panels.filter(({ targets: some }) => some)) {
    for (const { expr, legendFormat, instant } of targets) {
      const series = instant ? (await query(filled(expr))).map(({ labels, value }) => ({ labels, values: [value] })) : await range(filled(expr));
      const names = (legendFormat.match(/\{\{\w+\}\}/g) || []).map((name) => name.slice(2, -2));
      ok(series.some(({ values }) => values.length > 0) && series.every(({ labels }) => names.every((name) => labels[name] !== undefined)),
        `"${title}"${legendFormat ? `, ${legendFormat}` : ''} has data`);
    }
  }
}

// both exporters are scraped: an expression counts what both say
async function checkNumbers() {
  const panel = (title) => filled(dashboard.panels.find((one) => one.title === title).targets[0].expr);
  const both = JOBS.length;
  is((await query(panel('State'))).map(({ labels }) => `${labels.destination} ${labels.state}`).sort(),
    sql(`SELECT concat(destination, ' ', labels ->> 'state') COLLATE "C" FROM braze_metrics(), generate_series(1, ${both})
      WHERE name = 'segment_braze_destination_state' AND value = 1 ORDER BY 1`).split('\n'), 'the states are those of the database');
  is((await query(panel('Workers missing')))[0].value, 0, 'no worker is missing');
  is((await query(panel('Waiting')))[0].value, both * Number(sql('SELECT count(*) FROM braze_queue')), 'what waits is what is queued');
  is((await query(panel('Dead letters')))[0].value, both * Number(sql('SELECT count(*) FROM braze_dead_letters')), 'and the dead letters');
  const age = Number(sql('SELECT extract(epoch FROM now() - min(queued_at)) FROM braze_queue'));
  ok(Math.abs((await query(panel('Oldest call')))[0].value - age) < 30, 'and the age of the oldest call');
}

// ---- the alerts ----

async function alerts() {
  const { groups } = await ask('rules', { type: 'alert' });
  return groups.flatMap(({ rules }) => rules);
}

// those that fire, by what both exporters say
async function firing() {
  const found = new Set();
  for (const { name, alerts: raised } of await alerts()) {
    for (const { state, labels } of raised) {
      if (state === 'firing') found.add(`${name} ${labels.destination || labels.datname || labels.query || 'at all'} ${labels.job || '-'}`);
    }
  }
  return [...found].sort();
}

const ofBoth = (names) => names.flatMap((name) => JOBS.map((job) => `${name} ${job}`)).sort();

// waits until these fire and no others, or no others of the kind
async function fires(expected, name, kind = '') {
  let found;
  await until(async () => {
    found = (await firing()).filter((one) => one.startsWith(kind));
    return JSON.stringify(found) === JSON.stringify(expected);
  }, LONG);
  is(found, expected, name);
}

async function checkRules() {
  const page = fs.readFileSync(path.join(DOC, 'monitoring.md'), 'utf8');
  const slugs = (file) => fs.readFileSync(file, 'utf8').match(/^#+ .*/gm).map((line) =>
    line.replace(/^#+ /, '').toLowerCase().replace(/[^\w\- ]/g, '').replace(/ /g, '-'));
  const rules = await alerts();
  is(rules.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError}`), [], 'each alert can be evaluated');
  is(rules.filter(({ name }) => !page.includes(`| \`${name}\` |`)).map(({ name }) => name), [], 'each is in doc/monitoring.md');
  is((page.match(/^\| `SegmentBraze\w+`/gm) || []).length, rules.length, 'which has no others');
  is(rules.filter(({ labels, annotations }) => {
    const [file, anchor] = annotations.runbook.split('#');
    return !['page', 'ticket'].includes(labels.severity) || !annotations.summary || !annotations.description ||
      !slugs(path.join(DOC, '..', file)).includes(anchor);
  }).map(({ name }) => name), [], 'each says how urgent it is, what it is about, and where to read on');
}

// ---- what happens ----

// some of everything, so that no number of the dashboard is without data
async function traffic() {
  createDestination('braze', ENDPOINTS[0], ", changed_attributes_only 'true'");
  sql("SELECT braze_start('braze');");
  await control(ENDPOINTS[0], 'faults', { kind: 'status', status: 201, applied: true, count: 1, body: '{"message": "success"}',
    headers: { 'x-ratelimit-limit': '1000', 'x-ratelimit-remaining': '900', 'x-ratelimit-reset': '1' } });
  sql("SELECT braze_track('u1', 'First'); SELECT braze_flush('30 s');");
  await control(ENDPOINTS[0], 'faults', { kind: 'status', status: 503, count: 1 });
  sql("SELECT braze_track('u1', 'Again'); SELECT braze_flush('30 s');");
  for (let part = 0; part < 5; part += 1) {
    sql(`SELECT braze_track('u' || n, 'Song Played'), braze_identify('u' || n, '{"plan": "pro"}'), braze_page('u' || n, 'Home'),
        braze_track('u' || n, 'Order Completed', '{"products": [{"product_id": "p1", "price": 1.5}]}')
      FROM generate_series(1, 20) n;
      SELECT braze_alias('new${part}', 'old${part}');`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  sql("SELECT braze_flush('30 s'); ANALYZE braze_queue; ANALYZE braze_dead_letters;");
}

// calls that are delivered between two scrapes: what came before the first has no rate
async function more() {
  for (let part = 0; part < 5; part += 1) {
    sql("SELECT braze_track('u' || n, 'Later', destination => 'braze') FROM generate_series(1, 20) n; SELECT braze_flush('30 s', 'braze');");
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

function pause() {
  createDestination('paused', ENDPOINTS[0]);
  sql(`SELECT braze_start('paused'); SELECT braze_pause('paused', 'a test');
    SELECT braze_track('u1', 'Waits', destination => 'paused');`);
}

const putOld = (destination, user) => `INSERT INTO braze_queue (destination, call, queued_at)
  VALUES ('${destination}', '{"type": "track", "userId": "${user}", "event": "Old"}', now() - interval '2 hours');`;

// calls of 32 kB that cannot be compressed
const crowd = (count) => `SELECT braze_track('u1', 'Large', jsonb_build_object('text', text), destination => 'crowded')
  FROM generate_series(1, ${count}), (SELECT string_agg(md5(n::text), '') AS text FROM generate_series(1, 1000) n) t;`;

async function trouble() {
  const [braze, down, limited, late] = ENDPOINTS;
  createDestination('refused', braze);
  await control(braze, 'faults', { kind: 'errors', name: 'Bad Event', reason: 'no such thing' });
  createDestination('down', down);
  await control(down, 'faults', { kind: 'status', status: 503 });
  createDestination('limited', limited);
  await control(limited, 'faults', { kind: 'status', status: 201, applied: true, body: '{"message": "success"}',
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '600' } });
  createDestination('late', late, ", request_timeout '300'");
  await control(late, 'faults', { kind: 'hold', user: 'stuck' });
  createDestination('copy', braze);
  createDestination('crowded', braze, ", max_queue_size '64kB', on_full 'drop'");
  sql(`SELECT braze_start(name) FROM unnest('{refused,down,limited,late,crowded}'::text[]) name; SELECT braze_pause('crowded', 'a test');
    SELECT braze_track('u1', 'Good Event', destination => 'refused');
    ${putOld('down', 'u1')}
    SELECT braze_track('u1', 'The last one', destination => 'limited');
    SELECT braze_track('u1', 'Waits', destination => 'copy');
    SET client_min_messages = error;
    ${crowd(1)}`);
  // counters grow once there is something to grow from
  const counted = async (counter, destination) => (await query(`segment_braze_${counter}_calls_total{destination="${destination}"}`)).length === JOBS.length;
  await until(async () => await counted('dropped', 'crowded') && counted('rejected', 'refused'), LONG);
  sql(`${putOld('late', 'stuck')}
    SELECT braze_track('u1', 'Bad Event', destination => 'refused');
    SET client_min_messages = error;
    ${crowd(5)}`);
  await until(() => counted('delivered', 'late'), LONG);
  sql("SELECT braze_track('u' || n, 'On time', destination => 'late') FROM generate_series(1, 10) n;");
}

async function main() {
  await traffic();
  await checkRules();
  await fires([], 'no alert fires while all is well');
  for (const job of JOBS) is(await differences(job), [], `${job}: each number is that of the database`);
  pause();
  if (!SMOKE) await trouble();
  await fires(ofBoth(SMOKE ? ['SegmentBrazePaused paused'] : ['SegmentBrazePaused paused', 'SegmentBrazePaused crowded', 'SegmentBrazeCallsDropped crowded',
    'SegmentBrazeRetrying down', 'SegmentBrazeNotDelivering down', 'SegmentBrazeBehind late', 'SegmentBrazeNotStarted copy',
    'SegmentBrazeRateLimitNear limited', 'SegmentBrazeDeadLettersGrow refused']), 'the alerts of what is wrong fire, and no others');
  for (const job of JOBS) is(await differences(job), [], `${job}: each number is that of the database, again`);
  await checkVariables();
  await more();
  await checkPanels();
  await checkNumbers();
  for (const { labels, value } of await query('max_over_time(scrape_duration_seconds[30s])')) {
    console.log(`# ${labels.job}: a scrape takes at most ${(value * 1000).toFixed(0)} ms`);
  }
  if (!SMOKE) {
    process.kill(Number(sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'segment_braze worker'")), 'SIGKILL');
    // a crash of the server, after which the launcher waits
    await fires(ofBoth(['SegmentBrazeNoWorker postgres']), 'the worker is killed, and is missed', 'SegmentBrazeNoWorker');
    const exporters = process.env.EXPORTER_PIDS.split(' ').map((file) => Number(fs.readFileSync(file, 'utf8')));
    for (const exporter of exporters) process.kill(exporter);
    await fires(['SegmentBrazeNoNumbers at all -'], 'the exporters end, and are missed', 'SegmentBrazeNoNumbers');
  }
  process.exitCode = done();
}

main().then(() => process.exit(), (error) => {
  console.log(`not ok 0 - ${error.stack}`.replace(/\n/g, '\n# '));
  process.exit(1);
});
