// Segment's analytics.js with the settings document of braze_sdk('segment'): it
// loads Segment's own web destination of Braze and with it Braze's SDK.  What it
// posts to Segment's API besides is taken by braze_receive, and delivered from
// here only where the browser could not.
'use strict';

const http = require('http');

const { ok, is, done, until } = require('./tap');
const { sql, setOptions, literal } = require('./database');
const { StandIn, readBody } = require('./standin');
const { launch, Tab } = require('./browser');
const bundle = require('./bundle');

const VERSIONS = ['3.5.1', '4.10.2', '5.9.1', '6.13.0'];
const httpd = new URL(process.env.HTTPD_URL);

const standin = new StandIn();
let browser;
let key;

// what the stand-in of Braze's REST API says
function control(path, method = 'GET') {
  return new Promise((resolve, reject) => {
    const request = http.request(`${process.env.BRAZE_URL}/_control/${path}`, { method }, async (answer) => resolve(await readBody(answer)));
    request.on('error', reject);
    request.end();
  });
}

const received = async () => (await control('log')).split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));

// a page with analytics.js, whose settings are fetched as from Segment's CDN
async function load(version, scripts, more = '') {
  standin.reset();
  await control('reset', 'POST');
  sql(`SET client_min_messages = error; DELETE FROM braze_queue; ${setOptions({
    custom_api_endpoint: process.env.BRAZE_URL, sdk_endpoint: standin.endpoint, app_identifier: 'the-app',
    web_sdk_version: version, enable_logging: 'true', do_not_load_font_awesome: 'true', track_named_pages: 'true',
  })} CREATE USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (rest_api_key 'test-key');
    GRANT USAGE ON FOREIGN SERVER braze TO site;
    SELECT braze_pause('braze');`);
  standin.pages[`/v1/projects/${key}/settings`] = sql(`SELECT braze_sdk('segment', 'braze', ${literal(key)});`);
  standin.pages['/'] = `<!DOCTYPE html><html><head><title>Home</title><script src="/analytics.js"></script><script>
    window.analytics = Segment.AnalyticsBrowser.load({ writeKey: '${key}', cdnURL: location.origin },
      { integrations: { 'Segment.io': { apiHost: '${httpd.host}/v1', protocol: 'http' }${more} } });
    </script></head><body></body></html>`;
  const tab = await Tab.open(browser, scripts);
  await tab.page.goto(`${standin.site}/`, { waitUntil: 'load' });
  return tab;
}

const calls = (tab) => tab.page.evaluate(async () => {
  await window.analytics.identify('u1', { plan: 'pro', firstName: 'Ada', email: 'ada@example.com' });
  await window.analytics.track('Song Played', { seq: 1 });
  await window.analytics.page('Docs', 'Home');
  await window.analytics.page();
  await window.analytics.group('g1', { name: 'not the name of the user' });
  if (window.appboy) window.appboy.requestImmediateDataFlush();
  if (window.braze) window.braze.requestImmediateDataFlush();
});

const queued = () => Number(sql('SELECT count(*) FROM braze_queue;'));

async function withSdk(version) {
  const major = version.split('.')[0];
  const tab = await load(version, await bundle.sdks([Number(major)]));
  await calls(tab);
  await until(() => standin.attributes().some((a) => a.custom && a.custom.ab_segment_group));
  await until(() => queued() === 5);
  const names = standin.eventNames();
  ok(names.includes('ss'), `${version}: a session begins`);
  ok(names.includes('Song Played'), `${version}: the event arrives by Braze's SDK`);
  ok(names.includes('Viewed Docs Home Page') && !names.includes('Loaded a Page'), `${version}: and the page that has a name`);
  const event = standin.events().find((e) => e.name === 'ce' && e.data.n === 'Song Played');
  is([event && event.user_id, event && event.data.p && event.data.p.seq], ['u1', 1], `${version}: of the user, with its properties`);
  const all = Object.assign({}, ...standin.attributes().map((a) => ({ ...a, ...a.custom })));
  is([all.plan, all.first_name, all.email, all.ab_segment_group], ['pro', 'Ada', 'ada@example.com', 'g1'], `${version}: and the attributes`);
  ok(!standin.attributes().some((a) => JSON.stringify(a).includes('not the name')), `${version}: the traits of the group are not the user's`);
  is(tab.warnings(), [], `${version}: it knows all of its options`);
  is(queued(), 5, `${version}: the calls are received here, too`);
  sql("SELECT braze_start('braze'); SELECT braze_flush('30 s');");
  is([queued(), (await received()).length], [0, 0], `${version}: and none is delivered a second time`);
  await tab.close();
}

