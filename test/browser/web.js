// Each version of Braze's Web SDK with what braze_sdk('web') prints for it:
// every setting is seen to act, on and off.
//
//   node web.js [VERSION ...]
'use strict';

const { ok, is, done, until } = require('./tap');
const { sdk } = require('./database');
const { StandIn } = require('./standin');
const { launch, Tab, CRAWLER } = require('./browser');
const bundle = require('./bundle');

const VERSIONS = ['2.7.1', '3.5.1', '4.10.2', '5.9.1', '6.13.0'];

const standin = new StandIn();
let browser;
let scripts;

const inTime = (fn) => until(fn, 15000);
// how long something that must not happen is waited for
const quiet = () => new Promise((resolve) => setTimeout(resolve, 700));

function trigger(id, event, message) {
  return {
    id,
    type: 'inapp',
    trigger_condition: [{ type: 'custom_event', data: { event_name: event } }],
    priority: 1,
    delay: 0,
    re_eligibility: 0,
    timeout: null,
    start_time: null,
    end_time: null,
    min_seconds_since_last_trigger: null,
    data: { trigger_id: id, message_close: 'SWIPE', animate_in: false, animate_out: false, btns: [], ...message },
  };
}

const slideUp = (id, event) => trigger(id, event, {
  type: 'SLIDEUP', message: `message ${id}`, slide_from: 'TOP', click_action: 'URI', uri: `${standin.site}/clicked`, open_target: 'NONE',
});

const html = (id, event) => trigger(id, event, {
  type: 'HTML', message: `<html><body><p id="shown">message ${id}</p></body></html>`,
});

// Safari's own notifications, as they were before it had the Push API
const SAFARI = `<script>
  delete window.PushManager;
  window.safari = { pushNotification: {
    asked: [],
    permission: () => ({ permission: 'default' }),
    requestPermission(url, id, data, callback) {
      this.asked.push([url, id, data.api_key]);
      callback({ permission: 'granted', deviceToken: 'the-token' });
    },
  } };
</script>`;

const EVERYTHING = {
  safari_website_push_id: 'web.com.example', allow_crawler_activity: 'true', automatically_send_in_app_messages: 'false',
  do_not_load_font_awesome: 'true', enable_html_in_app_messages: 'true', enable_logging: 'true',
  open_in_app_messages_in_new_tab: 'true', open_news_feed_cards_in_new_tab: 'true',
  minimum_interval_between_trigger_actions_in_seconds: '1', session_timeout_in_seconds: '1000',
};

const card = () => ({
  id: 'card1', tp: 'short_news', ca: 1700000000, ea: -1, v: false, cl: false, p: false, db: true,
  tt: 'title', ds: 'description', u: `${standin.site}/clicked`, uw: false, dm: '', i: '', ar: 1, e: {}, s: 'server',
});

class Version {
  constructor(version) {
    this.version = version;
    this.major = Number(version.split('.')[0]);
    this.name = this.major < 4 ? 'appboy' : 'braze';
    // 2.7.1 passes over what it does not know without a word
    this.warns = this.major > 2;
  }

  // a page with what braze_sdk prints, opened and with its session begun
  async load(options, settings = {}) {
    standin.reset();
    Object.assign(standin, settings);
    let snippet = sdk('web', {
      datacenter: 'US-01', sdk_endpoint: standin.endpoint, app_identifier: 'another-app',
      web_app_identifier: 'the-app', web_sdk_version: this.version, ...options,
    });
    if (settings.wrong) snippet = snippet.replace('"baseUrl":', `"${settings.wrong}": true, $&`);
    this.options = [...snippet.matchAll(/"(\w+)":/g)].map((match) => match[1]);
    standin.pages['/'] = `<!DOCTYPE html><html><head><title>page</title>${settings.before || ''}${snippet}</head><body><p>A page.</p></body></html>`;
    standin.pages['/clicked'] = '<!DOCTYPE html><title>clicked</title>';
    const tab = await Tab.open(browser, scripts, settings.agent);
    await tab.page.goto(`${standin.site}/`, { waitUntil: 'load' });
    if (settings.agent === undefined) {
      await inTime(() => standin.eventNames().includes('ss'));
      // triggers are asked for with the session's start, and there when it is answered
      await inTime(() => standin.requests.some((request) => request.data.respond_with && request.data.respond_with.triggers));
      await quiet();
    }
    return tab;
  }

  log(tab, event) {
    return tab.page.evaluate((name, e) => {
      window[name].logCustomEvent(e);
      if (window[name].requestImmediateDataFlush) window[name].requestImmediateDataFlush();
    }, this.name, event);
  }

