// Segment's analytics.js with the settings document of braze_sdk('segment'): it
// loads Segment's own web destination of Braze and with it Braze's SDK.  What it
// posts to Segment's API besides is taken by braze_receive, and delivered from
// here only where the browser could not.
'use strict';

const http = require('http');

const { ok, is, runAll, until } = require('./tap');
const { sql, setOptions, restart, literal } = require('./database');
const { StandIn, readBody } = require('./standin');
const { startProxy } = require('./proxy');
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
    web_sdk_version: version, enable_logging: 'true', do_not_load_font_awesome: 'true', track_named_pages: 'true', alias_calls: 'merge',
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

const CALLS = 7;

// of an object that was delivered from here
const what = ({ kind, object }) => object.name || kind;
const NOT_OF_THE_SDK = ['Viewed Player Screen', 'merge_updates'];

const calls = (tab) => tab.page.evaluate(async () => {
  // before identify: it names who identified, else
  await window.analytics.alias('u1', 'old');
  await window.analytics.identify('u1', { plan: 'pro', firstName: 'Ada', email: 'ada@example.com' });
  await window.analytics.track('Song Played', { seq: 1 });
  await window.analytics.page('Docs', 'Home');
  await window.analytics.page();
  await window.analytics.group('g1', { name: 'not the name of the user' });
  await window.analytics.screen('Player');
  if (window.appboy) window.appboy.requestImmediateDataFlush();
  if (window.braze) window.braze.requestImmediateDataFlush();
});

const queued = () => Number(sql('SELECT count(*) FROM braze_queue;'));

async function withSdk(version) {
  const major = version.split('.')[0];
  const tab = await load(version, await bundle.sdks([Number(major)]));
  await calls(tab);
  await until(() => standin.attributes().some((a) => a.custom && a.custom.ab_segment_group));
  await until(() => queued() === CALLS);
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
  is(queued(), CALLS, `${version}: the calls are received here, too`);
  sql("SELECT braze_start('braze'); SELECT braze_flush('30 s');");
  is([queued(), (await received()).map(what).sort()], [0, NOT_OF_THE_SDK],
    `${version}: and none is delivered a second time, but those that the SDK is not given`);
  await tab.close();
}

async function withoutSdk(version) {
  const tab = await load(version, {});
  await calls(tab);
  await until(() => queued() === CALLS);
  is(standin.requests.length, 0, `${version}: a blocked SDK sends nothing`);
  is(queued(), CALLS, `${version}: the calls are received here`);
  sql("SELECT braze_start('braze'); SELECT braze_flush('30 s');");
  const objects = await received();
  is(objects.filter(({ kind }) => kind === 'events').map(what).sort(), ['Song Played', 'Viewed Docs Home Page', 'Viewed Player Screen'],
    `${version}: and delivered from here, each once`);
  is(objects.filter((object) => object.kind === 'attributes' && object.object.plan === 'pro').length, 1, `${version}: with the attributes`);
  await tab.close();
}

const MANY = 2000;

// analytics.js alone, as on a page that leaves Braze to the server, by each of
// its strategies: answers get lost, and the database is restarted in the middle
async function alone(strategy) {
  const began = Date.now();
  const proxy = await startProxy(process.env.HTTPD_URL);
  const tab = await load('6.13.0', {}, ', Braze: false');
  await tab.page.evaluate((settings) => {
    window.analytics = Segment.AnalyticsBrowser.load({ writeKey: settings.key, cdnURL: location.origin }, {
      integrations: { Braze: false, 'Segment.io': { apiHost: `${settings.host}/v1`, protocol: 'http', deliveryStrategy: settings.strategy } },
    });
  }, { key, host: proxy.host, strategy });
  for (let i = 0; i < MANY; i += 100) {
    await tab.page.evaluate((from) => {
      for (let seq = from; seq < from + 100; seq += 1) window.analytics.track('Song Played', { seq });
    }, i);
    if (i === MANY / 2) restart();
  }
  await until(() => queued() >= MANY, 120000);
  is(sql("SELECT count(*) || ' ' || count(DISTINCT call #> '{properties,seq}') FROM braze_queue;"), `${MANY} ${MANY}`,
    `analytics.js, ${strategy.strategy}: each of ${MANY} calls arrived once, the server restarted meanwhile`);
  ok(proxy.lost > 3, `analytics.js, ${strategy.strategy}: answers were lost (${proxy.lost}), and repeats known`);
  console.log(`# answers of the server: ${JSON.stringify(proxy.statuses)}, in ${Math.round((Date.now() - began) / 1000)} s`);
  await tab.close();
  proxy.stop();
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
    for (const version of asked.length > 0 ? asked : VERSIONS) {
      await withSdk(version);
      await withoutSdk(version);
    }
    if (asked.length === 0) {
      await alone({ strategy: 'standard' });
      await alone({ strategy: 'batching', config: { size: 50, timeout: 200 } });
    }
  } finally {
    await launched.close();
    standin.stop();
    sql('ALTER SYSTEM RESET segment_braze.deliver;');
    sql('SELECT pg_reload_conf();');
  }
}

runAll(main);
