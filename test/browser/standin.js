// Plays the endpoint of Braze's SDKs, and serves the pages that use them, on
// two ports of 127.0.0.1: to the browser, the endpoint is another origin.
'use strict';

const http = require('http');

// as Braze answers a preflight, for the headers that are asked for and begin so
const ALLOWED = /^(x-braze-|braze-|content-type$|x-requested-with$)/;

function readBody(request) {
  return new Promise((resolve) => {
    let body = '';
    request.on('data', (chunk) => { body += chunk; });
    request.on('end', () => resolve(body));
  });
}

function listen(handler) {
  return new Promise((resolve) => {
    const server = http.createServer((request, response) => {
      handler(request, response).catch((error) => {
        console.log(`# stand-in: ${error.stack}`);
        response.writeHead(500).end();
      });
    });
    server.listen(0, '127.0.0.1', () => resolve({ server, port: server.address().port }));
  });
}

class StandIn {
  // what was received since the last reset, and what is answered
  constructor() {
    this.reset();
    this.pages = {};
  }

  reset() {
    this.requests = [];
    this.refused = [];
    this.triggers = [];
    this.cards = [];
  }

  async start() {
    const endpoint = await listen((request, response) => this.answer(request, response));
    const site = await listen((request, response) => this.serve(request, response));
    this.servers = [endpoint.server, site.server];
    this.endpoint = `http://127.0.0.1:${endpoint.port}`;
    this.site = `http://127.0.0.1:${site.port}`;
  }

  stop() {
    for (const server of this.servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  async answer(request, response) {
    const headers = { 'Access-Control-Allow-Origin': request.headers.origin || '*' };
    if (request.method === 'OPTIONS') {
      const asked = (request.headers['access-control-request-headers'] || '').split(',').map((name) => name.trim());
      const refused = asked.filter((name) => name !== '' && !ALLOWED.test(name.toLowerCase()));
      if (refused.length > 0) this.refused.push(`headers ${refused.join(', ')}`);
      headers['Access-Control-Allow-Headers'] = asked.filter((name) => ALLOWED.test(name.toLowerCase())).join(', ');
      headers['Access-Control-Allow-Methods'] = 'POST';
      response.writeHead(204, headers).end();
      return;
    }
    const body = await readBody(request);
    let data = null;
    try {
      data = JSON.parse(body);
    } catch (error) {
      this.refused.push(`${request.method} ${request.url}: no JSON`);
    }
    if (request.method !== 'POST' || !['/api/v3/data/', '/api/v3/content_cards/sync'].includes(request.url)) {
      // template fetches, feature flags and such: not asked for by these tests
      this.refused.push(`${request.method} ${request.url}`);
      response.writeHead(404, headers).end();
      return;
    }
    this.requests.push({ path: request.url, data, key: request.headers['x-braze-api-key'], agent: request.headers['user-agent'] });
    response.writeHead(200, { ...headers, 'Content-Type': 'application/json' });
    response.end(JSON.stringify(request.url === '/api/v3/data/' ? this.dataAnswer(data) : this.cardsAnswer()));
  }

  dataAnswer(data) {
    const asked = (data && data.respond_with) || {};
    const answer = {};
    if (asked.config) {
      answer.config = {
        time: 1700000000,
        events_blacklist: [],
        attributes_blacklist: [],
        purchases_blacklist: [],
        messaging_session_timeout: null,
        minimum_session_timeout: 1,
        vapid_public_key: null,
        content_cards: { enabled: true },
      };
    }
    if (asked.triggers) answer.triggers = this.triggers;
    return answer;
  }

  cardsAnswer() {
    const now = Math.floor(Date.now() / 1000);
    return { cards: this.cards, full_sync: true, last_full_sync_at: now, last_card_updated_at: now };
  }

  async serve(request, response) {
    const path = request.url.split('?')[0];
    const page = this.pages[path];
    if (page === undefined) {
      response.writeHead(path === '/favicon.ico' ? 204 : 404).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': `${path.endsWith('.js') ? 'text/javascript' : 'text/html'}; charset=utf-8` });
    response.end(page);
  }

  // the events that arrived, by their names at Braze: "ss" is a session's start
  events() {
    return this.requests.flatMap((request) => (request.data && request.data.events) || []);
  }

  eventNames() {
    return this.events().map((event) => (event.name === 'ce' ? event.data.n : event.name));
  }

  attributes() {
    return this.requests.flatMap((request) => (request.data && request.data.attributes) || []);
  }
}

module.exports = { StandIn, readBody, listen };
