// The pictures of the documentation, taken of what was delivered: a month of calls
// goes to the stand-in, each day's sums are put into the day that is its own, and
// the report is made of them.
//
//	node pictures.js DIRECTORY
'use strict';

const { execFileSync } = require('child_process');
const fs = require('fs');
const path = require('path');

const { ok, runAll, until } = require('./tap');
const { sql } = require('./database');
const { launch, Tab } = require('./browser');

const REPORT = path.join(__dirname, '..', '..', 'sql', 'segment_braze_report.sql');
const LARGEST = 100 * 1024;
const DAYS = 30;

// more at weekends, a little more each week, and never quite as expected
const size = (day) => Math.round(120 * (1 + day / 60) * (day % 7 < 2 ? 1.6 : 1) * (1 + Math.sin(day * 2.7) / 8));

const calls = (day, destination) => `
  SELECT setseed(${day / DAYS});
  SET segment_braze.destination = '${destination}';
  SELECT braze_track('u' || (random() * ${size(day)})::int, CASE WHEN n % 9 < 5 THEN 'Song Played' WHEN n % 9 < 7 THEN 'Song Liked'
    WHEN n % 9 = 7 THEN 'Playlist Shared' ELSE 'Subscription Cancelled' END) FROM generate_series(1, ${size(day) * 3}) n;
  SELECT braze_track('u' || n, 'Order Completed', jsonb_build_object('currency', 'EUR', 'products', jsonb_build_array(
    jsonb_build_object('product_id', CASE WHEN n % 3 = 0 THEN 'family' ELSE 'premium' END, 'price', CASE WHEN n % 3 = 0 THEN 17.99 ELSE 11.99 END))))
    FROM generate_series(1, ${Math.round(size(day) / 6)}) n;
  SELECT braze_identify('u' || n, jsonb_build_object('plan', 'premium', 'country', 'DE')) FROM generate_series(1, ${size(day)}) n;
  SELECT braze_flush('60 s');
  SELECT braze_identify('u' || n, jsonb_build_object('plan', 'premium', 'country', 'DE', 'plays', n)) FROM generate_series(1, ${size(day)}) n;
  SELECT braze_page('u' || n, 'Home') FROM generate_series(1, ${size(day)}) n;
  SELECT braze_flush('60 s');`;

const createServer = (name) => sql(`
  CREATE SERVER ${name} FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint '${process.env.BRAZE_URL}', changed_attributes_only 'true');
  CREATE USER MAPPING FOR CURRENT_USER SERVER ${name} OPTIONS (rest_api_key 'test-key');
  SELECT braze_start('${name}');`);

// the worker counts the users of a day and a destination, so each day has one
async function deliver() {
  sql('ALTER SYSTEM SET segment_braze.deliver = on; SELECT pg_reload_conf();');
  createServer('braze');
  for (let day = 1; day <= DAYS; day += 1) {
    const name = `day_${day}`;
    createServer(name);
    sql(calls(day, name));
    // the sums come within a second
    const accepted = `SELECT sum(value) FROM braze_metrics() WHERE destination = '${name}' AND name = 'segment_braze_accepted_objects_total'`;
    const counted = `SELECT sum(objects) FROM braze_activity WHERE destination = '${name}' AND kind IN ('attributes', 'events', 'purchases') AND (kind <> 'attributes' OR name = '')`;
    if (!await until(() => sql(`SELECT (${accepted}) = (${counted})`) === 't', 30000)) throw new Error(`the sums of ${name} do not come`);
    sql(`DROP SERVER ${name} CASCADE;
      UPDATE braze_activity_sums SET destination = 'braze', hour = hour - interval '${DAYS - day} days' WHERE destination = '${name}';
      UPDATE braze_activity_users SET destination = 'braze', day = day - ${DAYS - day} WHERE destination = '${name}';
      UPDATE braze_notes SET destination = 'braze' WHERE destination = '${name}' AND NOT EXISTS (SELECT FROM braze_notes n WHERE n.destination = 'braze');`);
  }
  await fetch(`${process.env.BRAZE_URL}/_control/faults`, { method: 'POST',
    body: JSON.stringify({ kind: 'errors', name: 'Song Rated', reason: "'rating' is not a number" }) });
  sql(`SELECT braze_track('u' || n, 'Song Rated', '{"rating": "good"}', destination => 'braze') FROM generate_series(1, 7) n; SELECT braze_flush('60 s');
    UPDATE braze_activity_sums SET destination = 'braze' WHERE destination <> 'braze';
    DELETE FROM braze_notes WHERE destination <> 'braze';`);
}

async function main() {
  const directory = process.argv[2];
  await deliver();
  const page = execFileSync(process.env.PSQL || 'psql', ['-X', '-f', REPORT], { encoding: 'utf8' });
  const launched = await launch();
  try {
    const tab = await Tab.open(launched.browser, {});
    await tab.page.setViewport({ width: 820, height: 800 });
    await tab.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
    await tab.page.setContent(page, { waitUntil: 'load' });
    for (const [name, first, last] of [['report-charts', '#charts', '#charts figure:nth-child(4)'], ['report-tables', '#events', '#notes']]) {
      const file = path.join(directory, `${name}.png`);
      // with the heading of the first
      const clip = await tab.page.evaluate((from, to) => {
        const top = document.querySelector(from).previousElementSibling.getBoundingClientRect().top + window.scrollY - 8;
        return { x: 0, y: top, width: window.innerWidth, height: document.querySelector(to).getBoundingClientRect().bottom + window.scrollY + 8 - top };
      }, first, last);
      await tab.page.screenshot({ path: file, clip, captureBeyondViewport: true });
      ok(fs.statSync(file).size < LARGEST, `${name}: ${Math.ceil(fs.statSync(file).size / 1024)} kB`);
    }
    await tab.close();
  } finally {
    await launched.close();
  }
}

runAll(main);
