// The report of segment_braze_report.sql in a browser: on a phone and on a desk,
// light and dark.  Its texts and numbers are those of the tables.
//
//	node report.js [DIRECTORY]	with DIRECTORY, pictures are left there
'use strict';

const { execFileSync } = require('child_process');
const path = require('path');

const { ok, is, runAll } = require('./tap');
const { sql } = require('./database');
const { launch, Tab } = require('./browser');

const REPORT = path.join(__dirname, '..', '..', 'sql', 'segment_braze_report.sql');
const SIZES = { phone: 360, desk: 1280 };

const DATA = `
  SET client_min_messages = error;
  DROP SERVER IF EXISTS braze CASCADE;
  CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
  DELETE FROM braze_activity_sums; DELETE FROM braze_dead_letters; DELETE FROM braze_notes;
  INSERT INTO braze_activity_sums (destination, hour, kind, name, currency, calls, objects, quantity, revenue, requests,
    data_points, data_points_saved, first_time, last_time)
  SELECT 'braze', h, k.kind, k.name, k.currency, 0, n, CASE WHEN k.kind = 'purchases' THEN n * 2 END,
    CASE WHEN k.kind = 'purchases' THEN n * 19.99 END, 0, n, CASE WHEN k.kind = 'attributes' THEN n * 3 ELSE 0 END, h, h
  FROM generate_series(date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '29 days', now(), '1 day') WITH ORDINALITY g(h, d),
    (VALUES ('events', 'Song Played', NULL, 900), ('events', '<script>document.title = "hit"</script>', NULL, 300),
      ('events', '<img src=x onerror=document.title="hit">', NULL, 100), ('events', repeat('long', 60), NULL, 50),
      ('purchases', 'p1', 'EUR', 40), ('purchases', 'p2', 'USD', 1234567), ('attributes', '', NULL, 500)) k(kind, name, currency, base),
    LATERAL (SELECT (k.base * (1 + sin(d / 4.0 + k.base) * 0.4))::int AS n) x;
  INSERT INTO braze_dead_letters (destination, call, reason, http_status, queued_at)
  SELECT 'braze', '{"type": "track", "event": "A"}', 'HTTP 400: ''external_id'' must be fewer than <b>988</b> bytes', 400, now() FROM generate_series(1, 3);
  INSERT INTO braze_notes VALUES ('braze', 'skip', 'The page call was skipped.', 120, 1, now());`;

const html = () => execFileSync(process.env.PSQL || 'psql', ['-X', '-f', REPORT], { encoding: 'utf8' });

// the cells of a table of the page, a string for each row
const rows = (tab, id) => tab.page.evaluate((name) =>
  [...document.querySelectorAll(`#${name} tbody tr`)].map((row) => [...row.cells].map((cell) => cell.textContent).join('|')), id);

// what a person needs to read it
const looks = (tab) => tab.page.evaluate(() => {
  const channel = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = (color) => {
    const [r, g, b] = color.match(/\d+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  };
  const contrast = (a, b) => (Math.max(luminance(a), luminance(b)) + 0.05) / (Math.min(luminance(a), luminance(b)) + 0.05);
  const style = (element) => getComputedStyle(element);
  const overlaps = [...document.querySelectorAll('svg')].filter((svg) => {
    const boxes = [...svg.querySelectorAll('text')].map((text) => text.getBoundingClientRect());
    return boxes.some((a, i) => boxes.some((b, j) => i < j && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom));
  });
  const outside = [...document.querySelectorAll('svg')].filter((svg) => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text, rect')].some((part) => {
      const it = part.getBoundingClientRect();
      return it.left < box.left - 1 || it.right > box.right + 1 || it.top < box.top - 1 || it.bottom > box.bottom + 1;
    });
  });
  const card = style(document.querySelector('figure')).backgroundColor;
  return {
    tooWide: document.documentElement.scrollWidth > window.innerWidth,
    dark: luminance(style(document.body).backgroundColor) < 0.1,
    contrasts: [contrast(style(document.body).color, style(document.body).backgroundColor),
      contrast(style(document.querySelector('svg text')).fill, card),
      contrast(style(document.querySelector('th')).color, card)].every((value) => value >= 4.5) &&
      contrast(style(document.querySelector('svg .bar')).fill, card) >= 3,
    smallest: Math.min(...[...document.querySelectorAll('svg text')].map((text) => text.getBoundingClientRect().height)),
    overlaps: overlaps.length,
    outside: outside.length,
  };
});