  message(tab, text) {
    return tab.page.evaluate((wanted) => {
      const frames = Array.from(document.querySelectorAll('iframe')).map((frame) => frame.contentDocument && frame.contentDocument.body);
      const parts = Array.from(document.querySelectorAll('.ab-in-app-message')).concat(frames);
      return parts.some((part) => part && part.textContent.includes(wanted));
    }, text);
  }

  // where a click leads: to a new tab, or away in this one
  async click(tab, selector) {
    const before = tab.tabs();
    await tab.page.waitForSelector(selector, { visible: true, timeout: 15000 });
    await tab.page.evaluate((s) => document.querySelector(s).click(), selector);
    const where = await inTime(() => {
      if (tab.tabs() > before) return 'new tab';
      return tab.page.url().endsWith('/clicked') ? 'this tab' : false;
    });
    return where || 'nowhere';
  }

  async start() {
    const tab = await this.load({});
    ok(standin.eventNames().includes('ss'), `${this.version}: a session begins`);
    is([...new Set(standin.requests.map((request) => `${request.data.api_key || request.key}`))], ['the-app'],
      `${this.version}: for the app of the web site`);
    is([...new Set(standin.requests.map((request) => request.data.sdk_version))], [this.version],
      `${this.version}: by this version`);
    is(standin.refused, [], `${this.version}: the endpoint understands all of it`);
    is(tab.errors, [], `${this.version}: nothing is thrown`);
    is(tab.asked.filter((url) => !/^https:\/\/(js\.appboycdn\.com\/web-sdk|use\.fontawesome\.com)\//.test(url)), [],
      `${this.version}: nothing else is asked for`);
    is(tab.console.filter((line) => /Initialized for the (Braze|Appboy) backend/.test(line)).length, 0,
      `${this.version}: it logs nothing without enable_logging`);
    await tab.close();
  }

  // the options that were printed and that the SDK's own file does not name
  unknown() {
    return this.options.filter((name) => !new RegExp(`\\.${name}\\b|"${name}"`).test(scripts[this.major]));
  }

  // does the SDK tell of an option that it does not know, and do we see it?
  async wrongOption() {
    const tab = await this.load({ enable_logging: 'true' }, { wrong: 'notAnOption' });
    is(this.unknown(), ['notAnOption'], `${this.version}: an option that its file does not name is found`);
    is(tab.warnings().length, this.warns ? 1 : 0, `${this.version}: ${this.warns ? 'and it warns of it' : 'of which it does not warn'}`);
    await tab.close();
  }

  async everything() {
    const tab = await this.load(EVERYTHING, { triggers: [slideUp('t1', 'show')] });
    ok(this.options.length >= 10 && this.options.includes('safariWebsitePushId'), `${this.version}: all options are printed (${this.options.length})`);
    is(this.unknown(), [], `${this.version}: its file names each of them`);
    ok(tab.console.some((line) => /Initialized for the (Braze|Appboy) backend/.test(line)),
      `${this.version}: enable_logging lets it log`);
    is(tab.warnings(), [], `${this.version}: it warns of none`);
    is(tab.errors, [], `${this.version}: nothing is thrown with all of them`);
    await this.log(tab, 'show');
    await quiet();
    ok(!await this.message(tab, 'message t1'), `${this.version}: without automatically_send_in_app_messages none is shown`);
    await tab.close();
  }

  async crawlers() {
    let tab = await this.load({}, { agent: CRAWLER });
    await quiet();
    is(standin.requests.length, 0, `${this.version}: a crawler is not served`);
    await tab.close();
    tab = await this.load({ allow_crawler_activity: 'true' }, { agent: CRAWLER });
    ok(await inTime(() => standin.eventNames().includes('ss')), `${this.version}: with allow_crawler_activity it is`);
    await tab.close();
  }

  async messages() {
    const triggers = [slideUp('t1', 'first'), slideUp('t2', 'second')];
    const awesome = (tab) => tab.asked.some((url) => /fontawesome|font-awesome/.test(url));
    let tab = await this.load({}, { triggers });
    await this.log(tab, 'first');
    ok(await inTime(() => this.message(tab, 'message t1')), `${this.version}: a message is shown`);
    ok(awesome(tab), `${this.version}: Font Awesome is asked for`);
    await this.log(tab, 'second');
    await quiet();
    ok(!await this.message(tab, 'message t2'), `${this.version}: a second one within the interval is not`);
    is(await this.click(tab, '.ab-in-app-message'), 'this tab', `${this.version}: a click leads on in this tab`);
    await tab.close();

    tab = await this.load({
      do_not_load_font_awesome: 'true', open_in_app_messages_in_new_tab: 'true',
      minimum_interval_between_trigger_actions_in_seconds: '0',
    }, { triggers });
    await this.log(tab, 'first');
    ok(await inTime(() => this.message(tab, 'message t1')), `${this.version}: a message is shown without Font Awesome`);
    ok(!awesome(tab), `${this.version}: which is not asked for`);
    is(await this.click(tab, '.ab-in-app-message'), 'new tab',
      `${this.version}: with open_in_app_messages_in_new_tab a click opens one`);
    await tab.page.bringToFront();
    await this.log(tab, 'second');
    ok(await inTime(() => this.message(tab, 'message t2')), `${this.version}: without an interval a second one is shown at once`);
    await tab.close();
  }

  async htmlMessages() {
    let tab = await this.load({}, { triggers: [html('t1', 'show')] });
    await this.log(tab, 'show');
    await quiet();
    ok(!await this.message(tab, 'message t1'), `${this.version}: an HTML message is not shown`);
    await tab.close();
    tab = await this.load({ enable_html_in_app_messages: 'true' }, { triggers: [html('t1', 'show')] });
    await this.log(tab, 'show');
    ok(await inTime(() => this.message(tab, 'message t1')), `${this.version}: with enable_html_in_app_messages it is`);
    await tab.close();
  }

  async cards() {
    for (const [setting, where] of [['false', 'this tab'], ['true', 'new tab']]) {
      const tab = await this.load({ open_news_feed_cards_in_new_tab: setting }, { cards: [card()] });
      await tab.page.evaluate((name) => {
        const sdk = window[name];
        (sdk.display || sdk).showContentCards(document.body);
      }, this.name);
      is(await this.click(tab, '.ab-card a[href]'), where,
        `${this.version}: with open_news_feed_cards_in_new_tab ${setting}, a card opens in ${where === 'new tab' ? 'a new one' : where}`);
      await tab.close();
    }
  }

  async sessions() {
    for (const timeout of ['1800', '1']) {
      const ends = timeout === '1';
      const tab = await this.load({ session_timeout_in_seconds: timeout });
      const sessions = () => new Set(standin.events().filter((event) => event.name === 'ss').map((event) => event.session_id)).size;
      // version 6 has a minimum of 10 s until Braze's configuration has another
      await tab.page.reload({ waitUntil: 'load' });
      await new Promise((resolve) => setTimeout(resolve, 1600));
      await tab.page.reload({ waitUntil: 'load' });
      if (ends) await inTime(() => sessions() > 1);
      else await quiet();
      is(sessions() > 1, ends, `${this.version}: after 1.6 s and with a timeout of ${timeout} s ${ends ? 'another session begins' : 'it is the same session'}`);
      await tab.close();
    }
  }

  async safari() {
    for (const id of [undefined, 'web.com.example']) {
      const tab = await this.load(id === undefined ? {} : { safari_website_push_id: id }, { before: SAFARI });
      await tab.page.evaluate((name) => {
        const sdk = window[name];
        (sdk.registerAppboyPushMessages || sdk.requestPushPermission)();
        sdk.requestImmediateDataFlush();
      }, this.name);
      const token = () => standin.attributes().some((a) => a.push_token === 'the-token');
      if (id === undefined) await quiet();
      else await inTime(token);
      is(await tab.page.evaluate(() => window.safari.pushNotification.asked),
        id === undefined ? [] : [[`${standin.endpoint}/api/v3/safari/the-app`, id, 'the-app']],
        `${this.version}: ${id === undefined ? 'without safari_website_push_id Safari is not asked for permission' : 'with it, it is, by that id'}`);
      is(token(), id !== undefined, `${this.version}: ${id === undefined ? 'and no token is sent' : 'and its token is sent'}`);
      await tab.close();
    }
  }

  async run() {
    await this.start();
    await this.everything();
    await this.wrongOption();
    await this.safari();
    await this.crawlers();
    await this.messages();
    await this.htmlMessages();
    await this.cards();
    await this.sessions();
  }
}

// what is not 127.0.0.1 is out of reach, also without the tests' own look at each request
async function isolation() {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  for (const host of ['192.0.2.1', 'localhost']) {
    const problem = await page.goto(`http://${host}/`, { timeout: 15000 }).then(() => 'reached', (error) => error.message);
    ok(/ERR_NAME_NOT_RESOLVED/.test(problem), `the browser does not reach ${host}`);
  }
  await context.close();
}

async function main() {
  const versions = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
  const smoke = process.argv.includes('--smoke');
  const runs = (versions.length > 0 ? versions : smoke ? VERSIONS.slice(-1) : VERSIONS).map((version) => new Version(version));
  scripts = await bundle.sdks(runs.map((run) => run.major));
  await standin.start();
  const launched = await launch();
  browser = launched.browser;
  try {
    await isolation();
    for (const run of runs) {
      if (smoke) {
        await run.start();
        await run.everything();
        await run.wrongOption();
      } else await run.run();
    }
  } finally {
    await launched.close();
    standin.stop();
  }
  process.exitCode = done();
}

main().catch((error) => {
  console.log(`not ok - ${error.stack}`);
  process.exitCode = 1;
});
