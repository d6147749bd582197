// The database whose braze_sdk is tested: by psql, as the environment says.
'use strict';

const { execFileSync } = require('child_process');

function sql(text) {
  return execFileSync(process.env.PSQL || 'psql', ['-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-f', '-'],
    { input: text, encoding: 'utf8' }).replace(/\n$/, '');
}

const literal = (value) => `'${String(value).replace(/'/g, "''")}'`;

// a server "braze" with these options, and none besides
function setOptions(options) {
  const list = Object.entries(options).map(([name, value]) => `${name} ${literal(value)}`);
  return `DROP SERVER IF EXISTS braze CASCADE;
    CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (${list.join(', ')});`;
}

// what braze_sdk prints with them
function sdk(platform, options) {
  return sql(`SET client_min_messages = warning; ${setOptions(options)} SELECT braze_sdk(${literal(platform)}, 'braze');`);
}

// as after a crash
function restart() {
  execFileSync(process.env.PG_CTL, ['-D', process.env.PGDATA, '-m', 'immediate', '-w', '-l', `${process.env.PGDATA}.log`, 'restart'], { stdio: 'ignore' });
}

module.exports = { sql, sdk, setOptions, restart, literal };