async function main() {
  const directory = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
  sql(DATA);
  const page = html();
  const launched = await launch();
  try {
    const tab = await Tab.open(launched.browser, {});
    await tab.page.setContent(page, { waitUntil: 'load' });
    is(await tab.page.title(), 'Delivered to Braze', 'no name of an event is run');
    is(tab.asked, [], 'nothing is fetched');
    is(await tab.page.evaluate(() => document.scripts.length + document.images.length + document.querySelectorAll('link, b').length), 0,
      'no script, image, link or element of others is in it');

    is((await rows(tab, 'events')).map((row) => row.split('|').slice(0, 3).join('|')),
      sql('SELECT destination, event, sum(count) FROM braze_event_counts GROUP BY 1, 2 ORDER BY 3 DESC').split('\n'), 'the events are those of the view');
    is((await rows(tab, 'refused')).map((row) => row.split('|').slice(0, 4).join('|')),
      sql('SELECT destination, reason, count(*), min(http_status) FROM braze_dead_letters GROUP BY 1, 2').split('\n'), 'the refusals are those of the table');
    is((await rows(tab, 'notes')).map((row) => row.split('|').slice(2, 4).join('|')),
      sql('SELECT note, calls FROM braze_notes').split('\n'), 'and the notes');
    is((await rows(tab, 'cost')).map((row) => row.split('|').slice(0, 5).join('|')),
      sql('SELECT destination, sum(requests), sum(objects), sum(data_points), sum(data_points_saved) FROM braze_throughput GROUP BY 1').split('\n'), 'and the cost');
    is(await tab.page.evaluate(() => [...document.querySelectorAll('figure')].map((figure) =>
      [figure.querySelector('figcaption').firstChild.textContent, ...[...figure.querySelectorAll('rect title')].map((title) => title.textContent)].join(' '))),
    sql(`SELECT concat_ws(' ', title, string_agg(concat(day, ': ', trim_scale(value)), ' ' ORDER BY day)) FROM (
        SELECT 1 AS place, 'Events' AS title, '' AS unit, day, sum(count) AS value FROM braze_event_counts GROUP BY day
        UNION ALL SELECT 3, 'Revenue', currency, day, sum(revenue) FROM braze_revenue GROUP BY currency, day
        UNION ALL SELECT 4, 'Data points sent', '', (hour AT TIME ZONE 'UTC')::date, sum(data_points) FROM braze_throughput GROUP BY 4
        UNION ALL SELECT 5, 'Data points saved by changed_attributes_only', '', (hour AT TIME ZONE 'UTC')::date, sum(data_points_saved) FROM braze_throughput GROUP BY 4) c
      GROUP BY place, title, unit ORDER BY place, unit`).split('\n'), 'each bar has the number of its day');

    // a bar is as high as its number
    ok(await tab.page.evaluate(() => [...document.querySelectorAll('svg')].every((svg) => {
      const bars = [...svg.querySelectorAll('rect')].map((rect) => ({
        height: Number(rect.getAttribute('height')), value: Number(rect.querySelector('title').textContent.split(': ')[1]) }));
      const highest = bars.reduce((a, b) => (a.value > b.value ? a : b));
      return bars.every((bar) => Math.abs(bar.height - highest.height * bar.value / highest.value) < 0.1) && highest.height > 60;
    })), 'a bar is as high as its number');

    for (const [name, width] of Object.entries(SIZES)) {
      for (const scheme of ['light', 'dark']) {
        await tab.page.setViewport({ width, height: 800 });
        await tab.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        const look = await looks(tab);
        is({ ...look, smallest: look.smallest >= 9 },
          { tooWide: false, dark: scheme === 'dark', contrasts: true, smallest: true, overlaps: 0, outside: 0 }, `${name}, ${scheme}: it can be read`);
        if (directory) await tab.page.screenshot({ path: path.join(directory, `report-${name}-${scheme}.png`), fullPage: true });
      }
    }
    await tab.close();
  } finally {
    await launched.close();
  }
}

runAll(main);