async function withoutSdk(version) {
  const tab = await load(version, {});
  await calls(tab);
  await until(() => queued() === 5);
  is(standin.requests.length, 0, `${version}: a blocked SDK sends nothing`);
  is(queued(), 5, `${version}: the calls are received here`);
  sql("SELECT braze_start('braze'); SELECT braze_flush('30 s');");
  const objects = await received();
  is(objects.filter((object) => object.kind === 'events').map((object) => object.object.name).sort(), ['Song Played', 'Viewed Docs Home Page'],
    `${version}: and delivered from here, each once`);
  is(objects.filter((object) => object.kind === 'attributes' && object.object.plan === 'pro').length, 1, `${version}: with the attributes`);
  await tab.close();
}

// analytics.js alone, in batches: what a page sends that leaves Braze to the server
async function batches() {
  const tab = await load('6.13.0', {}, ', Braze: false');
  const send = (from, to) => tab.page.evaluate((a, b) => {
    for (let i = a; i < b; i += 1) window.analytics.track('Song Played', { seq: i });
  }, from, to);
  await tab.page.evaluate((settings) => {
    window.analytics = Segment.AnalyticsBrowser.load({ writeKey: settings.key, cdnURL: location.origin }, {
      integrations: {
        Braze: false,
        'Segment.io': { apiHost: `${settings.host}/v1`, protocol: 'http', deliveryStrategy: { strategy: 'batching', config: { size: 50, timeout: 200 } } },
      },
    });
  }, { key, host: httpd.host });
  await send(0, 500);
  await send(500, 1000);
  await until(() => queued() >= 1000, 60000);
  is(sql("SELECT count(*) || ' ' || count(DISTINCT call #> '{properties,seq}') FROM braze_queue;"), '1000 1000',
    'analytics.js in batches: each of 1000 calls arrived once');
  await tab.close();
}

async function main() {
  const asked = process.argv.slice(2);
  sql(`SET client_min_messages = error; ${setOptions({ custom_api_endpoint: process.env.BRAZE_URL })} GRANT USAGE ON FOREIGN SERVER braze TO site;`);
  sql('ALTER SYSTEM SET segment_braze.deliver = on;');
  sql('SELECT pg_reload_conf();');
  key = sql("SELECT braze_create_write_key('site', 'braze');");
  await standin.start();
  standin.pages['/analytics.js'] = await bundle.script("export { AnalyticsBrowser } from '@segment/analytics-next'", 'Segment');
  standin.pages['/braze-destination.js'] =
    await bundle.script("import destination from '@segment/analytics-browser-actions-braze'; window.brazeDestination = destination", 'brazeModule');
  const launched = await launch();
  browser = launched.browser;
  try {
    for (const version of asked.length > 0 ? asked : VERSIONS) await withSdk(version);
    await withoutSdk('6.13.0');
    if (asked.length === 0) await batches();
  } finally {
    await launched.close();
    standin.stop();
    sql('ALTER SYSTEM RESET segment_braze.deliver;');
    sql('SELECT pg_reload_conf();');
  }
  process.exitCode = done();
}

main().then(() => process.exit(), (error) => {
  console.log(`not ok - ${error.stack}`);
  process.exit(1);
});
