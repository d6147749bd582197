// Between a library and httpd: passes requests on, and loses every LOST-th
// answer after the server has given it.
'use strict';

const http = require('http');

const { readBody, listen } = require('./standin');

const LOST = 5;

function startProxy(url) {
  const target = new URL(url);
  const proxy = { answers: 0, lost: 0, statuses: {} };
  return listen(async (request, response) => {
    const body = await readBody(request);
    const { host, connection, ...headers } = request.headers;
    delete headers['transfer-encoding'];
    headers['content-length'] = Buffer.byteLength(body);
    const passed = http.request({
      host: target.hostname, port: target.port, method: request.method, path: request.url, headers,
    }, async (answer) => {
      const text = await readBody(answer);
      proxy.statuses[answer.statusCode] = (proxy.statuses[answer.statusCode] || 0) + 1;
      if (answer.statusCode === 200) {
        proxy.answers += 1;
        if (proxy.answers % LOST === 0) {
          proxy.lost += 1;
          response.socket.destroy();
          return;
        }
      }
      const { connection: hop, 'transfer-encoding': chunked, ...kept } = answer.headers;
      response.writeHead(answer.statusCode, kept).end(text);
    });
    passed.on('error', () => response.socket.destroy());
    passed.end(body);
  }).then(({ server, port }) => Object.assign(proxy, {
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  }));
}

module.exports = { startProxy };
