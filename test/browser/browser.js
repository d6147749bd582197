// A real Chromium that reaches nothing but 127.0.0.1.
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');
const puppeteer = require('puppeteer-core');

const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36';
const CRAWLER = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)';

// where Braze's CDN has the Web SDK; what it serves is taken from npm
const CDN = /^https:\/\/js\.appboycdn\.com\/web-sdk\/(\d+)\.(\d+)\/(appboy\.no-amd|braze\.no-module)\.min\.js$/;

async function launch() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'chromium.'));
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    userDataDir: profile,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--mute-audio',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  });
  return {
    browser,
    async close() {
      await browser.close();
      fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

// A tab of its own, with nothing remembered: what it asked for beyond
// 127.0.0.1, and what was written to its console.  sdks has the script of each
// major version; a version that is not in it is blocked.
class Tab {
  static async open(browser, sdks, agent) {
    const tab = new Tab();
    tab.context = await browser.createBrowserContext();
    tab.page = await tab.context.newPage();
    tab.asked = [];
    tab.console = [];
    tab.errors = [];
    await tab.page.setUserAgent(agent || AGENT);
    await tab.page.setRequestInterception(true);
    tab.page.on('request', (request) => tab.intercept(request, sdks).catch(() => {}));
    tab.page.on('console', (message) => tab.console.push(`${message.type()}: ${message.text()}`));
    tab.page.on('pageerror', (error) => tab.errors.push(String(error)));
    return tab;
  }

  async intercept(request, sdks) {
    const url = request.url();
    if (/^(http:\/\/127\.0\.0\.1:|data:|blob:|about:)/.test(url)) return request.continue();
    this.asked.push(url);
    const found = CDN.exec(url);
    if (found && sdks[found[1]] !== undefined &&
      (Number(found[1]) < 4) === (found[3] === 'appboy.no-amd')) {
      return request.respond({ status: 200, contentType: 'text/javascript; charset=utf-8', body: sdks[found[1]] });
    }
    return request.abort('blockedbyclient');
  }

  tabs() {
    return this.context.targets().filter((target) => target.type() === 'page').length;
  }

  // about options that the SDK does not know
  warnings() {
    return this.console.filter((line) => /unknown/i.test(line));
  }

  async close() {
    await this.context.close();
  }
}

module.exports = { launch, Tab, AGENT, CRAWLER };
